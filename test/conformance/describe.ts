/**
 * A case as a reader wants to see it: the instruction, the state that matters, and the fields that differ.
 */
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";
import { type ConformanceCase, GPR_NAMES, RFLAGS, SREG_NAMES } from "./case.ts";
import type { Difference } from "./compare.ts";
import { CODE_FILLER, codeBase, DEFAULT_SELECTORS } from "./environment.ts";

const hexBytes = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");

/** Intel syntax, or "(invalid)". */
export function disassemble(c: ConformanceCase): string {
  const padded = new Uint8Array(c.bytes.length + 15).fill(CODE_FILLER);
  padded.set(c.bytes);
  const decoder = new Decoder(c.mode, padded, DecoderOptions.None);
  decoder.ip = BigInt(c.codeAddress - codeBase(c.selectors[1]));
  const instruction = decoder.decode();
  const formatter = new Formatter(FormatterSyntax.Intel);
  const text = instruction.isInvalid ? "(invalid)" : formatter.format(instruction);
  formatter.free();
  instruction.free();
  decoder.free();
  return text;
}

/** The case's inputs, one line each; what is zero or at its default is left out. */
export function describeCase(c: ConformanceCase): string {
  const lines = [`${hexBytes(c.bytes)}    ${disassemble(c)}    ${c.mode}-bit mode, row ${c.row}`];
  lines.push(`  at linear 0x${c.codeAddress.toString(16)}, ended by ${c.end}`);
  const registers = [...c.gpr].flatMap((value, i) =>
    value ? [`${GPR_NAMES[i]}=0x${value.toString(16)}`] : [],
  );
  if (registers.length > 0) lines.push(`  ${registers.join(" ")}`);
  const flags = Object.entries(RFLAGS).filter(([, bit]) => c.rflags & bit);
  if (flags.length > 0) lines.push(`  RFLAGS ${flags.map(([name]) => name).join(" ")}`);
  const standard = DEFAULT_SELECTORS[c.mode];
  const selectors = c.selectors.flatMap((s, i) =>
    s === standard[i] ? [] : [`${SREG_NAMES[i]}=0x${s.toString(16)}`],
  );
  if (selectors.length > 0) lines.push(`  ${selectors.join(" ")}`);
  if (c.fsBase) lines.push(`  FS.base=0x${c.fsBase.toString(16)}`);
  if (c.gsBase) lines.push(`  GS.base=0x${c.gsBase.toString(16)}`);
  if (c.fx) lines.push(...describeFx(c.fx));
  for (const patch of c.patches)
    lines.push(
      `  memory 0x${patch.address.toString(16)}: ${hexBytes(patch.bytes.subarray(0, 64))}${patch.bytes.length > 64 ? " ..." : ""}`,
    );
  return lines.join("\n");
}

function describeFx(fx: Uint8Array): string[] {
  const little = (at: number, size: number): string =>
    Array.from({ length: size }, (_, i) => fx[at + size - 1 - i]!.toString(16).padStart(2, "0")).join("");
  const lines = [`  FCW=${little(0, 2)} FSW=${little(2, 2)} FTW=${little(4, 1)} MXCSR=${little(24, 4)}`];
  const values: string[] = [];
  for (let i = 0; i < 8; i++) values.push(`ST${i}=${little(32 + i * 16, 10)}`);
  for (let i = 0; i < 16; i++) values.push(`XMM${i}=${little(160 + i * 16, 16)}`);
  const shown = values.filter((v) => !/=0+$/.test(v));
  if (shown.length > 0) lines.push(`  ${shown.join(" ")}`);
  return lines;
}

/** A mismatch: the case, then expected and actual of the differing fields only. */
export function describeMismatch(c: ConformanceCase, differences: readonly Difference[]): string {
  const rows = differences.map((d) => `  ${d.field}: expected ${d.expected}, got ${d.actual}`);
  return [describeCase(c), ...rows].join("\n");
}
