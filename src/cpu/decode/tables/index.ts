/** All rows, in the order in which they are tried and numbered. */
import { parseRow, type Row } from "../rows.ts";
import { rows as general } from "./general.ts";
import { rows as general0f } from "./general-0f.ts";
import { rows as sse } from "./sse-all.ts";
import { rows as system } from "./system.ts";

export const ROWS: readonly Row[] = [...general, ...general0f, ...system, ...sse].map(parseRow);
