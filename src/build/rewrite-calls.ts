/**
 * Replaces SYSCALL in an application that is linked with the kernel by a call of the kernel's entry code,
 * `ukl_entry`, which has SYSCALL's register convention (only RAX, RCX and R11 change).
 *
 * SYSCALL has two bytes, a near call five. So a window of whole instructions around it is replaced, and those
 * that are displaced move to a stub. A window's instructions but the first must not be the target of a branch.
 * In order of preference, by the number of instructions that come in addition to CALL and RET:
 *
 *   jump       SYSCALL RET and padding: JMP ukl_entry, whose RET returns for the function      -1
 *   call       SYSCALL and padding: CALL ukl_entry                                              0
 *   jump-stub  SYSCALL RET: JMP stub, and there: before..., JMP ukl_entry                       0
 *   call-stub  CALL stub, and there: before..., JMP ukl_entry, whose RET returns to the window +1
 *   around     JMP stub, and there: before..., CALL ukl_entry, after..., JMP back              +2
 *
 * Instructions displaced by `call-stub` run with RSP 8 lower, so they must not use it; in the others it is as
 * it was. A function with data in the red zone gets `around` with RSP moved over it, since the call pushes.
 */
import { BuildError } from "./build-error.ts";
import type { Code, Instruction } from "./disassembly.ts";
import { hexAddress } from "./elf-file.ts";

export type Form = "jump" | "call" | "jump-stub" | "call-stub" | "around";

/** How one SYSCALL is replaced. */
export interface Rewrite {
  readonly form: Form;
  /** Address of the SYSCALL instruction. */
  readonly address: number;
  readonly functionName: string;
  /** First and first address after the bytes replaced. */
  readonly start: number;
  readonly end: number;
  readonly before: readonly Instruction[];
  readonly after: readonly Instruction[];
  /** RSP is moved below the red zone around the call. */
  readonly guarded: boolean;
  /** Offset and size of its stub among the stubs; size 0: it needs none. */
  readonly stubOffset: number;
  readonly stubSize: number;
}

const SYSCALL_SIZE = 2;
const NEAR_SIZE = 5;
/** An instruction has at most 15 bytes (SDM vol. 2A 2.3.11), prefixes included. */
const LONGEST = 15;
/** How many instructions on either side may be displaced. */
const MOST_DISPLACED = 6;
/** LEA RSP, [RSP - 128] and LEA RSP, [RSP + 128]: unlike ADD they keep the flags. */
const GUARD = [0x48, 0x8d, 0x64, 0x24, 0x80] as const;
const UNGUARD = [0x48, 0x8d, 0xa4, 0x24, 0x80, 0x00, 0x00, 0x00] as const;

const total = (instructions: readonly Instruction[]): number =>
  instructions.reduce((sum, { length }) => sum + length, 0);

/** First byte of the near form of a direct branch, or null: it cannot be moved. */
function nearBranch(bytes: Uint8Array): readonly number[] | null {
  const [first = 0, second = 0] = bytes;
  if (first >= 0x70 && first <= 0x7f) return [0x0f, first + 0x10];
  if (first === 0x0f && second >= 0x80 && second <= 0x8f) return [first, second];
  if (first === 0xeb || first === 0xe9) return [0xe9];
  return null;
}

const bytesOf = (code: Code, { address, length }: Instruction): Uint8Array =>
  code.bytes.subarray(address - code.address, address - code.address + length);

/** Bytes that an instruction takes in a stub, or null: it cannot be moved. */
function movedSize(code: Code, instruction: Instruction): number | null {
  const { kind, flow, length, target } = instruction;
  if (kind === "ret") return length;
  if (kind !== "other" && kind !== "nop") return null;
  if (flow === "next") return length;
  if ((flow === "jump" || flow === "branch") && target !== null) {
    const opcode = nearBranch(bytesOf(code, instruction));
    return opcode === null ? null : opcode.length + 4;
  }
  return null;
}

/** The bytes of an instruction at its new place. */
function move(code: Code, instruction: Instruction, address: number): Uint8Array {
  const original = bytesOf(code, instruction);
  const opcode = instruction.target === null ? null : nearBranch(original);
  if (opcode !== null) {
    const size = opcode.length + 4;
    return Uint8Array.from([...opcode, ...int32(instruction.target! - (address + size))]);
  }
  const bytes = original.slice();
  if (instruction.ripTarget !== null) {
    bytes.set(int32(instruction.ripTarget - (address + bytes.length)), instruction.ripOffset);
  }
  return bytes;
}

function int32(value: number): number[] {
  if (value < -(2 ** 31) || value >= 2 ** 31) throw new RangeError(`a branch over ${value} bytes`);
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff];
}

/** What the plan needs to know of the program. */
export interface PlanOptions {
  /** Addresses that control may arrive at from elsewhere. */
  readonly targets: ReadonlySet<number>;
  readonly functionAt: (address: number) => string | null;
  /** Whether the function at an address keeps data below RSP. */
  readonly usesRedZone: (address: number) => boolean;
}

type Window = Pick<Rewrite, "form" | "before" | "after" | "start" | "end" | "guarded"> & { stubSize: number };

/** The best window for the SYSCALL at `index`, or null. */
function chooseWindow(
  code: Code,
  index: number,
  taken: ReadonlySet<number>,
  options: PlanOptions,
): Window | null {
  const { instructions } = code;
  const syscall = instructions[index]!;
  const { targets } = options;
  const guarded = options.usesRedZone(syscall.address);
  const follows = (i: number): boolean => {
    const previous = instructions[i - 1];
    return previous !== undefined && previous.address + previous.length === instructions[i]?.address;
  };
  /** Instructions right behind SYSCALL that nothing else reaches. */
  const inert: Instruction[] = [];
  const isInert = (i: number): boolean =>
    follows(i) && instructions[i]!.kind === "nop" && !targets.has(instructions[i]!.address);

  const next = follows(index + 1) ? instructions[index + 1] : undefined;
  const returns = next?.kind === "ret" && next.length === 1;
  if (!guarded) {
    if (returns && !targets.has(next.address)) {
      for (let i = index + 2; total(inert) + 3 < NEAR_SIZE && isInert(i); i++) inert.push(instructions[i]!);
      const size = SYSCALL_SIZE + 1 + total(inert);
      if (size >= NEAR_SIZE) {
        const end = syscall.address + size;
        return { form: "jump", before: [], after: [], start: syscall.address, end, guarded, stubSize: 0 };
      }
    }
    inert.length = 0;
    for (let i = index + 1; total(inert) + SYSCALL_SIZE < NEAR_SIZE && isInert(i); i++)
      inert.push(instructions[i]!);
    if (SYSCALL_SIZE + total(inert) >= NEAR_SIZE) {
      const end = syscall.address + SYSCALL_SIZE + total(inert);
      return { form: "call", before: [], after: [], start: syscall.address, end, guarded, stubSize: 0 };
    }
  }

  const windows: { window: Window; cost: number }[] = [];
  const before: Instruction[] = [];
  for (let nb = 0; nb <= MOST_DISPLACED; nb++) {
    if (nb > 0) {
      // What comes in front is displaced only if control falls from it into the next one, and from nowhere else.
      const i = index - nb;
      const candidate = instructions[i];
      if (candidate === undefined || !follows(i + 1) || targets.has(instructions[i + 1]!.address)) break;
      if (taken.has(candidate.address) || movedSize(code, candidate) === null) break;
      if (candidate.flow !== "next" && candidate.flow !== "branch") break;
      before.unshift(candidate);
    }
    const start = syscall.address - total(before);
    const moved = before.reduce((sum, instruction) => sum + movedSize(code, instruction)!, 0);
    const after: Instruction[] = [];
    for (let na = 0; na <= MOST_DISPLACED; na++) {
      if (na > 0) {
        const candidate = instructions[index + na];
        if (candidate === undefined || !follows(index + na) || targets.has(candidate.address)) break;
        if (taken.has(candidate.address) || movedSize(code, candidate) === null) break;
        after.push(candidate);
      }
      const size = total(before) + SYSCALL_SIZE + total(after);
      if (size >= NEAR_SIZE) {
        const base = { before: [...before], after: [...after], start, end: start + size, guarded };
        const ends = after.length > 0 && ["return", "jump"].includes(after.at(-1)!.flow);
        const plain = before.every(({ usesRsp, flow }) => !usesRsp && flow === "next");
        if (na === 0 && !guarded && returns) {
          windows.push({ window: { ...base, form: "jump-stub", stubSize: moved + NEAR_SIZE }, cost: 0 });
        } else if (na === 0 && !guarded && plain && size <= LONGEST) {
          windows.push({ window: { ...base, form: "call-stub", stubSize: moved + NEAR_SIZE }, cost: 1 });
        }
        const movedAfter = after.reduce((sum, instruction) => sum + movedSize(code, instruction)!, 0);
        const guards = guarded ? GUARD.length + UNGUARD.length : 0;
        const stubSize = moved + guards + NEAR_SIZE + movedAfter + (ends ? 0 : NEAR_SIZE);
        windows.push({ window: { ...base, form: "around", stubSize }, cost: ends ? 1.5 : 2 });
      }
      const last = after.at(-1);
      if (last !== undefined && (last.flow === "return" || last.flow === "jump")) break;
    }
  }
  windows.sort((a, b) => a.cost - b.cost || a.window.end - a.window.start - (b.window.end - b.window.start));
  return windows[0]?.window ?? null;
}

/**
 * Plans the replacement of every SYSCALL.
 * @throws BuildError naming the function of one that has no room
 */
export function planRewrites(code: readonly Code[], options: PlanOptions): Rewrite[] {
  const result: Rewrite[] = [];
  let stubOffset = 0;
  for (const part of code) {
    /** Addresses of instructions that are SYSCALL or displaced already. */
    const taken = new Set<number>();
    for (const { kind, address } of part.instructions) if (kind === "syscall") taken.add(address);
    part.instructions.forEach(({ kind, address }, index) => {
      if (kind !== "syscall") return;
      const functionName = options.functionAt(address) ?? hexAddress(address);
      const window = chooseWindow(part, index, taken, options);
      if (window === null) {
        throw new BuildError(
          `${functionName}: expected room for a call in place of SYSCALL at ${hexAddress(address)}, found branches into ` +
            "the instructions around it: put the instruction into a function of its own, or use --link kml",
        );
      }
      for (const { address: displaced } of [...window.before, ...window.after]) taken.add(displaced);
      result.push({ ...window, address, functionName, stubOffset });
      stubOffset += window.stubSize;
    });
  }
  return result;
}

export const stubsSize = (rewrites: readonly Rewrite[]): number =>
  rewrites.reduce((sum, { stubSize }) => sum + stubSize, 0);

const near = (opcode: number, from: number, to: number): number[] => [
  opcode,
  ...int32(to - (from + NEAR_SIZE)),
];
const CALL = 0xe8;
const JMP = 0xe9;
/** CS segment override: without effect on a near call in 64-bit mode (SDM vol. 2A 2.1.1). */
const CS_PREFIX = 0x2e;
const INT3 = 0xcc;

/**
 * Carries the plan out: writes to the bytes of `code` and to `stubs`.
 * @param stubs bytes of the stubs, at address `stubsAddress`
 * @param entry address of ukl_entry
 */
export function applyRewrites(
  code: readonly Code[],
  rewrites: readonly Rewrite[],
  stubs: { readonly address: number; readonly bytes: Uint8Array },
  entry: number,
): void {
  for (const rewrite of rewrites) {
    const part = code.find(
      ({ address, bytes }) => rewrite.address >= address && rewrite.address < address + bytes.length,
    )!;
    const stubAddress = stubs.address + rewrite.stubOffset;
    // The stub first: the window's bytes are still the original ones.
    if (rewrite.stubSize > 0) {
      const stub = encodeStub(part, rewrite, stubAddress, entry);
      if (stub.length !== rewrite.stubSize) throw new Error(`stub of ${rewrite.functionName}: wrong size`);
      stubs.bytes.set(stub, rewrite.stubOffset);
    }
    const { form, start, end } = rewrite;
    const window = part.bytes.subarray(start - part.address, end - part.address);
    if (form === "call-stub") {
      // One instruction as long as the window, so that nothing follows before the return.
      const padding = window.length - NEAR_SIZE;
      window.fill(CS_PREFIX, 0, padding);
      window.set(near(CALL, start + padding, stubAddress), padding);
    } else {
      const to = form === "jump" || form === "call" ? entry : stubAddress;
      window.fill(form === "call" ? 0x90 : INT3);
      window.set(near(form === "call" ? CALL : JMP, start, to));
    }
  }
}

function encodeStub(code: Code, rewrite: Rewrite, address: number, entry: number): number[] {
  const { form, before, after, guarded, end } = rewrite;
  const stub: number[] = [];
  const here = (): number => address + stub.length;
  for (const instruction of before) stub.push(...move(code, instruction, here()));
  if (form !== "around") {
    stub.push(...near(JMP, here(), entry));
    return stub;
  }
  if (guarded) stub.push(...GUARD);
  stub.push(...near(CALL, here(), entry));
  if (guarded) stub.push(...UNGUARD);
  for (const instruction of after) stub.push(...move(code, instruction, here()));
  const last = after.at(-1);
  if (last === undefined || (last.flow !== "return" && last.flow !== "jump"))
    stub.push(...near(JMP, here(), end));
  return stub;
}

/**
 * HLT, with which musl ends a program that cannot go on, faults at ring 3; at ring 0 it waits for an interrupt
 * and goes on. INT3 has one byte too. @returns how many there were
 */
export function replaceHalts(code: readonly Code[]): number {
  let count = 0;
  for (const { address, bytes, instructions } of code) {
    for (const instruction of instructions) {
      if (instruction.kind !== "hlt") continue;
      bytes[instruction.address - address] = INT3;
      count++;
    }
  }
  return count;
}

/** zpoline: SYSCALL (0F 05) becomes CALL RAX (FF D0), of the same size. @returns how many there were */
export function rewriteForTrampoline(code: readonly Code[]): number {
  let count = 0;
  for (const { address, bytes, instructions } of code) {
    for (const instruction of instructions) {
      if (instruction.kind !== "syscall") continue;
      bytes.set([0xff, 0xd0], instruction.address - address);
      count++;
    }
  }
  return count;
}
