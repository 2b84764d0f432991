/**
 * What executing costs, as the processor sees it. The figures are data elsewhere (`src/timing`); here is how
 * they are asked for, and where the sums lie.
 *
 * With a cost model, BUDGET counts cost units instead of instructions, and SLICE_INSTRUCTIONS counts the
 * instructions beside it. Without one, nothing of this is emitted or called.
 */
import * as R from "./decode/record.ts";
import { RecordFlag } from "./decode/record.ts";
import { BUILTINS, Builtin } from "./interpreter/outcome.ts";
import { COST_FIGURES, COST_OF_RECORD, GPR } from "./layout.ts";
import type { Form } from "./semantics/stage.ts";
import type { CpuState } from "./state.ts";

/** Costs are whole numbers of units, so that sums are exact and runs repeat. */
export const UNITS_PER_CYCLE = 64;

/** At most so many figures can be told apart in COST_FIGURES. */
export const MAX_FIGURES = 128;

export interface Cost {
  readonly units: number;
  /** Bit set of the figures that it rests on, by their numbers in the model. */
  readonly figures: bigint;
}

/** What is charged where it happens, since the instruction alone does not tell. */
export const CHARGES = [
  // Transfers by whether CPL changes; `TRANSFERS` says which instruction is which.
  ...["int.same", "int.inner", "iret.same", "iret.outer"],
  ...["far-call.same", "far-call.inner", "far-return.same", "far-return.outer"],
  ...["exception.same", "exception.inner", "page-fault.same", "page-fault.inner"],
  ...["interrupt.same", "interrupt.inner"],
  // MOV to CR3, and the same with bit 63 set while CR4.PCIDE is.
  ...["cr3.flush", "cr3.keep"],
  ...["tlb.second-level", "tlb.walk"],
  // Repeated string instructions: once at the end, and for each byte or element.
  ...["rep.overhead", "rep.movs.byte", "rep.stos.byte", "rep.lods", "rep.scas", "rep.cmps"],
] as const;
export type Charge = (typeof CHARGES)[number];

export interface CostModel {
  /**
   * The cost of executing a form once, without what is charged where it happens; 0 if that is all.
   * `detail`: for x87 the opcode byte and ModRM in bits 0-7 and 8-15; for MOV to CR and DR, and for XCHG with
   * rAX, the register's number.
   */
  ofForm(form: Form, locked: boolean, detail: number): Cost;
  readonly charges: Readonly<Record<Charge, Cost>>;
}

/** Figures that were used by what `cpu` executed, since `forgetFigures`. */
export function figuresUsed(cpu: CpuState): bigint {
  return cpu.u64(COST_FIGURES) | (cpu.u64(COST_FIGURES + 8) << 64n);
}

export function forgetFigures(cpu: CpuState): void {
  cpu.setU64(COST_FIGURES, 0n);
  cpu.setU64(COST_FIGURES + 8, 0n);
}

/** Offsets from a record: i32, units of its block up to and including it; v128, the figures they rest on. */
export const RECORD_UNITS = COST_OF_RECORD;
export const RECORD_FIGURES = COST_OF_RECORD + 16;

/**
 * The costs of decoded records: each holds the sum of its block up to itself, as R_COUNT does for instructions.
 * They lie beside the records, as far behind them as the region is long.
 */
export class RecordCosts {
  readonly #view: DataView;
  readonly #model: CostModel;
  readonly #forms: readonly (Form | undefined)[];
  /** By handler and LOCK; what depends on more is asked anew. */
  readonly #known = new Map<number, Cost>();

  /** `forms`: the form of each handler number. */
  constructor(memory: WebAssembly.Memory, model: CostModel, forms: readonly (Form | undefined)[]) {
    this.#view = new DataView(memory.buffer);
    this.#model = model;
    this.#forms = forms;
  }

  /** Units of a block up to and including `record`. */
  units(record: number): number {
    return this.#view.getInt32(record + RECORD_UNITS, true);
  }
  figures(record: number): bigint {
    const at = record + RECORD_FIGURES;
    return this.#view.getBigUint64(at, true) | (this.#view.getBigUint64(at + 8, true) << 64n);
  }
  /** Units of what comes before `record` in its block. */
  unitsBefore(record: number): number {
    return this.#isFirst(record) ? 0 : this.units(record - R.RECORD_SIZE);
  }
  figuresBefore(record: number): bigint {
    return this.#isFirst(record) ? 0n : this.figures(record - R.RECORD_SIZE);
  }
  #isFirst(record: number): boolean {
    return this.#view.getUint8(record + R.R_COUNT) <= 1;
  }

  #set(record: number, units: number, figures: bigint): void {
    const view = this.#view;
    view.setInt32(record + RECORD_UNITS, units, true);
    const at = record + RECORD_FIGURES;
    view.setBigUint64(at, BigInt.asUintN(64, figures), true);
    view.setBigUint64(at + 8, figures >> 64n, true);
  }

  /** An instruction was decoded to `record`, R_COUNT included; what comes before it in its block is known. */
  decoded(record: number): void {
    const cost = this.#costOf(record);
    this.#set(record, this.unitsBefore(record) + cost.units, this.figuresBefore(record) | cost.figures);
  }

  #costOf(record: number): Cost {
    const view = this.#view;
    const handler = view.getUint16(record + R.R_HANDLER, true);
    const locked = (view.getUint8(record + R.R_FLAGS) & RecordFlag.LOCK) !== 0;
    const key = handler * 2 + (locked ? 1 : 0);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const form = this.#forms[handler]!;
    const { mnemonic, attributes, opcodeRegister } = form.row;
    if (attributes.has("raw"))
      return this.#model.ofForm(form, locked, view.getUint16(record + R.R_IMM, true));
    if (mnemonic === "MOV_TO_CR" || mnemonic === "MOV_TO_DR") {
      return this.#model.ofForm(form, locked, view.getUint16(record + R.R_REG_A, true));
    }
    if (mnemonic === "XCHG" && opcodeRegister) {
      return this.#model.ofForm(form, locked, (view.getUint16(record + R.R_REG_B, true) - GPR) / 8);
    }
    const cost = this.#model.ofForm(form, locked, 0);
    this.#known.set(key, cost);
    return cost;
  }

  /** A record that belongs to no instruction: it costs nothing; its R_COUNT is set. */
  builtin(record: number, handler: number): void {
    // One that raises or watches counts the instruction in whose place it stands.
    const counts = handler === Builtin.RAISE || handler === Builtin.WATCH;
    const alone = counts && this.#isFirst(record);
    if (alone) this.#set(record, 0, 0n);
    else this.#set(record, this.units(record - R.RECORD_SIZE), this.figures(record - R.RECORD_SIZE));
  }

  /** The instructions in a run of records are about to become stale: only what came before each counts. */
  staling(start: number, end: number): void {
    // From the end, so that the sum before a record is still the one that was.
    for (let record = end - R.RECORD_SIZE; record >= start; record -= R.RECORD_SIZE) {
      const handler = this.#view.getUint16(record + R.R_HANDLER, true);
      if (handler < BUILTINS) continue;
      this.#set(record, this.unitsBefore(record), this.figuresBefore(record));
    }
  }
}
