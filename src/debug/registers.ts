/** A processor's registers as text, in the layout of QEMU's `info registers`, which kernel developers know. */
import {
  CR2,
  CR3,
  DR,
  FCW,
  FSW,
  FTW,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  MXCSR,
  Segment,
  SHADOW,
  X87,
  X87_STRIDE,
  XMM,
  XMM_STRIDE,
} from "../cpu/layout.ts";
import { Cr0, Efer, Flag } from "../cpu/registers.ts";
import type { CpuState, SegmentRegister } from "../cpu/state.ts";
import { Activity, activity } from "../cpu/system/cold-state.ts";
import { hex } from "./hex.ts";

/** Names in the order of their encodings. */
export const GPR_NAMES = [
  ...["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"],
  ...["R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"],
] as const;

/** The order in which they are shown: RBX comes second. */
const SHOWN = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15];

const FLAG_LETTERS: readonly (readonly [mask: number, letter: string])[] = [
  [Flag.DF, "D"],
  [Flag.OF, "O"],
  [Flag.SF, "S"],
  [Flag.ZF, "Z"],
  [Flag.AF, "A"],
  [Flag.PF, "P"],
  [Flag.CF, "C"],
];

/** DF and the status flags as letters, e.g. `---Z-P-`. */
export function flagLetters(rflags: number): string {
  return FLAG_LETTERS.map(([mask, letter]) => (rflags & mask ? letter : "-")).join("");
}

/** Attribute bits of a segment register, as `SEGMENT_ATTRIBUTES` holds them. */
const TYPE_CODE = 0x8;
const TYPE_CONFORMING_OR_DOWN = 0x4;
const TYPE_READABLE_OR_WRITABLE = 0x2;
const TYPE_ACCESSED = 0x1;
const NOT_SYSTEM = 0x10;
const LONG = 1 << 13;
const BIG = 1 << 14;

function segmentKind(attributes: number): string {
  const dpl = `DPL=${(attributes >> 5) & 3}`;
  const letter = (mask: number, text: string) => (attributes & mask ? text : "-");
  if (!(attributes & NOT_SYSTEM)) return `${dpl} ${attributes & 2 ? "TSS-busy" : "TSS-avl"}`;
  const accessed = letter(TYPE_ACCESSED, "A");
  if (attributes & TYPE_CODE) {
    const size = attributes & LONG ? "CS64" : attributes & BIG ? "CS32" : "CS16";
    return `${dpl} ${size} [${letter(TYPE_CONFORMING_OR_DOWN, "C")}${letter(TYPE_READABLE_OR_WRITABLE, "R")}${accessed}]`;
  }
  const size = attributes & BIG ? "DS  " : "DS16";
  return `${dpl} ${size} [${letter(TYPE_CONFORMING_OR_DOWN, "E")}${letter(TYPE_READABLE_OR_WRITABLE, "W")}${accessed}]`;
}

function segmentLine(name: string, segment: SegmentRegister): string {
  const { selector, base, limit, attributes, isNull } = segment;
  // Descriptor bits 40-55 in place in the descriptor's second doubleword; limit bits 16-19 are shown apart.
  const words = `${hex(selector, 4)} ${hex(base, 16)} ${hex(limit, 8)} ${hex((attributes << 8) >>> 0, 8)}`;
  const kind = name === "LDT" ? (isNull ? "" : `DPL=${(attributes >> 5) & 3} LDT`) : segmentKind(attributes);
  return `${name.padEnd(3)}=${words} ${isNull && name !== "LDT" ? "null" : kind}`.trimEnd();
}

function generalRegisters(cpu: CpuState): string[] {
  const lines: string[] = [];
  for (let row = 0; row < 16; row += 4) {
    const cells = SHOWN.slice(row, row + 4);
    lines.push(cells.map((i) => `${GPR_NAMES[i]!.padEnd(3)}=${hex(cpu.gpr(i), 16)}`).join(" "));
  }
  return lines;
}

/** The state of the instruction pointer, flags and privilege in one line. */
export function programLine(cpu: CpuState): string {
  const { rflags } = cpu;
  const halted = activity(cpu) === Activity.HALTED || activity(cpu) === Activity.MWAIT ? 1 : 0;
  return (
    `RIP=${hex(cpu.rip, 16)} RFL=${hex(rflags, 8)} [${flagLetters(rflags)}] ` +
    `CPL=${cpu.cpl} II=${cpu.i32(SHADOW) !== 0 ? 1 : 0} HLT=${halted}`
  );
}

/** "64-bit mode", "real-address mode" and so on. */
export function modeName(cpu: CpuState): string {
  if (!(cpu.cr0 & Cr0.PE)) return "real-address mode";
  if (cpu.efer & Efer.LMA)
    return cpu.segment(Segment.CS).attributes & LONG ? "64-bit mode" : "compatibility mode";
  return cpu.rflags & Flag.VM ? "virtual-8086 mode" : "protected mode";
}

/** Without `all`, x87 and SSE registers are left out. Lines without line ends. */
export function registerDump(cpu: CpuState, all = false): string[] {
  const names: [string, number][] = [
    ...Object.entries(Segment).slice(0, 6),
    ["LDT", Segment.LDTR],
    ["TR", Segment.TR],
  ];
  const debug = (i: number) => `DR${i}=${hex(cpu.u64(DR + i * 8), 16)}`;
  const lines = [
    ...generalRegisters(cpu),
    programLine(cpu),
    ...names.map(([name, index]) => segmentLine(name, cpu.segment(index))),
    `GDT=     ${hex(cpu.u64(GDTR_BASE), 16)} ${hex(cpu.u32(GDTR_LIMIT), 8)}`,
    `IDT=     ${hex(cpu.u64(IDTR_BASE), 16)} ${hex(cpu.u32(IDTR_LIMIT), 8)}`,
    `CR0=${hex(cpu.cr0 >>> 0, 8)} CR2=${hex(cpu.u64(CR2), 16)} CR3=${hex(cpu.u64(CR3), 16)} CR4=${hex(cpu.cr4 >>> 0, 8)}`,
    [0, 1, 2, 3].map(debug).join(" "),
    `${debug(6)} ${debug(7)}`,
    `EFER=${hex(cpu.efer >>> 0, 16)} (${modeName(cpu)})`,
  ];
  return all ? [...lines, ...floatingPoint(cpu)] : lines;
}

function floatingPoint(cpu: CpuState): string[] {
  const fsw = cpu.i32(FSW);
  const top = (fsw >> 11) & 7;
  const lines = [
    `FCW=${hex(cpu.i32(FCW), 4)} FSW=${hex(fsw, 4)} [ST=${top}] FTW=${hex(cpu.i32(FTW), 4)} MXCSR=${hex(cpu.i32(MXCSR), 8)}`,
  ];
  for (let i = 0; i < 8; i += 2) {
    const register = (n: number) => {
      const at = X87 + n * X87_STRIDE;
      return `FPR${n}=${hex(cpu.view.getUint16(at + 8, true), 4)} ${hex(cpu.u64(at), 16)}`;
    };
    lines.push(`${register(i)} ${register(i + 1)}`);
  }
  for (let i = 0; i < 16; i += 2) {
    const register = (n: number) => {
      const at = XMM + n * XMM_STRIDE;
      return `XMM${String(n).padStart(2, "0")}=${hex(cpu.u64(at + 8), 16)}${hex(cpu.u64(at), 16)}`;
    };
    lines.push(`${register(i)} ${register(i + 1)}`);
  }
  return lines;
}

/** General and control registers by name, as hexadecimal text with 0x. */
export function registerReport(cpu: CpuState): Record<string, string> {
  const text = (value: number | bigint) => `0x${hex(value)}`;
  return {
    rip: text(cpu.rip),
    rflags: text(cpu.rflags),
    ...Object.fromEntries(GPR_NAMES.map((name, i) => [name.toLowerCase(), text(cpu.gpr(i))])),
    cs: text(cpu.selector(Segment.CS)),
    cr0: text(cpu.cr0 >>> 0),
    cr2: text(cpu.u64(CR2)),
    cr3: text(cpu.u64(CR3)),
    cr4: text(cpu.cr4 >>> 0),
    efer: text(cpu.efer >>> 0),
  };
}
