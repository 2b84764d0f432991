/** MMX and SSE to SSE4.2. */
import { rows as mmx } from "./mmx.ts";
import { rows as sse } from "./sse.ts";
import { rows as sse2 } from "./sse2.ts";
import { rows as sse3 } from "./sse3.ts";
import { rows as sse4 } from "./sse4.ts";

export const rows: readonly string[] = [...mmx, ...sse, ...sse2, ...sse3, ...sse4];
