/** Every instruction that is TypeScript, by its helper name. */
import { sseHelpers } from "./sse/index.ts";
import type { SystemHelpers } from "./system/helper.ts";
import { systemHelpers } from "./system/index.ts";
import { x87Helpers } from "./x87-helpers.ts";

export const helpers: SystemHelpers = { ...systemHelpers, ...sseHelpers, ...x87Helpers };
