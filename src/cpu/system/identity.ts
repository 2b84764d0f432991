/** Who a processor is: model, place among the others, frequencies, seed. Fixed when the machine is made. */

import type { Core } from "../core.ts";
import { type CpuModel, DEFAULT_MODEL } from "../cpuid/index.ts";

export interface Identity {
  readonly model: CpuModel;
  readonly processors: number;
  /** Frequency of the time-stamp counter in Hz. */
  readonly tscHz: number;
  /** Frequency of the crystal in Hz: what the local APIC timer counts (before its divider). */
  readonly crystalHz: number;
  /** Seeds RDRAND and RDSEED: equal seeds, equal runs. */
  readonly seed: bigint;
}

export const DEFAULT_IDENTITY: Identity = {
  model: DEFAULT_MODEL,
  processors: 1,
  tscHz: 1_000_000_000,
  crystalHz: 1_000_000_000,
  seed: 0n,
};

const identities = new WeakMap<Core, Identity>();

/** To be called once, before `core` executes anything. */
export function setIdentity(core: Core, identity: Partial<Identity>): void {
  identities.set(core, { ...DEFAULT_IDENTITY, ...identity });
}

export function identityOf(core: Core): Identity {
  return identities.get(core) ?? DEFAULT_IDENTITY;
}

/** Whether the processor has the feature of that name in `cpuid/features.ts`. */
export function hasFeature(core: Core, name: string): boolean {
  return identityOf(core).model.features.has(name);
}
