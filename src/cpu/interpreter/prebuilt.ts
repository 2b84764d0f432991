/**
 * The main function as the build made it, so that a start need not emit it again. Null when the sources run
 * as they are; `scripts/build.mjs` puts another module in this one's place, made by `buildMain` from the same
 * tables and definitions that it bundles.
 */
import type { MainFunction } from "./main-function.ts";

export interface PrebuiltMain extends MainFunction {
  /** Names of the hot forms, in the order of their arms. */
  readonly forms: readonly string[];
  /** Helper names by their numbers in the code. */
  readonly helpers: readonly string[];
}

export const prebuilt: PrebuiltMain | null = null;
