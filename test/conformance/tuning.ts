/**
 * What random state alone would rarely hit: per instruction, the state that makes its interesting paths likely.
 * Every function changes a finished sketch in some of its calls only, so that chance keeps its share.
 */
import { Mnemonic, OpKind, Register } from "iced-x86";
import { RFLAGS } from "./case.ts";
import { codeBase, PAGE, SELECTOR, STACK_BASE } from "./environment.ts";
import { fillOperand, randomFxImage } from "./floats.ts";
import { operandValue } from "./random.ts";
import { CS, RAX, RBP, RBX, RCX, RDX, REGISTER_NUMBER, RSP, type Sketch, SS, WIDTH_MASK } from "./sketch.ts";
import { operandBits } from "./undefined.ts";

type Tuning = (s: Sketch) => void;

const SHIFT_COUNTS = [0, 1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 127, 128, 255];

/** Selectors a program might load: user, kernel, local, null, unusable, beyond the limit, system. */
const SELECTORS: readonly number[] = [
  ...Object.values(SELECTOR),
  0,
  1,
  3,
  4,
  0x08,
  0x10,
  0x13,
  0x18,
  0x20,
  0x28,
  0x2a,
  0x30,
  0x40,
  0x50,
  0x63,
  0x83,
  0x4f,
  0x77,
  0x2007,
  0xfff8,
  0xffff,
];

const bytesOf = (value: bigint, size: number): Uint8Array => {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = Number((value >> BigInt(i * 8)) & 0xffn);
  return bytes;
};

const put = (bytes: Uint8Array, at: number, value: bigint, size: number): void =>
  bytes.set(bytesOf(value, size), at);

/**
 * A far call from compatibility mode to 64-bit code pushes at a 64-bit address. Where that faults above 4 GB,
 * Linux takes it for an erratum of old processors and retries for ever (is_errata100 in arch/x86/mm/fault.c).
 */
function stackIsPlain(s: Sketch): boolean {
  const top = s.stackAddress;
  return s.stackWidth === 32 && s.base(SS) === 0n && top > STACK_BASE && top < STACK_BASE + PAGE;
}

/** A far pointer's offset and selector that mostly name code of some kind. */
function farTarget(s: Sketch): { selector: number; offset: bigint } {
  const { random } = s;
  const selector = random.oneIn(3)
    ? random.pick(SELECTORS)
    : random.pick([
        SELECTOR.user32Code,
        SELECTOR.user64Code,
        SELECTOR.code16,
        SELECTOR.code32,
        SELECTOR.codeExecuteOnly,
      ]);
  if (s.mode !== 64 && (selector & ~3) === (SELECTOR.user64Code & ~3) && !stackIsPlain(s))
    return { selector: SELECTOR.user32Code, offset: s.codeTarget(0) };
  return { selector, offset: s.codeTarget(codeBase(selector)) };
}

const shiftByCl: Tuning = (s) => {
  if (s.random.oneIn(4)) return;
  s.gpr[RCX] = (s.gpr[RCX]! & ~0xffn) | BigInt(s.random.pick(SHIFT_COUNTS));
};

/** Dividends that mostly fit: a high half of zero, of sign bits, or below the divisor. */
const divide: Tuning = (s) => {
  const { random } = s;
  const bits = operandBits(s);
  const signed = s.instruction.mnemonic === Mnemonic.Idiv;
  if (bits === 8) {
    if (random.oneIn(3)) return;
    const al = s.gpr[RAX]! & 0xffn;
    const high = signed && al & 0x80n ? 0xff00n : 0n;
    s.gpr[RAX] = (s.gpr[RAX]! & ~0xffffn) | high | al;
    return;
  }
  const width = bits as 16 | 32 | 64;
  const sign = (s.gpr[RAX]! >> BigInt(bits - 1)) & 1n;
  switch (random.below(4)) {
    case 0:
      s.setRegister(RDX, 0n, width);
      break;
    case 1:
      s.setRegister(RDX, signed && sign ? -1n : 0n, width);
      break;
    case 2:
      s.setRegister(RDX, BigInt(random.below(8)), width);
      break;
    default:
      break;
  }
};

/** Half of the comparisons succeed. */
const compareExchange: Tuning = (s) => {
  if (s.random.oneIn(2)) return;
  const size = operandBits(s) / 8;
  if (s.operandAddress !== null) s.patchNumber(s.operandAddress, s.gpr[RAX]!, size);
  else if (size > 1) s.gpr[REGISTER_NUMBER[s.instruction.op0Register]!] = s.gpr[RAX]!;
};

const compareExchangeWide: Tuning = (s) => {
  if (s.operandAddress === null || s.random.oneIn(2)) return;
  const size = s.operandSize / 2;
  const pair = new Uint8Array(size * 2);
  put(pair, 0, s.gpr[RAX]!, size);
  put(pair, size, s.gpr[RDX]!, size);
  s.patch(s.operandAddress, pair);
};

/** A register bit offset moves the operand's address: keep most of them within the window. */
const bitOffset: Tuning = (s) => {
  const { instruction, random } = s;
  if (s.operandAddress === null || instruction.op1Kind !== OpKind.Register || random.oneIn(6)) return;
  const register = REGISTER_NUMBER[instruction.op1Register]!;
  if (
    register === REGISTER_NUMBER[instruction.memoryBase] ||
    register === REGISTER_NUMBER[instruction.memoryIndex]
  )
    return;
  s.setRegister(register, BigInt(random.below(4096) - 2048), operandBits(s) as 16 | 32 | 64);
};

/** RSI, RDI in the windows, a short count, contents that agree for a while. */
const string: Tuning = (s) => {
  const { instruction, random } = s;
  const { source, destination } = s.placeStringOperands();
  const repeats = instruction.hasRepPrefix || instruction.hasRepnePrefix;
  const kind = instruction.opCount > 1 ? [instruction.op0Kind, instruction.op1Kind] : [instruction.op0Kind];
  const is16 = kind.some((k) => k === OpKind.MemorySegSI || k === OpKind.MemoryESDI);
  const is32 = kind.some((k) => k === OpKind.MemorySegESI || k === OpKind.MemoryESEDI);
  if (repeats && !random.oneIn(32)) s.setRegister(RCX, BigInt(random.below(24)), is16 ? 16 : is32 ? 32 : 64);
  if (random.oneIn(2)) s.rflags |= RFLAGS.DF;
  if (random.oneIn(2)) return;
  const same = new Uint8Array(96).fill(random.u32());
  s.gpr[RAX] = BigInt(same[0]!) * 0x0101_0101_0101_0101n;
  for (const address of [source, destination]) {
    if (address === null) continue;
    const content = same.slice();
    if (random.oneIn(2)) content[random.below(96)] = random.u32();
    s.patch(address - 48, content);
  }
};

const near: Tuning = (s) => {
  const { instruction } = s;
  if (instruction.opCount === 0 || s.random.oneIn(8)) return;
  const target = s.codeTarget(codeBase(s.selectors[CS]));
  if (instruction.op0Kind === OpKind.Register) {
    const register = REGISTER_NUMBER[instruction.op0Register]!;
    if (register !== RSP) s.gpr[register] = s.mode === 64 ? target : target & 0xffff_ffffn;
  } else if (s.operandAddress !== null) s.patchNumber(s.operandAddress, target, 8);
};

const returnNear: Tuning = (s) => s.patchNumber(s.stackAddress, s.codeTarget(codeBase(s.selectors[CS])), 8);

const farPointer: Tuning = (s) => {
  const { instruction } = s;
  const { selector, offset } = farTarget(s);
  if (instruction.op0Kind === OpKind.FarBranch16 || instruction.op0Kind === OpKind.FarBranch32) {
    s.setField(s.immediate, offset);
    s.setField(s.secondImmediate, BigInt(selector));
  } else if (s.operandAddress !== null) {
    const pointer = new Uint8Array(s.operandSize);
    put(pointer, 0, offset, s.operandSize - 2);
    put(pointer, s.operandSize - 2, BigInt(selector), 2);
    s.patch(s.operandAddress, pointer);
  }
};

/** The stack of a far return or IRET whose items are `size` bytes. */
function farReturnFrame(s: Sketch, size: number, items: readonly bigint[]): void {
  const frame = new Uint8Array(size * items.length);
  items.forEach((item, i) => {
    put(frame, i * size, item, size);
  });
  s.patch(s.stackAddress, frame);
}

function farReturnSize(s: Sketch): number {
  const mnemonic = Mnemonic[s.instruction.mnemonic]!;
  const code = s.instruction.stackPointerIncrement;
  if (mnemonic.endsWith("q")) return 8;
  if (mnemonic.endsWith("d")) return 4;
  return code >= 16 ? 8 : code >= 8 ? 4 : 2;
}

const returnFar: Tuning = (s) => {
  const { selector, offset } = farTarget(s);
  const op = s.instruction.opCode;
  const size = op.operandSize ? op.operandSize / 8 : farReturnSize(s);
  op.free();
  farReturnFrame(s, size, [offset, BigInt(selector)]);
};

const interruptReturn: Tuning = (s) => {
  const { random } = s;
  const { selector, offset } = farTarget(s);
  const op = s.instruction.opCode;
  const size = op.operandSize / 8;
  op.free();
  // TF stays clear: what follows the return belongs to no case.
  const flags = BigInt((random.oneIn(2) ? random.u32() & 0x4cfd5 : random.u32()) & ~0x100);
  const stack = random.oneIn(3) ? random.pick(SELECTORS) : SELECTOR.userData;
  const pointer = random.oneIn(6) ? operandValue(random) : BigInt(STACK_BASE + 8 * random.below(256));
  farReturnFrame(s, size, [offset, BigInt(selector), flags, pointer, BigInt(stack)]);
  if (!random.oneIn(8)) s.rflags &= ~RFLAGS.NT;
};

/** A selector in every place a segment load might read it from. */
const selectorOperand: Tuning = (s) => {
  const { instruction, random } = s;
  if (random.oneIn(12)) return;
  const selector = BigInt(random.pick(SELECTORS));
  for (let i = 0; i < instruction.opCount; i++) {
    if (instruction.opKind(i) !== OpKind.Register) continue;
    const register = instruction.opRegister(i);
    if (register >= Register.AX && register <= Register.R15 && !isAddressRegister(s, register))
      s.setRegister(REGISTER_NUMBER[register]!, BigInt(random.pick(SELECTORS)), 16);
  }
  if (s.operandAddress === null) return;
  const size = s.operandSize;
  const bytes = random.fill(new Uint8Array(Math.max(size, 2)));
  put(bytes, Math.max(size, 2) - 2, selector, 2);
  s.patch(s.operandAddress, bytes);
};

function isAddressRegister(s: Sketch, register: Register): boolean {
  const number = REGISTER_NUMBER[register];
  return (
    number === REGISTER_NUMBER[s.instruction.memoryBase] ||
    number === REGISTER_NUMBER[s.instruction.memoryIndex]
  );
}

const popSelector: Tuning = (s) => s.patchNumber(s.stackAddress, BigInt(s.random.pick(SELECTORS)), 2);

const popFlags: Tuning = (s) => {
  const noise = s.random.oneIn(2) ? s.random.u32() : s.random.u32() & 0xfd5;
  s.patchNumber(s.stackAddress, BigInt(noise & ~0x100), 8);
};

const framePointer: Tuning = (s) => {
  if (s.random.oneIn(6)) return;
  const linear = BigInt(s.random.oneIn(4) ? s.target(8) : STACK_BASE + 1024 + s.random.below(PAGE - 2048));
  s.setRegister(RBP, linear - s.base(SS), s.stackWidth);
};

const enter: Tuning = (s) => {
  framePointer(s);
  s.setField(s.immediate, BigInt(s.random.oneIn(4) ? s.random.u32() & 0xffff : s.random.below(64)));
  s.setField(s.secondImmediate, BigInt(s.random.oneIn(2) ? s.random.below(4) : s.random.below(256)));
};

const translate: Tuning = (s) => {
  const { instruction } = s;
  const segment = instruction.memorySegment;
  const index = [Register.ES, Register.CS, Register.SS, Register.DS, Register.FS, Register.GS].indexOf(
    segment,
  );
  const base = BigInt(s.target(1)) - s.base(index) - (s.gpr[RAX]! & 0xffn);
  s.setRegister(
    RBX,
    base,
    instruction.memoryBase === Register.BX ? 16 : instruction.memoryBase === Register.EBX ? 32 : 64,
  );
};

const maskedMove: Tuning = (s) => {
  s.placeStringOperands();
};

const bound: Tuning = (s) => {
  if (s.operandAddress === null || s.random.oneIn(4)) return;
  const size = s.operandSize / 2;
  const index = s.gpr[REGISTER_NUMBER[s.instruction.op0Register]!]!;
  const pair = new Uint8Array(size * 2);
  put(pair, 0, index - BigInt(s.random.below(3)), size);
  put(pair, size, index + BigInt(s.random.below(3) - 1), size);
  s.patch(s.operandAddress, pair);
};

const loadMxcsr: Tuning = (s) => {
  if (s.operandAddress === null) return;
  // Bit 17 (misaligned SSE mode) is left out: a few AMD processors define it, no other.
  const invalid = s.random.oneIn(12) ? (1 << (16 + s.random.below(16))) & ~(1 << 17) : 0;
  s.patchNumber(s.operandAddress, BigInt(((s.random.u32() & 0xffff) | invalid) >>> 0), 4);
};

const fxRestore: Tuning = (s) => {
  if (s.operandAddress === null || s.random.oneIn(8)) return;
  const image = randomFxImage(s.random);
  if (s.random.oneIn(8)) image[24 + 2 + s.random.below(2)] = 1 << s.random.pick([0, 2, 3, 4, 5, 6, 7]);
  s.patch(s.operandAddress, image);
};

const xsave: Tuning = (s) => {
  s.gpr[RAX] = (s.gpr[RAX]! & ~WIDTH_MASK[32]) | BigInt(s.random.below(4));
  s.gpr[RDX] = s.gpr[RDX]! & ~WIDTH_MASK[32];
};

const xrestore: Tuning = (s) => {
  xsave(s);
  if (s.operandAddress === null) return;
  s.patch(s.operandAddress, randomFxImage(s.random));
  const header = new Uint8Array(64);
  header[0] = s.random.below(4);
  if (s.random.oneIn(12)) header[8 + s.random.below(16)] = 1 << s.random.below(6);
  s.patch(s.operandAddress + 512, header);
};

const interrupt: Tuning = (s) => {
  s.setField(s.immediate, BigInt(s.random.pick([0, 1, 2, 3, 4, 5, 8, 13, 14, 0x20, 0x7f, 0x81, 0xfe, 0xff])));
};

const BY_MNEMONIC: readonly (readonly [Tuning, readonly Mnemonic[]])[] = [
  [
    shiftByCl,
    [
      Mnemonic.Rol,
      Mnemonic.Ror,
      Mnemonic.Rcl,
      Mnemonic.Rcr,
      Mnemonic.Shl,
      Mnemonic.Sal,
      Mnemonic.Shr,
      Mnemonic.Sar,
    ],
  ],
  [shiftByCl, [Mnemonic.Shld, Mnemonic.Shrd]],
  [divide, [Mnemonic.Div, Mnemonic.Idiv]],
  [compareExchange, [Mnemonic.Cmpxchg]],
  [compareExchangeWide, [Mnemonic.Cmpxchg8b, Mnemonic.Cmpxchg16b]],
  [bitOffset, [Mnemonic.Bt, Mnemonic.Btc, Mnemonic.Btr, Mnemonic.Bts]],
  [near, [Mnemonic.Jmp, Mnemonic.Call]],
  [returnNear, [Mnemonic.Ret]],
  [returnFar, [Mnemonic.Retf]],
  [interruptReturn, [Mnemonic.Iret, Mnemonic.Iretd, Mnemonic.Iretq]],
  [selectorOperand, [Mnemonic.Lds, Mnemonic.Les, Mnemonic.Lss, Mnemonic.Lfs, Mnemonic.Lgs]],
  [selectorOperand, [Mnemonic.Lar, Mnemonic.Lsl, Mnemonic.Verr, Mnemonic.Verw, Mnemonic.Arpl]],
  [popFlags, [Mnemonic.Popf, Mnemonic.Popfd, Mnemonic.Popfq]],
  [framePointer, [Mnemonic.Leave]],
  [enter, [Mnemonic.Enter]],
  [translate, [Mnemonic.Xlatb]],
  [maskedMove, [Mnemonic.Maskmovq, Mnemonic.Maskmovdqu]],
  [bound, [Mnemonic.Bound]],
  [loadMxcsr, [Mnemonic.Ldmxcsr]],
  [fxRestore, [Mnemonic.Fxrstor, Mnemonic.Fxrstor64]],
  [xsave, [Mnemonic.Xsave, Mnemonic.Xsave64]],
  [xrestore, [Mnemonic.Xrstor, Mnemonic.Xrstor64]],
  [interrupt, [Mnemonic.Int]],
];

const TUNINGS: ReadonlyMap<Mnemonic, Tuning> = new Map(
  BY_MNEMONIC.flatMap(([tuning, mnemonics]) => mnemonics.map((mnemonic) => [mnemonic, tuning] as const)),
);

/** Random content of the explicit memory operand: integers at their edges or floating-point values. */
function fillMemoryOperand(s: Sketch): void {
  if (s.operandAddress === null || s.random.oneIn(6)) return;
  const size = s.operandSize;
  if (size === 0 || size > 64) return;
  const bytes = new Uint8Array(size);
  if (s.fx && s.random.oneIn(4) === false) fillOperand(bytes, s.random);
  else for (let at = 0; at < size; at += 8) put(bytes, at, operandValue(s.random), Math.min(8, size - at));
  s.patch(s.operandAddress, bytes);
}

/** Places every operand of the sketch and applies the instruction's own tuning. */
export function tune(s: Sketch): void {
  const { instruction } = s;
  s.placeOperand();
  fillMemoryOperand(s);
  if (instruction.isInvalid) return;
  const { mnemonic } = instruction;
  const tuning = TUNINGS.get(mnemonic);
  if (instruction.isStringInstruction) string(s);
  else if (
    instruction.isJmpFar ||
    instruction.isCallFar ||
    instruction.isJmpFarIndirect ||
    instruction.isCallFarIndirect
  )
    farPointer(s);
  else if (mnemonic === Mnemonic.Mov && hasSegmentRegister(s)) selectorOperand(s);
  else if (mnemonic === Mnemonic.Pop && hasSegmentRegister(s)) popSelector(s);
  else tuning?.(s);
  if (mnemonic === Mnemonic.Loop || instruction.isLoopcc || instruction.isJcxShort) {
    if (s.random.oneIn(2))
      s.gpr[RCX] =
        BigInt(s.random.below(3)) | (s.random.oneIn(2) ? 0x1_0000n << BigInt(s.random.below(17)) : 0n);
  }
}

function hasSegmentRegister(s: Sketch): boolean {
  const { instruction } = s;
  for (let i = 0; i < instruction.opCount; i++) {
    if (instruction.opKind(i) !== OpKind.Register) continue;
    const r = instruction.opRegister(i);
    if (r >= Register.ES && r <= Register.GS) return true;
  }
  return false;
}
