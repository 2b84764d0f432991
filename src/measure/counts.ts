/** What is counted between two markers, by the phase of a system call in which it happened. */

/**
 * Phases by the part of the image that an instruction lies in. A way into the kernel (SYSCALL, INT n, the delivery
 * of a fault or interrupt) is `entry` wherever its instruction lies, a way back (SYSRET, IRET ...) is `exit`.
 */
export const PHASES = ["app", "lib", "stub", "entry", "dispatch", "work", "exit"] as const;
export type Phase = (typeof PHASES)[number];

export const PHASE_MEANINGS: Readonly<Record<Phase, string>> = {
  app: "the application's own code",
  lib: "its C library",
  stub: "code that replaces SYSCALL instructions, and the trampoline page",
  entry: "the way into the kernel: the mechanism, saving registers, changing stacks and page tables",
  dispatch: "finding the call's function",
  work: "what the call is for",
  exit: "the way back, with signals and rescheduling",
};

export const FIELDS = [
  "instructions",
  "reads",
  "writes",
  "instructionTlbMisses",
  "dataTlbMisses",
  "pageWalks",
  "stackSwitches",
  "cr3Writes",
  "ringTransitions",
  "faults",
  "interrupts",
  "cycles",
] as const;
export type Field = (typeof FIELDS)[number];

export const FIELD_MEANINGS: Readonly<Record<Field, string>> = {
  instructions: "instructions executed to their end; a repeated string instruction is one",
  reads: "memory operands read, one for each repetition; those of deliveries and returns included",
  writes: "memory operands written",
  instructionTlbMisses: "fetches that the modelled first-level instruction TLB did not hold",
  dataTlbMisses: "accesses that the modelled first-level data TLB did not hold",
  pageWalks: "of both, those that the second level did not hold either",
  stackSwitches: "times that RSP went to another stack",
  cr3Writes: "writes of CR3",
  ringTransitions: "changes of the current privilege level",
  faults: "exceptions delivered",
  interrupts: "external interrupts delivered",
  cycles: "modelled clock cycles",
};

export type Counts = Record<Field, number>;
export type PhaseCounts = Record<Phase, Counts>;

export function noCounts(): Counts {
  return Object.fromEntries(FIELDS.map((field) => [field, 0])) as Counts;
}

export function noPhaseCounts(): PhaseCounts {
  return Object.fromEntries(PHASES.map((phase) => [phase, noCounts()])) as PhaseCounts;
}

/** All phases together. */
export function total(phases: PhaseCounts): Counts {
  const sum = noCounts();
  for (const phase of PHASES) for (const field of FIELDS) sum[field] += phases[phase][field];
  return sum;
}

/** What is left of `phases` without `less`, phase by phase; differences of cycles keep their fractions. */
export function subtract(phases: PhaseCounts, less: PhaseCounts): PhaseCounts {
  const rest = noPhaseCounts();
  for (const phase of PHASES) {
    for (const field of FIELDS) rest[phase][field] = phases[phase][field] - less[phase][field];
  }
  return rest;
}
