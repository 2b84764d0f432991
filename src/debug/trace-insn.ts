/**
 * `--trace insn`: every instruction with its address, bytes, disassembly and the registers that it changed.
 * A line is written when the instruction is over: before the next one, or before an event is delivered.
 */
import type { SystemObserver } from "../cpu/core.ts";
import { CODE_BASE, GPR, MXCSR, XMM, XMM_STRIDE } from "../cpu/layout.ts";
import type { CpuState } from "../cpu/state.ts";
import type { Machine } from "../machine/machine.ts";
import { codeBits, type Disassembler, programCounter } from "./disassemble.ts";
import { hex, hexBytes } from "./hex.ts";
import { peekLinear } from "./peek.ts";
import { flagLetters, GPR_NAMES } from "./registers.ts";
import type { LineStart, TraceSink } from "./trace.ts";

const MAX_LENGTH = 15;

export class InstructionTrace implements SystemObserver {
  readonly #machine: Machine;
  readonly #disassemble: Disassembler;
  readonly #sink: TraceSink;
  readonly #start: LineStart;
  /** The instruction under way, or null: its line so far, and the registers before it. */
  #line: string | null = null;
  #cpu: CpuState | null = null;
  readonly #gpr = new BigUint64Array(16);
  readonly #xmm = new BigUint64Array(32);
  #rflags = 0;
  #mxcsr = 0;

  constructor(machine: Machine, disassemble: Disassembler, sink: TraceSink, start: LineStart) {
    this.#machine = machine;
    this.#disassemble = disassemble;
    this.#sink = sink;
    this.#start = start;
  }

  /** An instruction is about to be executed. */
  step(cpu: CpuState): void {
    this.finish();
    const bytes = peekLinear(this.#machine.mmu, cpu, cpu.rip + cpu.u64(CODE_BASE), MAX_LENGTH);
    const instruction = this.#disassemble(bytes, cpu.rip, codeBits(cpu), 1)[0];
    const code = instruction === undefined ? "" : hexBytes(instruction.bytes);
    const text = instruction?.text ?? "(not mapped)";
    this.#line = `${this.#start()}${programCounter(cpu)} ${code.padEnd(30)} ${text}`;
    this.#cpu = cpu;
    for (let i = 0; i < 16; i++) this.#gpr[i] = cpu.gpr(i);
    for (let i = 0; i < 32; i++) this.#xmm[i] = cpu.u64(xmmHalf(i));
    this.#rflags = cpu.rflags;
    this.#mxcsr = cpu.i32(MXCSR);
  }

  /** Before delivery, which changes RSP and more, the interrupted instruction's line is completed. */
  event(): void {
    this.finish();
  }

  /** Writes the line of the instruction under way. */
  finish(): void {
    if (this.#line === null) return;
    const changes = this.#changes(this.#cpu!);
    this.#sink(changes === "" ? this.#line : `${this.#line.padEnd(100)} ;${changes}`);
    this.#line = null;
  }

  #changes(cpu: CpuState): string {
    let text = "";
    for (let i = 0; i < 16; i++) {
      const value = cpu.u64(GPR + i * 8);
      if (value !== this.#gpr[i]) text += ` ${GPR_NAMES[i]}=${hex(value)}`;
    }
    const { rflags } = cpu;
    if (rflags !== this.#rflags) text += ` RFL=${hex(rflags)} [${flagLetters(rflags)}]`;
    for (let i = 0; i < 16; i++) {
      const low = cpu.u64(xmmHalf(i * 2));
      const high = cpu.u64(xmmHalf(i * 2 + 1));
      if (low !== this.#xmm[i * 2] || high !== this.#xmm[i * 2 + 1]) {
        text += ` XMM${i}=${hex(high, 16)}${hex(low, 16)}`;
      }
    }
    if (cpu.i32(MXCSR) !== this.#mxcsr) text += ` MXCSR=${hex(cpu.i32(MXCSR))}`;
    return text;
  }
}

/** Offset of the low (even) and high (odd) halves of the XMM registers. */
function xmmHalf(i: number): number {
  return XMM + (i >> 1) * XMM_STRIDE + (i & 1) * 8;
}
