/** A measurement as data: what the table, `--json`, `--csv` and the page are made of. */
import type { Figure } from "../timing/index.ts";
import { PUBLISHED_CR3_PLUS } from "./published.ts";
import type { Row } from "./statistics.ts";

/** One image's rows. */
export interface ImageRows {
  /** As the user named it, or its name in the package. */
  readonly file: string;
  /** Link mode with options, from the file's name, e.g. "ring3-kpti". */
  readonly mode: string;
  readonly rows: readonly Row[];
  /** Of the whole run, from power-on to power-off. */
  readonly instructions: number;
}

export interface Report {
  readonly model: { readonly name: string; readonly title: string; readonly frequencyHz: number };
  /** The command that gives the same figures again. */
  readonly command: string;
  readonly version: string;
  readonly images: readonly ImageRows[];
  /** Null where they were not asked for. */
  readonly mechanisms: ImageRows | null;
  /** Figures of the model without a source on which any row rests. */
  readonly assumed: readonly Figure[];
}

/** The call that is compared with a function call. */
export const EMPTY_CALL = "empty";
export const FUNCTION_CALL = "function";

export const CALL_MEANINGS: Readonly<Record<string, string>> = {
  function: "a function call",
  empty: "a system call that does nothing",
  getppid: "getppid",
  read: "read from /dev/zero",
  write: "write to /dev/zero",
  "pipe-write": "write to a pipe",
  "pipe-read": "read from a pipe",
  send: "send on a socketpair",
  recv: "recv from a socketpair",
  "fault-heap": "first write to a page of heap",
  "fault-stack": "first push to a page of stack",
  switch: "from one thread to another: write to a pipe here, return of read there",
  thread: "pthread_create and pthread_join",
  signal: "kill of itself, the handler, and the way back",
};

/** Bytes that ringcost's calls move. */
export const PAYLOADS: readonly number[] = [1, 256, 1024, 4096, 8192];

/** Modes as they are shown: what costs most first. Others follow by name. */
const MODES = [
  ...["ring3-kpti", "ring3-kpti-pcid", "ring3", "kml", "zpoline"],
  ...["ukl", "ukl-nss", "ukl-df", "ukl-ret", "ukl-byp", "shortcut"],
];

export const MODE_MEANINGS: Readonly<Record<string, string>> = {
  "ring3-kpti": "ring 3; SYSCALL, and CR3 written on entry and exit",
  "ring3-kpti-pcid": "the same, translations kept by PCID",
  ring3: "ring 3; SYSCALL and SYSRET",
  kml: "ring 0, unmodified program; SYSCALL, and a jump back",
  zpoline: "ring 0, SYSCALL rewritten to a call through page 0",
  ukl: "linked with the kernel; a call into the entry code",
  "ukl-nss": "as ukl, without a change of stacks",
  "ukl-df": "as ukl; faults on the application's stack arrive as double faults",
  "ukl-ret": "as ukl; faults and interrupts return by RET",
  "ukl-byp": "linked; a call past entry and exit work",
  shortcut: "linked; a call of the kernel's own function",
};

/** Variants that differ from `ukl` in faults and stacks, and hardly in plain calls. */
export const VARIANTS: readonly string[] = ["ukl-nss", "ukl-df", "ukl-ret"];

export function compareModes(a: string, b: string): number {
  const rank = (mode: string) => (MODES.indexOf(mode) + MODES.length + 1) % (MODES.length + 1);
  return rank(a) - rank(b) || a.localeCompare(b);
}

export interface Ratio {
  readonly mode: string;
  readonly call: { readonly instructions: number; readonly cycles: number };
  readonly function: { readonly instructions: number; readonly cycles: number };
  readonly instructions: number;
  readonly cycles: number;
}

/** System call : function call, for a call that does nothing; of the images that have both. */
export function ratiosOf(images: readonly ImageRows[]): Ratio[] {
  return images.flatMap(({ mode, rows }) => {
    const find = (name: string) => rows.find(({ call }) => call === name)?.total;
    const [call, plain] = [find(EMPTY_CALL), find(FUNCTION_CALL)];
    if (call === undefined || plain === undefined) return [];
    return [
      {
        mode,
        call: { instructions: call.instructions, cycles: call.cycles },
        function: { instructions: plain.instructions, cycles: plain.cycles },
        instructions: call.instructions / plain.instructions,
        cycles: call.cycles / plain.cycles,
      },
    ];
  });
}

export function nanoseconds(cycles: number, { model }: Pick<Report, "model">): number {
  return (cycles / model.frequencyHz) * 1e9;
}

/** A mechanism beside its published figure: cycles without CR3 writes, and the plus of one and two. */
export interface MechanismComparison {
  readonly mechanism: string;
  readonly cycles: number;
  readonly plus: readonly (number | undefined)[];
  readonly plusKept: readonly (number | undefined)[];
}

const KEPT = " PCID";

/** How the plus of one and of two CR3 writes differs from the published one, in per cent, of SYSCALL and SYSRET. */
export function cr3Differences(rows: readonly Row[]): readonly (number | undefined)[] {
  const { plus } = mechanismComparisons(rows).find(({ mechanism }) => mechanism === "SYSCALL/SYSRET") ?? {
    plus: [],
  };
  return plus.map((value, i) => value && (value / PUBLISHED_CR3_PLUS[i + 1]! - 1) * 100);
}

/** Families of mechanisms: with 0, 1 and 2 CR3 writes, and those that keep translations by PCID. */
export function mechanismComparisons(rows: readonly Row[]): MechanismComparison[] {
  const find = (call: string, writes: number) =>
    rows.find((row) => row.call === call && row.payload === writes)?.total.cycles;
  const names = [...new Set(rows.map(({ call }) => call))].filter((call) => !call.endsWith(KEPT));
  return names.map((mechanism) => {
    const cycles = find(mechanism, 0) ?? Number.NaN;
    const more = (call: string) =>
      [1, 2].map((writes) => {
        const found = find(call, writes);
        return found === undefined ? undefined : found - cycles;
      });
    return { mechanism, cycles, plus: more(mechanism), plusKept: more(mechanism + KEPT) };
  });
}
