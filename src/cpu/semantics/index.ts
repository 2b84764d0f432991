/** All semantic definitions, by mnemonic. */
import { arithmetic } from "./arithmetic.ts";
import { bcd } from "./bcd.ts";
import { bits } from "./bit.ts";
import { bmi } from "./bmi.ts";
import { branches } from "./branch.ts";
import { division } from "./divide.ts";
import { exchanges } from "./exchange.ts";
import { flagControl } from "./flag-control.ts";
import { returns } from "./iret.ts";
import { logic } from "./logic.ts";
import { miscellaneous } from "./miscellaneous.ts";
import { moves } from "./move.ts";
import { multiplication } from "./multiply.ts";
import { segmentBases } from "./segment-base.ts";
import { shifts } from "./shift.ts";
import { sseDefinitions } from "./sse/index.ts";
import { stack } from "./stack.ts";
import type { Definitions } from "./stage.ts";
import { strings } from "./string.ts";
import { systemCalls } from "./system-call.ts";

export const definitions: Definitions = {
  ...arithmetic,
  ...logic,
  ...shifts,
  ...bits,
  ...bmi,
  ...multiplication,
  ...division,
  ...bcd,
  ...moves,
  ...exchanges,
  ...stack,
  ...branches,
  ...strings,
  ...flagControl,
  ...segmentBases,
  ...systemCalls,
  ...returns,
  ...miscellaneous,
  ...sseDefinitions,
};
