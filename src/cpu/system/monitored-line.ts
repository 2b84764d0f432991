/**
 * The line that MONITOR watches. A store of another processor to it ends MWAIT (SDM vol. 2, MWAIT); here it is
 * found by comparing the line with what it held at MONITOR, when the waiting processor's turn comes. A store that
 * changes nothing, or is undone in between, is not noticed: to whoever looks again it is as if it came later.
 */
import type { CpuState } from "../state.ts";
import { MONITOR_HOST, MONITOR_LINE } from "./cold-state.ts";

/** Bytes: CPUID.05H gives the same. */
const LINE = 64;

function line(cpu: CpuState, host: number): Uint8Array {
  return new Uint8Array(cpu.view.buffer, host, LINE);
}

/** Notes what the line holds. @param host the host address of the line; 0 where no memory lies: it never changes */
export function watchLine(cpu: CpuState, host: number): void {
  cpu.setI32(MONITOR_HOST, host);
  if (host !== 0) cpu.bytes.set(line(cpu, host), MONITOR_LINE);
}

export function monitoredLineChanged(cpu: CpuState): boolean {
  const host = cpu.u32(MONITOR_HOST);
  return host !== 0 && line(cpu, host).some((byte, i) => byte !== cpu.bytes[MONITOR_LINE + i]);
}
