/**
 * Writes the bytes of an instruction form with random prefixes, ModRM, SIB, displacement and immediate.
 *
 * The result is longer than the instruction: eight bytes of immediate follow whether or not the form has one,
 * and decoding tells how many belong to it.
 */
import type { Mode } from "./case.ts";
import { operandValue, type SplitMix } from "./random.ts";
import type { GeneratorRow } from "./rows.ts";

const SEGMENT_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65] as const;
const LOCK = 0xf0;
const OPERAND_SIZE = 0x66;
const ADDRESS_SIZE = 0x67;

/** Bits of REX, and the same bits of VEX before their inversion. */
const REX = { W: 8, R: 4, X: 2, B: 1 } as const;

/** @returns prefixes, opcode, ModRM, SIB, displacement and eight bytes of immediate: at most 15 + 21 bytes. */
export function writeInstruction(row: GeneratorRow, mode: Mode, random: SplitMix): number[] {
  const legacy = legacyPrefixes(row, mode, random);
  const body = row.vex ? vexBody(row, mode, random) : legacyBody(row, mode, random);
  return [...legacy, ...body];
}

/** The operand size this instance aims for: the row's, or any the mode has. */
function operandSize(row: GeneratorRow, mode: Mode, random: SplitMix): 16 | 32 | 64 {
  if (row.operandSize) return row.operandSize;
  if (row.default64 && mode === 64) return 64;
  const common = mode === 16 ? 16 : 32;
  if (row.prefix !== "" || !random.oneIn(4)) return common;
  return random.oneIn(2) ? 16 : mode === 64 ? 64 : 32;
}

function legacyPrefixes(row: GeneratorRow, mode: Mode, random: SplitMix): number[] {
  const prefixes: number[] = [];
  const defaultSize = mode === 16 ? 16 : 32;
  const size = operandSize(row, mode, random);
  const wants66 = size !== 64 && size !== (row.default64 && mode === 64 ? 64 : defaultSize);
  if (row.vex === null && row.prefix === "" && wants66) prefixes.push(OPERAND_SIZE);
  if (row.vex === null && row.prefix === "66") prefixes.push(OPERAND_SIZE);
  if (row.vex === null && row.prefix === "F3") prefixes.push(0xf3);
  if (row.vex === null && row.prefix === "F2") prefixes.push(0xf2);
  if (row.addressSize ? row.addressSize !== mode : random.oneIn(8)) prefixes.push(ADDRESS_SIZE);
  if (random.oneIn(8)) prefixes.push(random.pick(SEGMENT_PREFIXES));
  if (random.oneIn(row.lockable ? 4 : 48)) prefixes.push(LOCK);
  if (row.vex === null && random.oneIn(row.prefix === "" ? 12 : 48))
    prefixes.push(random.oneIn(2) ? 0xf2 : 0xf3);
  if (random.oneIn(row.vex ? 128 : 24)) prefixes.push(OPERAND_SIZE);
  if (random.oneIn(64) && prefixes.length > 0) prefixes.push(random.pick(prefixes));
  for (let i = prefixes.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [prefixes[i], prefixes[j]] = [prefixes[j]!, prefixes[i]!];
  }
  // SDM vol. 2, 2.3.11: an instruction of more than 15 bytes is #GP(0).
  if (random.oneIn(256))
    while (prefixes.length < 11 + random.below(4)) prefixes.unshift(random.pick(SEGMENT_PREFIXES));
  return prefixes;
}

function legacyBody(row: GeneratorRow, mode: Mode, random: SplitMix): number[] {
  const bytes: number[] = [];
  if (mode === 64) {
    let rex = random.oneIn(2) ? 0 : 0x40 | (random.below(16) & ~REX.W);
    const size = row.operandSize || (random.oneIn(4) ? 64 : 32);
    if (row.w === 1 || (size === 64 && !row.default64) || random.oneIn(24)) rex |= 0x40 | REX.W;
    if (rex) bytes.push(rex);
    // SDM vol. 2, 2.2.1: a REX prefix that does not immediately precede the opcode is ignored.
    if (rex && random.oneIn(96)) bytes.push(random.pick(SEGMENT_PREFIXES));
  }
  if (row.map > 0) bytes.push(0x0f);
  if (row.map === 2) bytes.push(0x38);
  if (row.map === 3) bytes.push(0x3a);
  return [...bytes, ...opcodeOnward(row, mode, random)];
}

function vexBody(row: GeneratorRow, mode: Mode, random: SplitMix): number[] {
  const { l, w } = row.vex!;
  const pp = { "": 0, NP: 0, "66": 1, F3: 2, F2: 3 }[row.prefix];
  const rxb = mode === 64 ? random.below(8) : 0;
  const vvvv = mode === 64 ? random.below(16) : random.below(8);
  // VEX.R and VEX.X are stored inverted; outside 64-bit mode both 1, or C4 would be LES.
  const first = ((rxb ^ 7) << 5) | row.map;
  const length = random.oneIn(32) ? 1 : (l ?? random.below(2));
  const second = ((w ?? random.below(2)) << 7) | ((vvvv ^ 15) << 3) | (length << 2) | pp;
  const useShort = row.map === 1 && (w ?? 0) === 0 && (rxb & 3) === 0 && random.oneIn(2);
  const prefix = useShort ? [0xc5, ((rxb & 4) === 0 ? 0x80 : 0) | (second & 0x7f)] : [0xc4, first, second];
  return [...prefix, ...opcodeOnward(row, mode, random)];
}

function opcodeOnward(row: GeneratorRow, mode: Mode, random: SplitMix): number[] {
  const bytes = [...row.opcode];
  if (row.opcodeRegister) bytes[bytes.length - 1] = (bytes.at(-1)! & 0xf8) | random.below(8);
  if (row.modrm) {
    const { digit, mod } = row.modrm;
    const wrongMod = random.oneIn(48);
    const register = mod === "reg" ? !wrongMod : mod === "mem" ? wrongMod : random.oneIn(2);
    const modBits = register ? 3 : random.below(3);
    const modrm = (modBits << 6) | ((digit ?? random.below(8)) << 3) | random.below(8);
    bytes.push(modrm);
    if (modBits !== 3) {
      // With 16-bit addresses there is no SIB byte: what is meant as one is then displacement or immediate.
      if (mode !== 16 && (modrm & 7) === 4) bytes.push(random.below(256));
      const displacement = random.oneIn(3) ? random.u32() : random.below(64) - 32;
      const count = modBits === 1 ? 1 : 4;
      for (let i = 0; i < count; i++) bytes.push((displacement >> (i * 8)) & 0xff);
    }
  }
  let immediate = operandValue(random);
  for (let i = 0; i < 8; i++) {
    bytes.push(Number(immediate & 0xffn));
    immediate >>= 8n;
  }
  return bytes;
}
