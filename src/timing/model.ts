/** A timing model: figures with their sources, and the costs that the processor asks for. */
import { CHARGES, type Cost, type CostModel, MAX_FIGURES, UNITS_PER_CYCLE } from "../cpu/cost.ts";
import type { Form } from "../cpu/semantics/stage.ts";
import type { TlbGeometry } from "../mmu/translation-costs.ts";
import { figuresOfForm } from "./classes.ts";
import {
  ASSUMED,
  describeFigure,
  FIGURE_NAMES,
  type FigureName,
  type Value,
  type Values,
} from "./figures.ts";

export interface Figure extends Value {
  readonly name: string;
  readonly description: string;
}

export interface ModelData {
  readonly name: string;
  /** Microarchitecture and the processor whose frequency is taken. */
  readonly title: string;
  /** Nominal, which is the time-stamp counter's. */
  readonly frequencyHz: number;
  readonly tlb: TlbGeometry;
  readonly values: Values;
}

/** An instruction may rest on less than a unit; none is free but where it is charged. */
function units(cycles: number): number {
  return Math.max(1, Math.round(cycles * UNITS_PER_CYCLE));
}

export interface TimingModel {
  readonly name: string;
  readonly title: string;
  readonly frequencyHz: number;
  readonly figures: readonly Figure[];
  /** What the processor asks; null for the model that counts instructions. */
  readonly costs: CostModel | null;
  readonly tlb: TlbGeometry | null;
}

export function createModel({ name, title, frequencyHz, tlb, values }: ModelData): TimingModel {
  const figures = FIGURE_NAMES.map((figure) => ({
    name: figure,
    description: describeFigure(figure),
    ...values[figure],
  }));
  if (figures.length > MAX_FIGURES) throw new Error(`more than ${MAX_FIGURES} figures`);
  return { name, title, frequencyHz, tlb, figures, costs: costModel(values) };
}

/** The figures of a set, as costs have them. */
export function figuresOf(model: TimingModel, set: bigint): Figure[] {
  return model.figures.filter((_, index) => ((set >> BigInt(index)) & 1n) !== 0n);
}

function costModel(values: Values): CostModel {
  const number = new Map<FigureName, number>(FIGURE_NAMES.map((name, index) => [name, index]));
  const cost = (name: FigureName): Cost => ({
    units: units(values[name].value),
    figures: 1n << BigInt(number.get(name)!),
  });
  const ofForm = (form: Form, locked: boolean, detail: number): Cost =>
    figuresOfForm(form, locked, detail)
      .map(cost)
      .reduce((most, one) => (one.units > most.units ? one : most), { units: 0, figures: 0n });
  const charges = Object.fromEntries(CHARGES.map((name) => [name, cost(name)]));
  return { ofForm, charges: charges as unknown as CostModel["charges"] };
}

/** One nanosecond for each instruction: no model, and nothing is counted for it. */
export const NONE: TimingModel = {
  name: "none",
  title: "one cycle for each instruction, at 1 GHz",
  frequencyHz: 1_000_000_000,
  figures: [{ name: "instruction", description: "every instruction", value: 1, source: "by definition" }],
  costs: null,
  tlb: null,
};

export function isAssumed(figure: Value): boolean {
  return figure.source.startsWith(ASSUMED);
}
