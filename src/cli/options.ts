/** Values of options as people write them. Everything here throws `UserError`. */
import { MAX_CPUS } from "../cpu/layout.ts";
import { TRACE_KINDS, type TraceKind } from "../debug/trace-kinds.ts";
import { QUANTUM } from "../machine/turns.ts";
import { UserError } from "./errors.ts";

function malformed(option: string, expected: string, found: string): UserError {
  return new UserError(`${option}: expected ${expected}, found "${found}"`);
}

const BINARY: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** "512M", "1.5G": bytes. A unit is needed, since programs differ in what a bare number means. */
export function parseSize(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMG])(?:i?B)?$/i.exec(text);
  const size = match ? Number(match[1]) * BINARY[match[2]!.toUpperCase()]! : Number.NaN;
  if (!Number.isSafeInteger(size)) throw malformed(option, "a size such as 512M or 1G", text);
  return size;
}

const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** "60s", "500ms", "2m", "1.5h", or seconds without a unit: milliseconds. */
export function parseDuration(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const milliseconds = match ? Number(match[1]) * SECONDS[match[2] ?? "s"]! * 1000 : Number.NaN;
  // What timers of the host can hold: 24 days.
  if (!(milliseconds > 0 && milliseconds < 2 ** 31)) {
    throw malformed(option, "a time such as 60s, 500ms or 2m", text);
  }
  return milliseconds;
}

const DECIMAL: Readonly<Record<string, number>> = { "": 1, k: 1e3, M: 1e6, G: 1e9 };

/** "1000000", "1e9", "20M": a positive number. */
export function parseCount(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?(?:e\d+)?)([kMG]?)$/.exec(text);
  const count = match ? Number(match[1]) * DECIMAL[match[2]!]! : Number.NaN;
  if (!Number.isSafeInteger(count) || count < 1) {
    throw malformed(option, "a positive whole number such as 1000000, 1e9 or 20M", text);
  }
  return count;
}

/** "4": a number of processors; how many there may be the machine knows. */
export function parseProcessors(option: string, text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > MAX_CPUS) throw malformed(option, `a whole number from 1 to ${MAX_CPUS}`, text);
  return count;
}

const NANOSECONDS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6 };

/** "10us", "5000ns": nanoseconds of guest time. A unit is needed: programs differ in what a bare number means. */
export function parseQuantum(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ns|us|ms)$/.exec(text);
  const nanoseconds = match ? Number(match[1]) * NANOSECONDS[match[2]!]! : Number.NaN;
  if (!(Number.isInteger(nanoseconds) && nanoseconds >= QUANTUM.least && nanoseconds <= QUANTUM.most)) {
    throw malformed(option, "a time from 1us to 1ms such as 10us", text);
  }
  return nanoseconds;
}

export type ClockOption = "virtual" | "host";

export function parseClock(option: string, text: string): ClockOption {
  if (text === "virtual" || text === "host") return text;
  throw malformed(option, "virtual or host", text);
}

/** A file's name. */
export function parseFile(option: string, text: string): string {
  if (text === "") throw new UserError(`${option}: expected a file name, found nothing`);
  return text;
}

/** A 64-bit number, decimal or hexadecimal. */
export function parseSeed(option: string, text: string): bigint {
  const seed = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? BigInt(text) : -1n;
  if (seed < 0n || seed >= 2n ** 64n) {
    throw malformed(option, "a number from 0 to 2^64-1, decimal or 0x hexadecimal", text);
  }
  return seed;
}

/** A JavaScript regular expression, with Unicode. */
export function parseRegex(option: string, text: string): RegExp {
  if (text === "") throw malformed(option, "a regular expression", text);
  try {
    return new RegExp(text, "u");
  } catch (error) {
    const reason = (error as Error).message.replace(/^Invalid regular expression: /, "");
    throw new UserError(`${option}: expected a regular expression, found ${reason}`);
  }
}

export type SerialTarget = "stdio" | "none" | { readonly file: string };

export function parseSerial(option: string, text: string): SerialTarget {
  if (text === "stdio" || text === "none") return text;
  if (text.startsWith("file:") && text.length > 5) return { file: text.slice(5) };
  throw malformed(option, "stdio, none or file:FILE", text);
}

export interface TraceOption {
  readonly kinds: readonly TraceKind[];
  /** Absent: standard error. */
  readonly file?: string;
}

/** "int,io" or "insn:FILE": the kinds of one list share its file. Each kind may be asked for once. */
export function parseTraces(option: string, texts: readonly string[]): TraceOption[] {
  const seen = new Set<string>();
  return texts.map((text) => {
    const colon = text.indexOf(":");
    const list = colon < 0 ? text : text.slice(0, colon);
    const file = colon < 0 ? undefined : text.slice(colon + 1);
    const kinds = list.split(",").map((word) => word.trim());
    for (const kind of kinds) {
      if (!(TRACE_KINDS as readonly string[]).includes(kind)) {
        throw malformed(option, `a list of ${TRACE_KINDS.join(", ")}, with :FILE after it if wanted`, text);
      }
      if (seen.has(kind)) throw new UserError(`${option}: expected each kind once, found ${kind} twice`);
      seen.add(kind);
    }
    if (file === "") throw malformed(option, "a file name behind the colon", text);
    return { kinds: kinds as TraceKind[], ...(file === undefined ? {} : { file }) };
  });
}
