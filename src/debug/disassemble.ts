/**
 * Instructions as text, for people: traces and dumps. The decoder of the iced-x86 package does it, which
 * shares nothing with this project's own decoder, so that a trace also shows where the two disagree.
 */
import { CODE_BASE, MODE, Segment } from "../cpu/layout.ts";
import { Mode } from "../cpu/modes.ts";
import type { CpuState } from "../cpu/state.ts";
import { hex, hexBytes } from "./hex.ts";

export interface Instruction {
  /** Offset of its first byte from where disassembly began. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Intel syntax. `(bad)` for bytes that are no instruction, or that end before it does. */
  readonly text: string;
  readonly valid: boolean;
}

/** Decodes `bytes` as code at RIP `rip`, from the first byte on, until they end. */
export type Disassembler = (
  bytes: Uint8Array,
  rip: bigint,
  bits: 16 | 32 | 64,
  most?: number,
) => Instruction[];

let loaded: Promise<Disassembler> | null = null;

/** Loads iced-x86, which takes a moment: only who shows instructions asks for it. */
export function loadDisassembler(): Promise<Disassembler> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Disassembler> {
  const { Decoder, DecoderOptions, Formatter, FormatterSyntax } = await import("iced-x86");
  const formatter = new Formatter(FormatterSyntax.Intel);
  formatter.hexPrefix = "0x";
  formatter.hexSuffix = "";
  formatter.uppercaseHex = false;
  formatter.addLeadingZeroToHexNumbers = false;
  formatter.spaceAfterOperandSeparator = true;
  formatter.branchLeadingZeros = false;
  formatter.displacementLeadingZeros = false;
  return (bytes, rip, bits, most = Number.POSITIVE_INFINITY) => {
    const decoder = new Decoder(bits, bytes, DecoderOptions.None);
    decoder.ip = rip;
    const result: Instruction[] = [];
    while (decoder.canDecode && result.length < most) {
      const offset = decoder.position;
      const instruction = decoder.decode();
      result.push({
        offset,
        bytes: bytes.slice(offset, offset + instruction.length),
        text: formatter.format(instruction),
        valid: !instruction.isInvalid,
      });
      instruction.free();
    }
    decoder.free();
    return result;
  };
}

/** Width of the code that the processor runs now. */
export function codeBits(cpu: CpuState): 16 | 32 | 64 {
  const size = cpu.i32(MODE) & Mode.SIZE;
  return size === Mode.CODE_64 ? 64 : size === Mode.CODE_32 ? 32 : 16;
}

/** Reads memory at a linear address without changing anything; stops early where nothing is mapped. */
export type PeekLinear = (address: bigint, length: number) => Uint8Array;

const MAX_LENGTH = 15;
/** Bytes looked at before RIP. */
const BEFORE = 64;
const AFTER = 48;

/**
 * Lines around RIP, the one at RIP marked. What lies before RIP is found by `leadUp` and nearly always right;
 * its first instructions, which may not be, are left out.
 */
export function disassembleAround(
  disassemble: Disassembler,
  cpu: CpuState,
  peek: PeekLinear,
  before = 6,
  after = 6,
): string[] {
  const bits = codeBits(cpu);
  const { rip } = cpu;
  const linear = BigInt.asUintN(64, rip + cpu.u64(CODE_BASE));
  const earlier = peekBack(peek, linear);
  const lines: string[] = [];
  const show = (address: bigint, { bytes, text }: Instruction, mark: string) => {
    lines.push(`${mark} ${hex(address, bits / 4)}: ${hexBytes(bytes).padEnd(32)} ${text}`);
  };
  const start = rip - BigInt(earlier.length);
  const prefix = leadUp(disassemble, earlier, start, bits).slice(-before);
  for (const instruction of prefix) show(start + BigInt(instruction.offset), instruction, "  ");
  const here = peek(linear, AFTER);
  if (here.length === 0) return [...lines, `=> ${hex(rip, bits / 4)}: nothing is mapped here`];
  const following = disassemble(here, rip, bits, after + 1);
  following.forEach((instruction, i) => {
    // The window ends somewhere, and so may the last instruction: only what lies inside is shown.
    if (i > 0 && !instruction.valid && here.length - instruction.offset < MAX_LENGTH) return;
    show(rip + BigInt(instruction.offset), instruction, i === 0 ? "=>" : "  ");
  });
  return lines;
}

/** The bytes right before an address: as many of `BEFORE` as are mapped without a gap. */
function peekBack(peek: PeekLinear, linear: bigint): Uint8Array {
  const wanted = linear < BigInt(BEFORE) ? Number(linear) : BEFORE;
  const bytes = peek(linear - BigInt(wanted), wanted);
  if (bytes.length === wanted) return bytes;
  // The page before is not mapped: begin at this page.
  const inPage = Number(linear & 0xfffn);
  return inPage < wanted ? peek(linear - BigInt(inPage), inPage) : new Uint8Array(0);
}

/**
 * Instructions that end exactly where `bytes` end. Wherever decoding starts, it falls into step with the
 * program after a few instructions: going back from the end, the way that most starts come by is taken.
 */
function leadUp(
  disassemble: Disassembler,
  bytes: Uint8Array,
  rip: bigint,
  bits: 16 | 32 | 64,
): Instruction[] {
  const end = bytes.length;
  const at = Array.from({ length: end }, (_, offset): Instruction => {
    const instruction = disassemble(bytes.subarray(offset), rip + BigInt(offset), bits, 1)[0]!;
    return { ...instruction, offset };
  });
  const next = (offset: number): number => (at[offset]!.valid ? offset + at[offset]!.bytes.length : -1);
  /** How many starts come by an offset. */
  const starts = new Array<number>(end + 1).fill(1);
  for (let offset = 0; offset < end; offset++) {
    const then = next(offset);
    if (then >= 0 && then <= end) starts[then]! += starts[offset]!;
  }
  const path: Instruction[] = [];
  for (let offset = end; ; ) {
    let best = -1;
    for (let before = Math.max(0, offset - MAX_LENGTH); before < offset; before++) {
      if (next(before) === offset && (best < 0 || starts[before]! > starts[best]!)) best = before;
    }
    if (best < 0) return path.reverse();
    path.push(at[best]!);
    offset = best;
  }
}

/** The selector and offset of the next instruction, for messages. */
export function programCounter(cpu: CpuState): string {
  return `${hex(cpu.selector(Segment.CS), 4)}:${hex(cpu.rip, codeBits(cpu) / 4)}`;
}
