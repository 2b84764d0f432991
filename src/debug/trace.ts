/**
 * Traces: what a machine does, one line for each event, while someone watches. Every kind is an observer of
 * its own in a file of its own; this file knows them all, and attaches and detaches them.
 */
import type { SystemObserver } from "../cpu/core.ts";
import type { CpuState } from "../cpu/state.ts";
import type { Machine } from "../machine/machine.ts";
import { loadDisassembler } from "./disassemble.ts";
import { InstructionTrace } from "./trace-insn.ts";
import { InterruptTrace } from "./trace-int.ts";
import { traceIo } from "./trace-io.ts";
import type { TraceKind } from "./trace-kinds.ts";
import { MmuTrace } from "./trace-mmu.ts";

/** Takes lines without line ends. */
export type TraceSink = (line: string) => void;

export interface TraceRequest {
  readonly kinds: readonly TraceKind[];
  readonly sink: TraceSink;
}

export interface Traces {
  /** To be combined with other observers and given to the machine. */
  readonly observers: readonly SystemObserver[];
  /** Writes what is still held back and detaches the traces. */
  finish(): void;
}

/** Starts every line: the kind, how many instructions were executed before, and of several processors which. */
export type LineStart = () => string;

/**
 * The count is exact for events and ports; for memory accesses it is that of the last block boundary, up to
 * 63 instructions before.
 */
function lineStart(machine: Machine, kind: TraceKind): LineStart {
  const several = machine.states.length > 1;
  return () => {
    const count = String(machine.instructions + machine.processor.executed).padStart(12);
    return `${kind.padEnd(4)} ${count} ${several ? `cpu ${machine.current.index} `.padEnd(7) : ""}`;
  };
}

/** Attaches traces to a machine that does not run yet. A kind may appear in one request only. */
export async function startTraces(machine: Machine, requests: readonly TraceRequest[]): Promise<Traces> {
  const observers: SystemObserver[] = [];
  const ends: (() => void)[] = [];
  const attach: Record<TraceKind, (sink: TraceSink) => Promise<void> | void> = {
    int: (sink) => {
      observers.push(new InterruptTrace(sink, lineStart(machine, "int")));
    },
    mmu: (sink) => {
      machine.mmu.observer = new MmuTrace(sink, lineStart(machine, "mmu"));
      ends.push(() => {
        machine.mmu.observer = null;
      });
    },
    io: (sink) => {
      machine.platform.bus.observer = traceIo(sink, lineStart(machine, "io"));
      ends.push(() => {
        machine.platform.bus.observer = null;
      });
    },
    insn: async (sink) => {
      const disassemble = await loadDisassembler();
      const trace = new InstructionTrace(machine, disassemble, sink, lineStart(machine, "insn"));
      observers.unshift(trace);
      machine.processor.onStep = (cpu: CpuState) => trace.step(cpu);
      ends.push(() => {
        machine.processor.onStep = null;
        trace.finish();
      });
    },
  };
  for (const { kinds, sink } of requests) for (const kind of kinds) await attach[kind](sink);
  return {
    observers,
    finish: () => {
      for (const end of ends) end();
    },
  };
}
