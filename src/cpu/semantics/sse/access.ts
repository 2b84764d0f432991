/**
 * What every MMX and SSE definition starts and ends with: whether the instruction may run at all, and reading
 * and writing vector operands of either register file as v128.
 */
import { type I32, type I64, i32, i64, lane, load, op, type V128, v128 } from "../../../wasm/index.ts";
import { Vector } from "../../fault.ts";
import { CR0, CR4, FSW, FTW, MXCSR } from "../../layout.ts";
import { Cr0, Cr4 } from "../../registers.ts";
import { type MemoryOperand, type Operand, RegisterOperand } from "../operands.ts";
import type { Stage } from "../stage.ts";

/** FSW.ES: an unmasked x87 exception waits (SDM vol. 1 8.1.3.3). FSW.TOP is bits 11-13. */
const FSW_ES = 0x80;
const FSW_TOP = 0x3800;

/** #UD when CR0.EM = 1 or CR4.OSFXSR = 0, #NM when CR0.TS = 1 (SDM vol. 3A 14.1.2). */
export function requireSse(s: Stage): void {
  const control = s.b.let(load("i32.load", s.cpu, CR0).and(Cr0.EM | Cr0.TS));
  const off = s.b.let(load("i32.load", s.cpu, CR4).and(Cr4.OSFXSR).xor(Cr4.OSFXSR));
  s.b.if(control.or(off), () => {
    s.faultIf(control.and(Cr0.EM).or(off), Vector.UD);
    s.path.recordFault(Vector.NM, 0);
    s.exits.fault();
  });
}

/** #UD when CR0.EM = 1, #NM when CR0.TS = 1, #MF for a pending x87 exception (SDM vol. 3A 13.1, 13.5). */
export function requireMmx(s: Stage): void {
  const control = s.b.let(load("i32.load", s.cpu, CR0).and(Cr0.EM | Cr0.TS));
  const pending = load("i32.load", s.cpu, FSW).and(FSW_ES);
  s.b.if(control.or(pending), () => {
    s.faultIf(control.and(Cr0.EM), Vector.UD);
    s.faultIf(control.and(Cr0.TS), Vector.NM);
    s.path.recordFault(Vector.MF, 0);
    s.exits.fault();
  });
}

/** Both, for the instructions that move between the register files. */
export function requireSseAndMmx(s: Stage): void {
  requireSse(s);
  s.faultIf(load("i32.load", s.cpu, FSW).and(FSW_ES), Vector.MF);
}

/** Whether the instruction form names an MMX register or a quadword beside one. */
export function usesMmx(s: Stage): boolean {
  return s.form.row.operands.some((o) => "PQN".includes(o.kind));
}

/** The checks of a mnemonic that has forms for both register files. */
export function require(s: Stage): void {
  if (usesMmx(s)) requireMmx(s);
  else requireSse(s);
}

/**
 * Every MMX instruction but EMMS makes TOP 0 and all tags valid (SDM vol. 1 9.5.1). It comes after the last
 * possible fault.
 */
export function enterMmx(s: Stage): void {
  s.b.store("i32.store", s.cpu, load("i32.load", s.cpu, FSW).and(~FSW_TOP), FSW);
  s.b.store("i32.store", s.cpu, i32(0), FTW);
}

/** The general operand order: destination, first source (the destination itself but for VEX), last source. */
export function sources(s: Stage): { destination: Operand; first: Operand; second: Operand } {
  const count = s.operands.length - (s.form.row.operands.at(-1)?.kind === "I" ? 1 : 0);
  return { destination: s.operand(0), first: s.operand(count === 3 ? 1 : 0), second: s.operand(count - 1) };
}

/** The 8-bit immediate, zero-extended. */
export function immediateByte(s: Stage): I32 {
  return s.b.let(
    s
      .operand(s.operands.length - 1)
      .read()
      .wrap()
      .and(0xff),
  );
}

/** A vector operand; one narrower than 16 bytes has its value in both halves. */
export function readVector(operand: Operand): V128 {
  if (operand.width === 16) return operand.readV();
  return operand.stage.b.let(op("i64x2.splat", operand.read()));
}

/** Writes an XMM register or 16 bytes of memory whole, or an MMX register from the vector's low half. */
export function writeVector(operand: Operand, value: V128): void {
  if (operand.width === 16) operand.writeV(value);
  else writeMmx(operand, lane<I64>("i64x2.extract_lane", [0], value));
}

/** Writes an MMX register: bits 79-64 of the x87 register become ones (SDM vol. 1 9.2.1). */
export function writeMmx(operand: Operand, value: I64): void {
  const { stage } = operand;
  const { b, cpu } = stage;
  const result = b.let(value);
  enterMmx(stage);
  operand.write(result);
  const { slot } = operand as RegisterOperand;
  b.store("i32.store16", cpu.add(slot), i32(0xffff), 8);
}

/** Address of a register's bytes, for element access at a run-time index. */
export function registerAddress(operand: Operand): I32 {
  if (!(operand instanceof RegisterOperand)) throw new Error("a register operand is wanted");
  return operand.stage.b.let(operand.stage.cpu.add(operand.slot));
}

/** Writes an XMM register: `value` in the low 8 bytes, zero above. */
export function writeLowZeroing(operand: Operand, value: I64): void {
  const { b } = operand.stage;
  const address = registerAddress(operand);
  b.store("i64.store", address, value);
  b.store("i64.store", address, i64(0), 8);
}

/** Writes the low 4 or 8 bytes of an XMM register, or as many bytes of memory. */
export function writeElement(operand: Operand, value: I64): void {
  if (operand instanceof RegisterOperand) operand.writeElement(value);
  else operand.write(value);
}

/** The high quadword of an XMM register. */
export function readHigh(operand: Operand): I64 {
  return operand.stage.b.let(load("i64.load", registerAddress(operand), 8));
}
export function writeHigh(operand: Operand, value: I64): void {
  operand.stage.b.store("i64.store", registerAddress(operand), value, 8);
}

export function mxcsr(s: Stage): I32 {
  return load("i32.load", s.cpu, MXCSR);
}

/** Linear address of the implicit destination of MASKMOVQ and MASKMOVDQU, [rDI]. */
export function linearOf(s: Stage, operand: MemoryOperand): I64 {
  if (!s.long) return s.path.legacyLinear(s, operand, true);
  return s.b.let(operand.offset.add(load("i64.load", s.cpu.add(s.fields.register("segmentBase")))));
}

// ---- Constant vectors --------------------------------------------------------------------------------

/** 16 bytes, 8 words, 4 doublewords or 2 quadwords, by the number of elements given. */
export function constant(...elements: number[]): V128 {
  const size = 16 / elements.length;
  const bytes = new Uint8Array(16);
  elements.forEach((element, i) => {
    for (let k = 0; k < size; k++) bytes[i * size + k] = k < 4 ? element >> (8 * k) : element < 0 ? 255 : 0;
  });
  return v128(bytes);
}

/** 0, 1, ... 15. */
export const IOTA = Array.from({ length: 16 }, (_, i) => i);

/** A 32-bit value in each lane of the given size in bytes; the value is cut to it. */
export function splat(size: 1 | 2 | 4, value: I32): V128 {
  return op(`${size === 1 ? "i8x16" : size === 2 ? "i16x8" : "i32x4"}.splat`, value);
}

/** A fixed byte shuffle of two vectors: 0-15 from `a`, 16-31 from `b`. */
export function shuffle(a: V128, b: V128, lanes: readonly number[]): V128 {
  return lane("i8x16.shuffle", lanes, a, b);
}

/** Byte indices of a shuffle given by elements of `size` bytes. */
export function elements(size: number, indices: readonly number[]): number[] {
  return indices.flatMap((index) => Array.from({ length: size }, (_, k) => index * size + k));
}

/** The low halves of two vectors, one after the other. */
export function lowHalves(a: V128, b: V128): V128 {
  return shuffle(a, b, elements(8, [0, 2]));
}
