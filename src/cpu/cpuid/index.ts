/** CPU models and what CPUID says of them. */
export { FEATURES, type Feature, findFeature } from "./features.ts";
export { type CpuidContext, type CpuidResult, cpuid, signature } from "./leaves.ts";
export { type CacheLevel, type CpuModel, DEFAULT_MODEL, MODELS } from "./models.ts";
export { CpuModelError, parseCpuModel } from "./parse.ts";
export { COMPONENTS, compactedSize, enabledComponents, StateBit, standardSize } from "./state-components.ts";
