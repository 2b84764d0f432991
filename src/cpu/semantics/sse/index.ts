/** MMX and SSE to SSE4.2: every definition of this directory. */
import type { Definitions } from "../stage.ts";
import { convert } from "./convert.ts";
import { float } from "./float.ts";
import { integer } from "./integer.ts";
import { moves } from "./moves.ts";
import { shifts } from "./shifts.ts";
import { shuffles } from "./shuffles.ts";
import { strings } from "./strings.ts";

export const sseDefinitions: Definitions = {
  ...moves,
  ...integer,
  ...shifts,
  ...shuffles,
  ...float,
  ...convert,
  ...strings,
};
