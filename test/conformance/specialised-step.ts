/**
 * The specialised stage for conformance cases: the case's instruction is emitted as a WebAssembly function with
 * its operands as constants, and that function is what runs. Everything after it (traps, the INT3 of the filler,
 * delivery of faults) is the processor's, as in the interpreter stage.
 */
import * as R from "../../src/cpu/decode/record.ts";
import { RecordFlag } from "../../src/cpu/decode/record.ts";
import { constantFields } from "../../src/cpu/interpreter/fields.ts";
import { BUILTINS, HandlerOutcome } from "../../src/cpu/interpreter/outcome.ts";
import * as L from "../../src/cpu/layout.ts";
import type { Processor } from "../../src/cpu/processor.ts";
import { Flag } from "../../src/cpu/registers.ts";
import type { Form } from "../../src/cpu/semantics/stage.ts";
import type { CpuState } from "../../src/cpu/state.ts";
import { PENDING_DEBUG } from "../../src/cpu/system/cold-state.ts";
import { deliverFault } from "../../src/cpu/system/events.ts";

/** DR6.BS. */
const BS = 0x4000;
/** Iterations of one REP string instruction at most. */
const MAX_ITERATIONS = 20_000;

export class SpecialisedStep {
  readonly #processor: Processor;
  readonly #memory: DataView;
  /** The form of each handler number, noted as the decoder asks for them. */
  readonly #forms = new Map<number, Form>();

  constructor(processor: Processor, memory: WebAssembly.Memory) {
    this.#processor = processor;
    this.#memory = new DataView(memory.buffer);
    const { handlers } = processor;
    const number = handlers.handler.bind(handlers);
    handlers.handler = (form) => {
      const result = number(form);
      this.#forms.set(result, form);
      return result;
    };
  }

  /**
   * Executes the instruction at RIP and delivers its fault, if any.
   * @returns false, with nothing done, when the bytes are no instruction or cannot be fetched: then there is
   * nothing to specialise, and the processor's own way of raising the exception has to be taken.
   */
  run(cpu: CpuState, budget: number): boolean {
    const processor = this.#processor;
    const record = processor.code.decodeOne(cpu);
    if (record === 0) return false;
    const number = this.#memory.getUint16(record + R.R_HANDLER, true);
    if (number < BUILTINS) return false;
    const form = this.#forms.get(number);
    if (!form) throw new Error(`the decoder gave handler ${number} without asking for its form`);
    const handler = processor.handlers.specialise(form, constantFields(this.#memory, record));

    const start = cpu.rip;
    const trap = (cpu.i32(L.FLAGS_SYSTEM) & Flag.TF) !== 0;
    cpu.setI32(L.BUDGET, trap ? 0 : budget);
    cpu.setI32(L.CURRENT_RECORD, record);
    for (let iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
      const outcome = handler(cpu.block, record);
      if (outcome === HandlerOutcome.FAULT) {
        deliverFault(processor, cpu, cpu.i32(L.FAULT_VECTOR), cpu.i32(L.FAULT_ERROR));
        return true;
      }
      if (outcome !== HandlerOutcome.JUMP && outcome !== HandlerOutcome.EVENT)
        this.#leave(cpu, record, outcome);
      if (trap || cpu.rip !== start) break;
    }
    // No trap follows a software interrupt, which has entered its handler, nor a load of SS.
    const heldOff = cpu.cpl !== 3 || (cpu.i32(L.SHADOW) & L.Shadow.MOV_SS) !== 0;
    if (trap && !heldOff) cpu.setI32(PENDING_DEBUG, cpu.i32(PENDING_DEBUG) | BS);
    return true;
  }

  /** Sets RIP to the instruction that follows, or to a taken branch's target, as the interpreter's loop does. */
  #leave(cpu: CpuState, record: number, outcome: number): void {
    const memory = this.#memory;
    let target = cpu.u64(L.RIP_PAGE) + BigInt(memory.getUint16(record + R.R_NEXT, true));
    if (outcome === HandlerOutcome.TAKEN) {
      target += BigInt(memory.getInt32(record + R.R_DISP, true));
      const flags = memory.getUint8(record + R.R_FLAGS);
      if (flags & RecordFlag.ADDRESS_32) target = BigInt.asUintN(32, target);
      if (flags & RecordFlag.ADDRESS_16) target = BigInt.asUintN(16, target);
    }
    cpu.rip = BigInt.asUintN(64, target);
  }
}
