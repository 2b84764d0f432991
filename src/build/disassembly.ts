/** The instructions of a program's code, found by its symbols where it has some, else by a linear sweep. */
import type { ElfFile } from "./elf-file.ts";
import {
  R_X86_64_32,
  R_X86_64_32S,
  R_X86_64_64,
  R_X86_64_PC32,
  R_X86_64_PLT32,
  STT_OBJECT,
  STT_TLS,
} from "./elf-file.ts";

/** Bytes below RSP that a leaf function may use (System V ABI for x86-64, 3.2.2). */
const RED_ZONE = 128;

/** What control does after an instruction. */
export type Flow = "next" | "jump" | "branch" | "call" | "return" | "other";

export interface Instruction {
  readonly address: number;
  readonly length: number;
  readonly flow: Flow;
  /** A direct branch's or call's target. */
  readonly target: number | null;
  readonly kind: "syscall" | "hlt" | "ret" | "nop" | "invalid" | "other";
  /** Where the displacement of a RIP-relative operand is, from the first byte; 0: there is none. */
  readonly ripOffset: number;
  /** Address that a RIP-relative operand names. */
  readonly ripTarget: number | null;
  /** Reads, writes or addresses by RSP. */
  readonly usesRsp: boolean;
  /** Accesses memory in the red zone. What lies lower is nobody's; a probe of the stack touches it. */
  readonly redZone: boolean;
  /** The register it sets as its destination, by iced-x86's number of the 64-bit form, and to what if known. */
  readonly sets: {
    readonly register: number;
    readonly constant: number | null;
    readonly copyOf: number | null;
  } | null;
  /** It changes RAX in any way. */
  readonly changesRax: boolean;
}

export interface Code {
  readonly address: number;
  readonly bytes: Uint8Array;
  /** In order of address. */
  readonly instructions: readonly Instruction[];
}

type Iced = typeof import("iced-x86");
let loaded: Promise<Iced> | null = null;

/** Decodes `bytes`, which lie at `address`, from the first byte on. */
export type DecodeRange = (bytes: Uint8Array, address: number) => Instruction[];

/** Loads iced-x86 and returns its decoder in this project's terms. */
export async function loadDecoder(): Promise<DecodeRange> {
  loaded ??= import("iced-x86");
  const iced = await loaded;
  return (bytes, address) => decodeRange(iced, bytes, address);
}

function decodeRange(iced: Iced, bytes: Uint8Array, address: number): Instruction[] {
  const { Decoder, DecoderOptions, InstructionInfoFactory, FlowControl, Mnemonic, OpAccess, OpKind } = iced;
  const { Register, RegisterExt } = iced;
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  const factory = new InstructionInfoFactory();
  decoder.ip = BigInt.asUintN(64, BigInt(address));
  const flows: Partial<Record<number, Flow>> = {
    [FlowControl.Next]: "next",
    [FlowControl.UnconditionalBranch]: "jump",
    [FlowControl.ConditionalBranch]: "branch",
    [FlowControl.Call]: "call",
    [FlowControl.Return]: "return",
    // SYSCALL is a call to iced-x86; here it is an instruction like others.
  };
  const signed = (value: bigint): number => Number(BigInt.asIntN(64, value));
  const full = (register: number): number =>
    register === Register.None ? Register.None : RegisterExt.fullRegister(register);
  const kindOf = (mnemonic: number): Instruction["kind"] => {
    if (mnemonic === Mnemonic.Syscall) return "syscall";
    if (mnemonic === Mnemonic.Hlt) return "hlt";
    if (mnemonic === Mnemonic.Ret) return "ret";
    if (mnemonic === Mnemonic.Nop || mnemonic === Mnemonic.Fnop || mnemonic === Mnemonic.Int3) return "nop";
    return "other";
  };

  const result: Instruction[] = [];
  while (decoder.canDecode) {
    const position = decoder.position;
    const instruction = decoder.decode();
    const at = address + position;
    if (instruction.isInvalid) {
      // Data, or padding: go on with the next byte.
      decoder.position = position + 1;
      decoder.ip = BigInt.asUintN(64, BigInt(at + 1));
      result.push({
        ...{ address: at, length: 1, flow: "other", target: null, kind: "invalid", ripOffset: 0 },
        ...{ ripTarget: null, usesRsp: false, redZone: false, sets: null, changesRax: false },
      });
      instruction.free();
      continue;
    }
    const { mnemonic, length } = instruction;
    const kind = kindOf(mnemonic);
    const isNear = instruction.op0Kind === OpKind.NearBranch64;
    const flow = kind === "syscall" ? "next" : (flows[instruction.flowControl] ?? "other");
    const ripRelative = instruction.isIpRelMemoryOperand;
    let ripOffset = 0;
    if (ripRelative) {
      const offsets = decoder.getConstantOffsets(instruction);
      ripOffset = offsets.displacementOffset;
      offsets.free();
    }
    const baseIsRsp = full(instruction.memoryBase) === Register.RSP;
    let usesRsp = instruction.isStackInstruction || baseIsRsp;
    for (let i = 0; i < instruction.opCount && !usesRsp; i++) {
      usesRsp = instruction.opKind(i) === OpKind.Register && full(instruction.opRegister(i)) === Register.RSP;
    }
    const displacement = baseIsRsp ? signed(instruction.memoryDisplacement) : 0;
    const below = displacement < 0 && displacement >= -RED_ZONE && instruction.memoryIndex === Register.None;

    let sets: Instruction["sets"] = null;
    let changesRax = false;
    if (kind === "other") {
      const info = factory.info(instruction);
      const isRegister = instruction.opCount > 0 && instruction.op0Kind === OpKind.Register;
      const writes = info.op0Access === OpAccess.Write || info.op0Access === OpAccess.ReadWrite;
      if (isRegister && writes) {
        // A write of 32 bits clears the rest of the register; smaller ones keep it.
        const wide = RegisterExt.size(instruction.op0Register) >= 4;
        const fromRegister = instruction.opCount > 1 && instruction.op1Kind === OpKind.Register;
        const moves = wide && mnemonic === Mnemonic.Mov;
        const clears = wide && fromRegister && instruction.op1Register === instruction.op0Register;
        let constant: number | null = null;
        if (moves && !fromRegister && instruction.op1Kind !== OpKind.Memory) {
          constant = signed(instruction.immediate(1));
        } else if (clears && (mnemonic === Mnemonic.Xor || mnemonic === Mnemonic.Sub)) constant = 0;
        const copyOf = moves && fromRegister ? full(instruction.op1Register) : null;
        sets = { register: full(instruction.op0Register), constant, copyOf };
      }
      for (const used of info.usedRegisters() as import("iced-x86").UsedRegister[]) {
        const { access, register } = used;
        const reads = access === OpAccess.Read || access === OpAccess.CondRead || access === OpAccess.None;
        if (!reads && full(register) === Register.RAX) changesRax = true;
        used.free();
      }
      info.free();
    }
    result.push({
      address: at,
      length,
      flow,
      target: isNear ? signed(instruction.nearBranchTarget) : null,
      kind,
      ripOffset,
      ripTarget: ripRelative ? signed(instruction.ipRelMemoryAddress) : null,
      usesRsp,
      redZone: below && mnemonic !== Mnemonic.Lea,
      sets,
      changesRax,
    });
    instruction.free();
  }
  factory.free();
  decoder.free();
  return result;
}

/**
 * Decodes the code of a program. Each symbol begins an instruction, so that data between functions cannot
 * spoil what follows it; without symbols this is a linear sweep.
 * @param within only code at these addresses
 */
export function disassemble(
  decode: DecodeRange,
  elf: ElfFile,
  within: { readonly start: number; readonly end: number },
): Code[] {
  const symbols = elf.definedSymbols().filter(({ type }) => type !== STT_TLS);
  const starts = [...new Set(symbols.map((symbol) => symbol.address))].sort((a, b) => a - b);
  const data = new Set(symbols.filter(({ type }) => type === STT_OBJECT).map((symbol) => symbol.address));
  const result: Code[] = [];
  for (const { address, bytes } of elf.code()) {
    const first = Math.max(address, within.start);
    const last = Math.min(address + bytes.length, within.end);
    if (first >= last) continue;
    const cuts = [first, ...starts.filter((start) => start > first && start < last), last];
    const instructions: Instruction[] = [];
    for (let i = 0; i + 1 < cuts.length; i++) {
      const [from, to] = [cuts[i]!, cuts[i + 1]!];
      if (data.has(from)) continue;
      for (const instruction of decode(bytes.subarray(from - address, to - address), from)) {
        instructions.push(instruction);
      }
    }
    result.push({ address: first, bytes: bytes.subarray(first - address, last - address), instructions });
  }
  return result;
}

/**
 * Every address that control may arrive at other than from the instruction before: targets of direct branches,
 * symbols, and what relocations of `--emit-relocs` say is stored somewhere, jump tables above all.
 */
export function branchTargets(elf: ElfFile, code: readonly Code[]): Set<number> {
  const targets = new Set<number>();
  for (const { instructions } of code) {
    for (const { target, ripTarget } of instructions) {
      if (target !== null) targets.add(target);
      if (ripTarget !== null) targets.add(ripTarget);
    }
  }
  for (const symbol of elf.definedSymbols()) if (symbol.type !== STT_TLS) targets.add(symbol.address);

  const executable = elf.sections.filter((section) => section.allocated && section.executable);
  const inCode = (address: number): boolean =>
    executable.some((section) => address >= section.address && address < section.address + section.size);
  // Tables of 32-bit offsets from their own start: entry i holds target + 4i as its relocation sees it.
  let run = 0;
  let previous = Number.NaN;
  for (const { address, type, symbol, addend } of elf.relocations()) {
    const named = elf.symbols[symbol];
    if (named === undefined || named.section === 0) continue;
    const value = named.address + addend;
    if (type === R_X86_64_64 || type === R_X86_64_32 || type === R_X86_64_32S) targets.add(value);
    else if (type === R_X86_64_PC32 || type === R_X86_64_PLT32) {
      if (inCode(address)) continue; // an operand, seen above
      run = address === previous + 4 ? run + 1 : 0;
      previous = address;
      for (let i = 0; i <= run; i++) targets.add(value - 4 * i);
    }
  }
  return targets;
}

/** The function that an address belongs to, for messages; null where there are no symbols. */
export function functionAt(elf: ElfFile, address: number): string | null {
  let best: { readonly name: string; readonly address: number } | undefined;
  for (const symbol of elf.definedSymbols()) {
    if (symbol.type === STT_TLS || symbol.address > address) continue;
    if (best === undefined || symbol.address > best.address) best = symbol;
  }
  return best?.name ?? null;
}
