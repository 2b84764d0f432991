/** The code at RIP as lines of text. */
import type { CpuState } from "../cpu/state.ts";
import type { Machine } from "../machine/machine.ts";
import { disassembleAround, loadDisassembler } from "./disassemble.ts";
import { peekLinear } from "./peek.ts";

/** A few instructions before and after RIP; loads the disassembler. */
export async function codeAround(machine: Machine, cpu: CpuState): Promise<string[]> {
  const disassemble = await loadDisassembler();
  return disassembleAround(disassemble, cpu, (address, length) =>
    peekLinear(machine.mmu, cpu, address, length),
  );
}
