/** The `--cpu` option: a model and feature toggles, `x86-64-v2,-smap,+la57`. */
import { FEATURES, findFeature } from "./features.ts";
import { type CpuModel, DEFAULT_MODEL, MODELS } from "./models.ts";

/** A malformed `--cpu` option; the message is one line. */
export class CpuModelError extends Error {}

/**
 * The processor that `text` describes. An empty text is the default model; a list that begins with a toggle
 * changes the default model. A feature that is switched off takes with it whatever needs it; one that is
 * switched on brings what it needs. Later words win.
 *
 * @throws CpuModelError naming what is known.
 */
export function parseCpuModel(text: string): CpuModel {
  const words = text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  let model = DEFAULT_MODEL;
  if (words.length > 0 && !/^[+-]/.test(words[0]!)) {
    const name = words.shift()!;
    const found = MODELS.find((candidate) => candidate.name === name.toLowerCase());
    if (found === undefined) {
      const known = MODELS.map((candidate) => candidate.name).join(", ");
      throw new CpuModelError(`unknown CPU model "${name}": known models are ${known}`);
    }
    model = found;
  }
  if (words.length === 0) return model;
  const features = new Set(model.features);
  for (const word of words) {
    if (!/^[+-]/.test(word)) {
      throw new CpuModelError(`CPU feature "${word}" needs a sign: +${word} or -${word}`);
    }
    const feature = findFeature(word.slice(1));
    if (feature === undefined) {
      const known = FEATURES.filter((candidate) => candidate.implemented).map((candidate) => candidate.name);
      throw new CpuModelError(
        `unknown CPU feature "${word.slice(1)}": known features are ${known.join(" ")}`,
      );
    }
    if (word[0] === "-") switchOff(features, feature.name);
    else switchOn(features, feature.name);
  }
  return { ...model, features };
}

function switchOn(features: Set<string>, name: string): void {
  const feature = findFeature(name)!;
  if (!feature.implemented) {
    throw new CpuModelError(`CPU feature "${name}" is not implemented and cannot be switched on`);
  }
  features.add(name);
  for (const needed of feature.needs) if (!features.has(needed)) switchOn(features, needed);
}

function switchOff(features: Set<string>, name: string): void {
  features.delete(name);
  for (const other of FEATURES) {
    if (features.has(other.name) && other.needs.includes(name)) switchOff(features, other.name);
  }
}
