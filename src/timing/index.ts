/**
 * Timing models: what executing costs on a microarchitecture, as data with its sources.
 *
 * Reading order: `figures.ts` (what a model consists of), `skylake.ts` (a model), `classes.ts` (which figures an
 * instruction costs), `model.ts` (the sums that the processor asks for).
 */
import { alderlake } from "./alderlake.ts";
import { haswell } from "./haswell.ts";
import { icelake } from "./icelake.ts";
import { createModel, type ModelData, NONE, type TimingModel } from "./model.ts";
import { skylake } from "./skylake.ts";
import { zen2 } from "./zen2.ts";
import { zen4 } from "./zen4.ts";

export { ASSUMED } from "./figures.ts";
export { type Figure, figuresOf, isAssumed, type TimingModel } from "./model.ts";

const DATA: readonly ModelData[] = [haswell, skylake, icelake, alderlake, zen2, zen4];

/** The names that `timingModel` takes. */
export const TIMING_MODELS: readonly string[] = ["none", ...DATA.map(({ name }) => name)];

/** No model has that name. */
export class TimingModelError extends Error {
  constructor(name: string) {
    super(`expected a timing model, one of ${TIMING_MODELS.join(", ")}, found "${name}"`);
    this.name = "TimingModelError";
  }
}

const models = new Map<string, TimingModel>([["none", NONE]]);

/** The model of that name: the same object each time. @throws TimingModelError */
export function timingModel(name: string): TimingModel {
  let model = models.get(name);
  if (model === undefined) {
    const data = DATA.find((candidate) => candidate.name === name);
    if (data === undefined) throw new TimingModelError(name);
    model = createModel(data);
    models.set(name, model);
  }
  return model;
}
