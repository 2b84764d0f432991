/** `--trace int`: exceptions, interrupts and changes of the privilege level. */
import type { SystemObserver } from "../cpu/core.ts";
import { pushesErrorCode, Vector } from "../cpu/fault.ts";
import { CR2 } from "../cpu/layout.ts";
import type { CpuState } from "../cpu/state.ts";
import { programCounter } from "./disassemble.ts";
import { hex } from "./hex.ts";
import type { LineStart, TraceSink } from "./trace.ts";
import { exceptionName } from "./vectors.ts";

export class InterruptTrace implements SystemObserver {
  readonly #sink: TraceSink;
  readonly #start: LineStart;

  constructor(sink: TraceSink, start: LineStart) {
    this.#sink = sink;
    this.#start = start;
  }

  event(
    cpu: CpuState,
    kind: "fault" | "interrupt" | "software" | "nmi",
    vector: number,
    error: number,
  ): void {
    let what = `${kind} ${hex(vector, 2)}h`;
    if (kind === "fault") {
      what = exceptionName(vector);
      if (pushesErrorCode(vector)) what += ` error ${hex(error, 4)}h`;
      if (vector === Vector.PF) what += ` CR2=${hex(cpu.u64(CR2), 16)}`;
    }
    this.#sink(`${this.#start()}${what} at ${programCounter(cpu)} CPL ${cpu.cpl} RFL=${hex(cpu.rflags, 8)}`);
  }

  ring(cpu: CpuState, from: number, to: number, cause: string): void {
    this.#sink(`${this.#start()}ring ${from} to ${to} by ${cause}, at ${programCounter(cpu)}`);
  }
}
