/**
 * The processor's side of a timing model: what TypeScript takes from the budget, beside what emitted code takes
 * at the ends of blocks.
 */
import type { Charges } from "./core.ts";
import { CHARGES, type Charge, type CostModel, MAX_FIGURES, RecordCosts } from "./cost.ts";
import { R_COUNT } from "./decode/record.ts";
import { BUDGET, COST_FIGURES, SLICE_INSTRUCTIONS } from "./layout.ts";
import type { Form } from "./semantics/stage.ts";
import type { CpuState } from "./state.ts";

/** What helpers that transfer control are charged, by their names: when CPL stays, when it changes. */
const software = ["int.same", "int.inner"] as const;
const interruptReturn = ["iret.same", "iret.outer"] as const;
const farCall = ["far-call.same", "far-call.inner"] as const;
const TRANSFERS = new Map<string, readonly [Charge, Charge]>([
  ...["int", "int1", "int3", "into"].map((name) => [name, software] as const),
  ...["iret", "iretd", "iretq"].map((name) => [name, interruptReturn] as const),
  ...["call_far", "jmp_far"].map((name) => [name, farCall] as const),
  ["retf", ["far-return.same", "far-return.outer"]] as const,
]);

/** A bit set of figures as the words of COST_FIGURES. */
function words(figures: bigint): number[] {
  return Array.from({ length: MAX_FIGURES / 32 }, (_, i) =>
    Number(BigInt.asIntN(32, figures >> BigInt(i * 32))),
  );
}

export class Accounting implements Charges {
  readonly records: RecordCosts;
  /** The processor that runs. */
  cpu: CpuState;
  readonly #counts: DataView;
  readonly #charges: ReadonlyMap<Charge, { readonly units: number; readonly figures: readonly number[] }>;

  /** `forms`: the form of each handler number, as it becomes known. */
  constructor(
    memory: WebAssembly.Memory,
    cpu: CpuState,
    model: CostModel,
    forms: readonly (Form | undefined)[],
  ) {
    this.cpu = cpu;
    this.records = new RecordCosts(memory, model, forms);
    this.#counts = new DataView(memory.buffer);
    this.#charges = new Map(
      CHARGES.map((name) => {
        const { units, figures } = model.charges[name];
        return [name, { units, figures: words(figures) }] as const;
      }),
    );
  }

  charge(cost: Charge): void {
    const { cpu } = this;
    const { units, figures } = this.#charges.get(cost)!;
    cpu.setI32(BUDGET, cpu.i32(BUDGET) - units);
    this.#used(figures);
  }

  /** The helper of that name has come back other than by a fault; CPL was `before`. */
  transferred(name: string, before: number): void {
    const charges = TRANSFERS.get(name);
    if (charges !== undefined) this.charge(charges[this.cpu.cpl === before ? 0 : 1]);
  }

  /** Emitted code has left at `record` without executing it: what comes before it in its block counts. */
  leftMidBlock(record: number): void {
    const { cpu, records } = this;
    cpu.setI32(BUDGET, cpu.i32(BUDGET) - records.unitsBefore(record));
    this.count(this.#counts.getUint8(record + R_COUNT) - 1);
    this.#used(words(records.figuresBefore(record)));
  }

  /** Counts instructions. */
  count(instructions: number): void {
    const { cpu } = this;
    cpu.setI32(SLICE_INSTRUCTIONS, cpu.i32(SLICE_INSTRUCTIONS) + instructions);
  }

  #used(figures: readonly number[]): void {
    const { cpu } = this;
    for (let i = 0; i < figures.length; i++) {
      const at = COST_FIGURES + i * 4;
      if (figures[i] !== 0) cpu.setI32(at, cpu.i32(at) | figures[i]!);
    }
  }
}
