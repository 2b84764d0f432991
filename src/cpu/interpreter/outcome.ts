/** How a handler that is a function of its own ends: its result. The first three are those of helpers. */
export const HandlerOutcome = {
  /** Go on with the next record. */
  CONTINUE: 0,
  /** RIP was set: find it in the jump cache. */
  JUMP: 1,
  /** RIP was set; leave for the run loop. */
  EVENT: 2,
  /** A fault is recorded. */
  FAULT: 3,
  /** Direct branch: follow the record's link. */
  TAKEN: 4,
  NEXT: 5,
} as const;

/** Handlers that belong to no instruction. They come first in the numbering. */
export const Builtin = {
  /** The block goes on with a record elsewhere: follows LINK_NEXT. */
  GOTO: 0,
  /** The page ends here: the next instruction is looked up by its RIP. */
  PAGE_END: 1,
  /** Raises the exception whose vector is the immediate: undefined and overlong instructions. */
  RAISE: 2,
  /** The bytes of this instruction have changed: looks its own RIP up again. */
  STALE: 3,
  /** Stands before the record of a watched instruction: leaves, and the run loop comes back to that. */
  WATCH: 4,
} as const;
export const BUILTINS = 5;
