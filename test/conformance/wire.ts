/**
 * The binary form of cases and outcomes: what the native runner reads and writes (test/native/runner.h) and
 * what a recording keeps. Little endian; every record is a multiple of 8 bytes long.
 */
import { type ConformanceCase, initialRflags, type Outcome, type Patch } from "./case.ts";
import {
  codeBase,
  defaultFxImage,
  FX_BYTES,
  LDT,
  type LocalDescriptor,
  WINDOWS,
  windowContent,
} from "./environment.ts";

const HELLO_MAGIC = 0x3046_4e43;
/** Fixed part of struct test_case and of struct result. */
const CASE_BYTES = 224;
const RESULT_BYTES = 200;
const CASE_HAS_FX = 1;
const CASE_MODE64 = 2;
const RESULT_HAS_FX = 1;

const align8 = (n: number): number => (n + 7) & ~7;

/** An LDT entry in the terms of modify_ldt's struct user_desc. */
function userDescriptor(d: LocalDescriptor): [entry: number, base: number, limit: number, flags: number] {
  const contents = d.kind === "code" ? 2 : d.kind === "expand-down" ? 1 : 0;
  const flags =
    (d.big ? 1 : 0) |
    (contents << 1) |
    (d.restricted ? 8 : 0) |
    (d.pages ? 16 : 0) |
    (d.present === false ? 32 : 0) |
    64;
  return [d.selector >> 3, d.base, d.limit, flags];
}

/** The message that describes the environment to the runner. */
export function encodeHello(): Uint8Array {
  const total = 16 + LDT.length * 16 + FX_BYTES + WINDOWS.reduce((sum, w) => sum + 24 + w.size, 0);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, HELLO_MAGIC, true);
  view.setUint32(4, WINDOWS.length, true);
  view.setUint32(8, LDT.length, true);
  let at = 16;
  for (const d of LDT) for (const word of userDescriptor(d)) at = putU32(view, at, word);
  bytes.set(defaultFxImage(), at);
  at += FX_BYTES;
  for (const w of WINDOWS) {
    view.setBigUint64(at, BigInt(w.address), true);
    view.setBigUint64(at + 8, BigInt(w.size), true);
    view.setUint32(at + 16, 1 | (w.writable ? 2 : 0) | (w.executable ? 4 : 0), true);
    bytes.set(windowContent(w), at + 24);
    at += 24 + w.size;
  }
  return bytes;
}

/** Bytes of the runner's answer to the hello. */
export const HELLO_ANSWER_BYTES = 16;

function putU32(view: DataView, at: number, value: number): number {
  view.setUint32(at, value, true);
  return at + 4;
}

/** Size of a case's record. */
export function caseSize(c: ConformanceCase): number {
  let size = CASE_BYTES + (c.fx ? FX_BYTES : 0);
  for (const p of c.patches) size += 16 + align8(p.bytes.length);
  return size;
}

/** Writes a case's record at `at` (a multiple of 8) and returns the offset after it. */
export function encodeCase(c: ConformanceCase, bytes: Uint8Array, view: DataView, at: number): number {
  const size = caseSize(c);
  const flags = (c.fx ? CASE_HAS_FX : 0) | (c.mode === 64 ? CASE_MODE64 : 0);
  view.setUint32(at, size, true);
  view.setUint32(at + 4, flags, true);
  view.setBigUint64(at + 8, BigInt(c.codeAddress), true);
  bytes[at + 16] = c.bytes.length;
  bytes[at + 17] = c.patches.length;
  view.setUint16(at + 18, 0, true);
  for (let i = 0; i < 6; i++) view.setUint16(at + 20 + i * 2, c.selectors[i]!, true);
  bytes.fill(0, at + 32, at + 64).set(c.bytes, at + 32);
  view.setBigUint64(at + 64, BigInt(c.codeAddress - codeBase(c.selectors[1])), true);
  view.setBigUint64(at + 72, BigInt(initialRflags(c)), true);
  view.setBigUint64(at + 80, c.fsBase, true);
  view.setBigUint64(at + 88, c.gsBase, true);
  for (let i = 0; i < 16; i++) view.setBigUint64(at + 96 + i * 8, c.gpr[i]!, true);
  let next = at + CASE_BYTES;
  if (c.fx) {
    bytes.set(c.fx, next);
    next += FX_BYTES;
  }
  for (const p of c.patches) next = encodePatch(p, bytes, view, next);
  return next;
}

function encodePatch(p: Patch, bytes: Uint8Array, view: DataView, at: number): number {
  view.setBigUint64(at, BigInt(p.address), true);
  view.setUint32(at + 8, p.bytes.length, true);
  view.setUint32(at + 12, 0, true);
  const end = at + 16 + align8(p.bytes.length);
  bytes.fill(0, at + 16, end).set(p.bytes, at + 16);
  return end;
}

export function encodeCases(cases: readonly ConformanceCase[]): Uint8Array {
  let total = 0;
  for (const c of cases) total += caseSize(c);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const c of cases) at = encodeCase(c, bytes, view, at);
  return bytes;
}

/** Size of the outcome record at `at`, or 0 while fewer than 8 bytes of it are there. */
export function outcomeSize(view: DataView, at: number, end: number): number {
  return end - at < 8 ? 0 : view.getUint32(at, true);
}

/** Reads the outcome record at `at`; `bytes` and `view` cover the same buffer. */
export function decodeOutcome(bytes: Uint8Array, view: DataView, at: number): Outcome {
  const flags = view.getUint32(at + 4, true);
  const runs = bytes[at + 9]!;
  const selectors: number[] = [];
  for (let i = 0; i < 6; i++) selectors.push(view.getUint16(at + 12 + i * 2, true));
  const gpr = new BigUint64Array(16);
  for (let i = 0; i < 16; i++) gpr[i] = view.getBigUint64(at + 72 + i * 8, true);
  let next = at + RESULT_BYTES;
  let fx: Uint8Array | null = null;
  if (flags & RESULT_HAS_FX) {
    fx = bytes.slice(next, next + FX_BYTES);
    next += FX_BYTES;
  }
  const changes: Patch[] = [];
  for (let i = 0; i < runs; i++) {
    const address = Number(view.getBigUint64(next, true));
    const length = view.getUint32(next + 8, true);
    changes.push({ address, bytes: bytes.slice(next + 16, next + 16 + length) });
    next += 16 + align8(length);
  }
  return {
    vector: bytes[at + 8]!,
    errorCode: Number(view.getBigUint64(at + 24, true)),
    cr2: view.getBigUint64(at + 32, true),
    rip: view.getBigUint64(at + 40, true),
    rflags: Number(view.getBigUint64(at + 48, true)),
    fsBase: view.getBigUint64(at + 56, true),
    gsBase: view.getBigUint64(at + 64, true),
    gpr,
    selectors,
    fx,
    changes,
  };
}

/** Size of an outcome's record. */
function encodedOutcomeSize(o: Outcome): number {
  let size = RESULT_BYTES + (o.fx ? FX_BYTES : 0);
  for (const p of o.changes) size += 16 + align8(p.bytes.length);
  return size;
}

/** The records of outcomes one after the other; decodeOutcome reads them back. */
export function encodeOutcomes(outcomes: readonly Outcome[]): Uint8Array {
  let total = 0;
  for (const o of outcomes) total += encodedOutcomeSize(o);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const o of outcomes) {
    view.setUint32(at, encodedOutcomeSize(o), true);
    view.setUint32(at + 4, o.fx ? RESULT_HAS_FX : 0, true);
    bytes[at + 8] = o.vector;
    bytes[at + 9] = o.changes.length;
    for (let i = 0; i < 6; i++) view.setUint16(at + 12 + i * 2, o.selectors[i]!, true);
    view.setBigUint64(at + 24, BigInt(o.errorCode), true);
    view.setBigUint64(at + 32, o.cr2, true);
    view.setBigUint64(at + 40, o.rip, true);
    view.setBigUint64(at + 48, BigInt(o.rflags), true);
    view.setBigUint64(at + 56, o.fsBase, true);
    view.setBigUint64(at + 64, o.gsBase, true);
    for (let i = 0; i < 16; i++) view.setBigUint64(at + 72 + i * 8, o.gpr[i]!, true);
    let next = at + RESULT_BYTES;
    if (o.fx) {
      bytes.set(o.fx, next);
      next += FX_BYTES;
    }
    for (const p of o.changes) next = encodePatch(p, bytes, view, next);
    at = next;
  }
  return bytes;
}
