/**
 * Compares two outcomes of one case, leaving out what the architecture leaves open.
 */
import {
  COMPLETED,
  type ConformanceCase,
  GPR_NAMES,
  type Outcome,
  type Patch,
  RFLAGS,
  SREG_NAMES,
  VECTOR_NAMES,
} from "./case.ts";
import { defaultFxImage, FX_DEFINED, SELECTOR } from "./environment.ts";

export interface Difference {
  readonly field: string;
  readonly expected: string;
  readonly actual: string;
}

/** RF is set in the image a fault saves and clear in a trap's; executors that do not deliver events cannot know. */
const COMPARED_FLAGS = 0x3f_ffff & ~RFLAGS.RF;

const DEFAULT_FX = defaultFxImage();

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;

/** Vectors that push an error code (SDM vol. 3, table 6-1). */
const HAS_ERROR_CODE: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17]);

/** @returns every field in which the outcomes differ; empty when they agree. */
export function compareOutcomes(c: ConformanceCase, expected: Outcome, actual: Outcome): Difference[] {
  const differences: Difference[] = [];
  const note = (field: string, e: string, a: string): void => {
    differences.push({ field, expected: e, actual: a });
  };
  const number = (field: string, e: bigint | number, a: bigint | number): void => {
    if (e !== a) note(field, hex(e), hex(a));
  };

  const anyOrder =
    c.unspecified.faultOrder && OPERAND_FAULTS.has(expected.vector) && OPERAND_FAULTS.has(actual.vector);
  if (anyOrder) {
    // Which of several accesses faults first is the processor's choice.
  } else if (expected.vector !== actual.vector) note("outcome", outcomeName(expected), outcomeName(actual));
  else {
    if (HAS_ERROR_CODE.has(expected.vector)) number("error code", expected.errorCode, actual.errorCode);
    if (expected.vector === 14) number("CR2", expected.cr2, actual.cr2);
  }
  number("RIP", expected.rip, actual.rip);
  compareFlags(c, expected, actual, note);
  // Leaving 64-bit mode makes the upper halves of registers undefined (SDM vol. 1, 3.4.1.1).
  const wide = c.mode === 64 && expected.selectors[1] === SELECTOR.user64Code;
  for (let i = 0; i < (wide ? 16 : 8); i++) {
    const mask =
      (wide ? ~0n : 0xffff_ffffn) & ~(c.unspecified.gpr?.register === i ? c.unspecified.gpr.mask : 0n);
    number(GPR_NAMES[i]!, expected.gpr[i]! & mask, actual.gpr[i]! & mask);
  }
  for (let i = 0; i < 6; i++)
    number(SREG_NAMES[i]!, visibleSelector(expected.selectors[i]!), visibleSelector(actual.selectors[i]!));
  if (c.mode === 64) {
    number("FS.base", expected.fsBase, actual.fsBase);
    number("GS.base", expected.gsBase, actual.gsBase);
  }
  const partialFx = anyOrder && c.unspecified.partialFx;
  if (!partialFx && (expected.fx !== null || actual.fx !== null)) compareFx(c, expected, actual, note);
  // Far calls and their like push part of their frame before a later access faults.
  if (!anyOrder && !samePatches(expected.changes, actual.changes)) compareMemory(c, expected, actual, note);
  return differences;
}

/** Vectors an operand access can raise. */
const OPERAND_FAULTS: ReadonlySet<number> = new Set([12, 13, 14, 17]);

/** The RPL of a null selector does not survive the kernel's IRET on the way to the native runner. */
function visibleSelector(selector: number): number {
  return selector < 4 ? 0 : selector;
}

type Note = (field: string, expected: string, actual: string) => void;

function outcomeName(o: Outcome): string {
  return VECTOR_NAMES[o.vector] ?? `vector ${o.vector}`;
}

function compareFlags(c: ConformanceCase, expected: Outcome, actual: Outcome, note: Note): void {
  const mask = COMPARED_FLAGS & ~(expected.vector === COMPLETED ? c.unspecified.rflags : 0);
  const differing = (expected.rflags ^ actual.rflags) & mask;
  if (!differing) return;
  const names = Object.entries(RFLAGS).filter(([, bit]) => differing & bit);
  const show = (rflags: number): string =>
    names.map(([name, bit]) => `${name}=${rflags & bit ? 1 : 0}`).join(" ") || hex(rflags);
  note("RFLAGS", show(expected.rflags), show(actual.rflags));
}

/** Bytes of the FXSAVE image that are not compared: reserved, FOP, FIP, FDP, MXCSR_MASK. */
const isComparedFxByte = (at: number): boolean =>
  at < 5 || (at >= 24 && at < 28) || (at >= 32 && at < FX_DEFINED);

const FX_CONTROLS: readonly (readonly [name: string, at: number, size: number])[] = [
  ["FCW", 0, 2],
  ["FSW", 2, 2],
  ["FTW", 4, 1],
  ["MXCSR", 24, 4],
];

function compareFx(c: ConformanceCase, expected: Outcome, actual: Outcome, note: Note): void {
  const before = c.fx ?? DEFAULT_FX;
  const e = expected.fx ?? before;
  const a = actual.fx ?? before;
  let differs = false;
  for (let at = 0; at < FX_DEFINED && !differs; at++) differs = e[at] !== a[at] && isComparedFxByte(at);
  if (!differs) return;
  const { approximate } = c.unspecified;
  const ev = new DataView(e.buffer, e.byteOffset, e.byteLength);
  const av = new DataView(a.buffer, a.byteOffset, a.byteLength);
  const little = (view: DataView, at: number, size: number): string => {
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(view.getUint8(at + i));
    return `0x${value.toString(16).padStart(size * 2, "0")}`;
  };
  for (const [name, at, size] of FX_CONTROLS) {
    if (name === "FSW" && approximate?.unit === "f80") {
      // C1 tells which way the result was rounded: with an approximate result it may differ too.
      if ((ev.getUint16(at, true) ^ av.getUint16(at, true)) & ~0x200)
        note(name, little(ev, at, 2), little(av, at, 2));
    } else if (little(ev, at, size) !== little(av, at, size))
      note(name, little(ev, at, size), little(av, at, size));
  }
  for (let i = 0; i < 8; i++) {
    const at = 32 + i * 16;
    const same = little(ev, at, 10) === little(av, at, 10);
    if (!same && !(approximate?.unit === "f80" && closeF80(ev, av, at, approximate.tolerance)))
      note(`ST(${i})`, little(ev, at, 10), little(av, at, 10));
  }
  for (let i = 0; i < 16; i++) {
    const at = 160 + i * 16;
    const same = little(ev, at, 16) === little(av, at, 16);
    if (!same && !(approximate?.unit === "f32" && closeF32(ev, av, at, approximate.tolerance)))
      note(`XMM${i}`, little(ev, at, 16), little(av, at, 16));
  }
}

function closeF80(e: DataView, a: DataView, at: number, ulps: number): boolean {
  const position = (view: DataView): bigint =>
    (BigInt(view.getUint16(at + 8, true) & 0x7fff) << 63n) |
    (view.getBigUint64(at, true) & 0x7fff_ffff_ffff_ffffn);
  const sameSign = (e.getUint8(at + 9) & 0x80) === (a.getUint8(at + 9) & 0x80);
  const distance = position(e) - position(a);
  return sameSign && distance <= BigInt(ulps) && distance >= -BigInt(ulps);
}

function closeF32(e: DataView, a: DataView, at: number, tolerance: number): boolean {
  for (let lane = 0; lane < 16; lane += 4) {
    if (e.getUint32(at + lane, true) === a.getUint32(at + lane, true)) continue;
    const x = e.getFloat32(at + lane, true);
    const y = a.getFloat32(at + lane, true);
    if (!(Math.abs(x - y) <= tolerance * Math.abs(x))) return false;
  }
  return true;
}

function samePatches(e: readonly Patch[], a: readonly Patch[]): boolean {
  if (e.length !== a.length) return false;
  for (let i = 0; i < e.length; i++) {
    const x = e[i]!;
    const y = a[i]!;
    if (x.address !== y.address || x.bytes.length !== y.bytes.length) return false;
    for (let b = 0; b < x.bytes.length; b++) if (x.bytes[b] !== y.bytes[b]) return false;
  }
  return true;
}

function compareMemory(c: ConformanceCase, expected: Outcome, actual: Outcome, note: Note): void {
  const open = (address: number): boolean =>
    c.unspecified.memory.some((range) => address >= range.address && address < range.address + range.length);
  const after = new Map<number, [expected: number | undefined, actual: number | undefined]>();
  const spread = (changes: readonly Patch[], side: 0 | 1): void => {
    for (const change of changes)
      change.bytes.forEach((byte, i) => {
        const pair = after.get(change.address + i) ?? [undefined, undefined];
        pair[side] = byte;
        after.set(change.address + i, pair);
      });
  };
  spread(expected.changes, 0);
  spread(actual.changes, 1);
  const differing = [...after]
    .filter(([address, [e, a]]) => e !== a && !open(address))
    .sort(([x], [y]) => x - y);
  if (differing.length === 0) return;
  const shown = differing.slice(0, 32);
  const show = (side: 0 | 1): string =>
    shown.map(([, pair]) => pair[side]?.toString(16).padStart(2, "0") ?? "--").join(" ");
  note(`memory at ${hex(shown[0]![0])} (${differing.length} bytes; -- is unchanged)`, show(0), show(1));
}
