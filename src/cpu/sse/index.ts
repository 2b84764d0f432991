/**
 * The TypeScript half of MMX and SSE: the exact soft path that the definitions of `semantics/sse` leave for
 * when the host's arithmetic could differ, and the string comparisons of SSE4.2.
 */
import type { SystemHelpers } from "../system/helper.ts";
import { arithmeticHelpers } from "./arithmetic.ts";
import { convertHelpers } from "./convert.ts";
import { stringCompareHelpers } from "./string-compare.ts";

export const sseHelpers: SystemHelpers = {
  ...arithmeticHelpers,
  ...convertHelpers,
  ...stringCompareHelpers,
};
