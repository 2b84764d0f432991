/**
 * The case generator: row + mode + seed -> case. Deterministic; every case can be made again on its own.
 */
import { FlowControl, Mnemonic, OpKind, Register } from "iced-x86";
import { type ConformanceCase, type Mode, RFLAGS, type Unspecified } from "./case.ts";
import { writeInstruction } from "./encoding.ts";
import {
  CODE_BASE,
  codeBase,
  DATA_BASE,
  DEFAULT_SELECTORS,
  HIGH_BASE,
  PAGE,
  SELECTOR,
} from "./environment.ts";
import { APPROXIMATE, SEVERAL_ACCESSES } from "./exclusions.ts";
import { randomFxImage } from "./floats.ts";
import { isAllowed } from "./instruction-rows.ts";
import { leftOut, leftOutByState, nearCodeEnd } from "./left-out.ts";
import { caseSeed, operandValue, SplitMix } from "./random.ts";
import type { GeneratorRow } from "./rows.ts";
import { CS, DS, ES, FS, GS, REGISTER_NUMBER, Sketch, SS, WIDTH_MASK } from "./sketch.ts";
import { tune } from "./tuning.ts";
import { undefinedFlags } from "./undefined.ts";

const ATTEMPTS = 40;

/** @returns the case, or null when the row has no instance in this mode that belongs to the suite. */
export function generateCase(
  row: GeneratorRow,
  mode: Mode,
  seed: number,
  index: number,
): ConformanceCase | null {
  const random = new SplitMix(caseSeed(seed, `${row.id}/${mode}`, index));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const sketch = new Sketch(
      random,
      mode,
      Uint8Array.from(writeInstruction(row, mode, random)),
      selectors(mode, random),
    );
    try {
      placeCode(sketch);
      sketch.decode();
      if (!isAllowed(sketch.instruction.code) || leftOut(sketch)) continue;
      fillState(sketch, row);
      tune(sketch);
      chooseEnd(sketch);
      if (leftOutByState(sketch)) continue;
      return finish(sketch, row);
    } finally {
      sketch.free();
    }
  }
  return null;
}

function selectors(mode: Mode, random: SplitMix): number[] {
  const s = [...DEFAULT_SELECTORS[mode]];
  if (mode === 64) {
    if (random.oneIn(8)) s[random.pick([ES, DS, FS, GS])] = random.pick([0, SELECTOR.userData]);
    return s;
  }
  const wide = mode === 32;
  if (wide && random.oneIn(8)) s[CS] = SELECTOR.code32;
  if (random.oneIn(8))
    s[SS] = random.pick([
      SELECTOR.data16,
      SELECTOR.dataLimit,
      SELECTOR.dataExpandDown,
      SELECTOR.dataExpandDown16,
      SELECTOR.userData,
    ]);
  if (random.oneIn(6))
    s[random.pick([ES, DS, FS, GS])] = random.pick([
      0,
      SELECTOR.dataLimit,
      SELECTOR.dataReadOnly,
      SELECTOR.dataExpandDown,
      SELECTOR.dataExpandDown16,
      SELECTOR.userData,
      SELECTOR.data16,
      SELECTOR.user32Code,
    ]);
  return s;
}

/** Mostly amid a page; sometimes so that fetching the instruction crosses or leaves a page or the segment. */
function placeCode(s: Sketch): void {
  const { random } = s;
  const { length } = s.bytes;
  switch (random.below(100)) {
    case 0:
      s.codeAddress = CODE_BASE + PAGE - random.below(length);
      break;
    case 1:
      s.codeAddress = CODE_BASE + 2 * PAGE - 1 - random.below(length);
      break;
    case 2:
      s.codeAddress =
        (codeBase(s.selectors[CS]) ? CODE_BASE + 0x1_0000 : CODE_BASE + 2 * PAGE) - 1 - random.below(length);
      break;
    default:
      s.codeAddress = CODE_BASE + 256 + random.below(PAGE - 512);
  }
  if (s.selectors[CS] === SELECTOR.code32 && s.codeAddress >= CODE_BASE + 2 * PAGE)
    s.codeAddress = CODE_BASE + 2 * PAGE - 1;
}

const usesFx = (row: GeneratorRow): boolean =>
  (row.map === 0 && row.opcode[0]! >= 0xd8 && row.opcode[0]! <= 0xdf) ||
  row.opcode[0] === 0x9b ||
  (row.map === 1 && row.opcode[0] === 0xae);

/** iced-x86's register ranges that live in the FXSAVE image. */
function touchesFx(s: Sketch, row: GeneratorRow): boolean {
  if (usesFx(row)) return true;
  const { instruction: i } = s;
  for (let n = 0; n < i.opCount; n++) {
    if (i.opKind(n) !== OpKind.Register) continue;
    const r = i.opRegister(n);
    if ((r >= Register.XMM0 && r <= Register.XMM31) || (r >= Register.MM0 && r <= Register.ST7)) return true;
  }
  return i.mnemonic === Mnemonic.Emms;
}

function fillState(s: Sketch, row: GeneratorRow): void {
  const { random, mode } = s;
  const count = mode === 64 ? 16 : 8;
  for (let i = 0; i < count; i++)
    s.gpr[i] = mode === 64 ? operandValue(random) : operandValue(random) & WIDTH_MASK[32];
  if (mode === 64) {
    const bases = [
      0n,
      BigInt(DATA_BASE),
      BigInt(DATA_BASE - 0x40),
      BigInt(HIGH_BASE),
      BigInt.asUintN(47, operandValue(random)),
      0xffff_ffff_ffff_f000n,
    ];
    s.fsBase = random.pick(bases);
    s.gsBase = random.pick(bases);
  }
  s.rflags = random.u32() & 0x8d5;
  if (random.oneIn(8)) s.rflags |= RFLAGS.DF;
  if (random.oneIn(48)) s.rflags |= RFLAGS.AC;
  if (random.oneIn(24)) s.rflags |= RFLAGS.ID;
  if (random.oneIn(48)) s.rflags |= RFLAGS.NT;
  if (touchesFx(s, row)) s.fx = randomFxImage(random);
  // A misaligned FXSAVE area may be #AC instead of #GP where alignment is checked (SDM vol. 2, FXSAVE).
  if (SAVES_FX.has(s.instruction.mnemonic) || RESTORES_FX.has(s.instruction.mnemonic)) s.rflags &= ~RFLAGS.AC;
  s.placeStack();
}

function chooseEnd(s: Sketch): void {
  const { instruction: i, random } = s;
  const flow = i.flowControl;
  const branches = flow !== FlowControl.Next && flow !== FlowControl.Exception;
  const trap = i.isInvalid || nearCodeEnd(s) || branchesIntoItself(s);
  s.end = trap || random.oneIn(branches ? 3 : 12) ? "trap" : "breakpoint";
}

/** A relative branch whose target is one of its own bytes would run again, or run as something else. */
function branchesIntoItself(s: Sketch): boolean {
  const { instruction: i } = s;
  if (
    i.opCount === 0 ||
    (i.op0Kind !== OpKind.NearBranch16 &&
      i.op0Kind !== OpKind.NearBranch32 &&
      i.op0Kind !== OpKind.NearBranch64)
  )
    return false;
  const distance = i.nearBranchTarget - i.ip;
  return distance >= -1n && distance <= 15n;
}

function finish(s: Sketch, row: GeneratorRow): ConformanceCase {
  if (s.mode !== 64) for (let i = 0; i < 8; i++) s.gpr[i] = s.gpr[i]! & WIDTH_MASK[32];
  return {
    row: row.id,
    mode: s.mode,
    bytes: s.bytes,
    codeAddress: s.codeAddress,
    end: s.end,
    selectors: s.selectors,
    gpr: s.gpr,
    rflags: s.rflags,
    fsBase: s.fsBase,
    gsBase: s.gsBase,
    fx: s.fx,
    patches: s.patches,
    unspecified: unspecified(s, row.undefinedFlags),
  };
}

/**
 * What is unspecified about a case whose bytes or state were changed after it was generated.
 * @returns null when the changed case no longer belongs to the suite.
 */
export function reconsider(c: ConformanceCase): Unspecified | null {
  const sketch = new Sketch(new SplitMix(0), c.mode, c.bytes, c.selectors);
  try {
    sketch.codeAddress = c.codeAddress;
    sketch.gpr.set(c.gpr);
    sketch.fsBase = c.fsBase;
    sketch.gsBase = c.gsBase;
    sketch.rflags = c.rflags;
    sketch.decode();
    const { instruction } = sketch;
    if (!isAllowed(instruction.code) || leftOut(sketch)) return null;
    if (!instruction.isInvalid && leftOutByState(sketch)) return null;
    if (
      c.end === "breakpoint" &&
      (instruction.isInvalid || nearCodeEnd(sketch) || branchesIntoItself(sketch))
    )
      return null;
    const { memory } = c.unspecified;
    return { ...unspecified(sketch, 0), memory };
  } finally {
    sketch.free();
  }
}

/** A 16-byte operand through SS: misaligned and outside the segment, it may be #GP for one or #SS for the other. */
function alignedOnStack(s: Sketch): boolean {
  return s.operandSize >= 16 && s.instruction.memorySegment === Register.SS;
}

/** What comparing must leave out: the flags and bytes the architecture does not define for this case. */
function unspecified(s: Sketch, rowUndefined: number): Unspecified {
  const { instruction: i } = s;
  if (i.isInvalid) return { rflags: 0, memory: [], approximate: null };
  const memory: { address: number; length: number }[] = [];
  if (s.operandAddress !== null && SAVES_FX.has(i.mnemonic)) {
    // FOP, FIP, FDP: AMD processors store them only while an exception is pending. MXCSR_MASK: the model's.
    memory.push({ address: s.operandAddress + 6, length: 18 }, { address: s.operandAddress + 28, length: 4 });
    if (i.mnemonic === Mnemonic.Fxsave || i.mnemonic === Mnemonic.Fxsave64)
      memory.push({ address: s.operandAddress + 416, length: 96 });
  }
  return {
    rflags: undefinedFlags(s) | rowUndefined,
    memory,
    approximate: APPROXIMATE.get(i.mnemonic) ?? null,
    // Ten-byte operands are two accesses.
    faultOrder: SEVERAL_ACCESSES.has(i.mnemonic) || s.operandSize === 10 || alignedOnStack(s),
    ...(LOADS_FX.has(i.mnemonic) ? { partialFx: true } : {}),
    // SDM vol. 2, LAR: bits 19:16, the limit's upper bits, are undefined.
    ...(i.mnemonic === Mnemonic.Lar
      ? { gpr: { register: REGISTER_NUMBER[i.op0Register]!, mask: 0xf_0000n } }
      : {}),
  };
}

const LOADS_FX: ReadonlySet<Mnemonic> = new Set([
  Mnemonic.Fldenv,
  Mnemonic.Frstor,
  Mnemonic.Fxrstor,
  Mnemonic.Fxrstor64,
  Mnemonic.Xrstor,
  Mnemonic.Xrstor64,
]);

const RESTORES_FX: ReadonlySet<Mnemonic> = new Set([
  Mnemonic.Fxrstor,
  Mnemonic.Fxrstor64,
  Mnemonic.Xrstor,
  Mnemonic.Xrstor64,
]);

const SAVES_FX: ReadonlySet<Mnemonic> = new Set([
  Mnemonic.Fxsave,
  Mnemonic.Fxsave64,
  Mnemonic.Xsave,
  Mnemonic.Xsave64,
]);
