/** Where in the guest's code a decoded record stands: RIP is not kept up to date while emitted code runs. */
import { R_COUNT, R_FLAGS, R_LENGTH, R_NEXT, RecordFlag } from "./decode/record.ts";
import { CURRENT_RECORD, MODE, RIP, RIP_PAGE } from "./layout.ts";
import { Mode } from "./modes.ts";
import type { CpuState } from "./state.ts";

export class RecordPlaces {
  readonly #view: DataView;
  /** By processor that has left its turn: RIP of a string instruction between two iterations, or null. */
  readonly #suspended: (bigint | null)[] = [];

  constructor(memory: WebAssembly.Memory) {
    this.#view = new DataView(memory.buffer);
  }

  /** Instructions of its block that come before the one at `record`. */
  instructionsBefore(record: number): number {
    return this.#view.getUint8(record + R_COUNT) - 1;
  }

  /** Sets RIP to that of the instruction at `record`, which is of the page that runs. */
  setRip(cpu: CpuState, record: number): void {
    const low = cpu.i32(RIP_PAGE);
    const sum = (low >>> 0) + this.#pageOffset(record);
    cpu.setI32(RIP, sum | 0);
    const high = cpu.i32(RIP_PAGE + 4) + (sum > 0xffff_ffff ? 1 : 0);
    cpu.setI32(RIP + 4, (cpu.i32(MODE) & Mode.SIZE) === Mode.CODE_64 ? high : 0);
  }

  /** Whether the instruction at RIP is a string instruction that has left between two iterations. */
  repeating(cpu: CpuState): boolean {
    const record = cpu.i32(CURRENT_RECORD);
    if (record === 0) return this.#suspended[cpu.index] === cpu.rip;
    if (!(this.#view.getUint8(record + R_FLAGS) & (RecordFlag.REP | RecordFlag.REPNE))) return false;
    return BigInt.asUintN(64, cpu.u64(RIP_PAGE) + BigInt(this.#pageOffset(record))) === cpu.rip;
  }

  /** The processor's turn is over: others may overwrite the record that it has left at. */
  suspend(cpu: CpuState): void {
    this.#suspended[cpu.index] = this.repeating(cpu) ? cpu.rip : null;
    cpu.setI32(CURRENT_RECORD, 0);
  }

  #pageOffset(record: number): number {
    return this.#view.getUint16(record + R_NEXT, true) - this.#view.getUint8(record + R_LENGTH);
  }
}
