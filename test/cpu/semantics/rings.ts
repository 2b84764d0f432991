/**
 * Two machines in the same state of 64-bit mode, one of which watches ring transitions: there every transfer
 * takes the TypeScript helper, in the other one emitted code does what it can. Both must end alike.
 */
import { expect } from "vitest";
import * as L from "../../../src/cpu/layout.ts";
import { Segment } from "../../../src/cpu/layout.ts";
import { Cr0, Cr4, Efer } from "../../../src/cpu/registers.ts";
import type { CpuState, SegmentRegister } from "../../../src/cpu/state.ts";
import { formatDescriptor } from "../../../src/cpu/system/descriptor.ts";
import { COLD_END } from "../../../src/cpu/system/index.ts";
import { Machine } from "../../../src/machine/machine.ts";

/** What lies where; linear addresses are physical addresses. */
export const At = {
  PML4: 0x1000,
  PDPT: 0x2000,
  PD: 0x3000,
  PT: 0x4000,
  GDT: 0x5000,
  IDT: 0x6000,
  TSS: 0x7000,
  /** The instruction; user code may execute this page too. */
  CODE: 0x8000,
  STACK: 0x1_0000,
  INNER_STACK: 0x1_8000,
  USER: 0x2_0000,
  HANDLER: 0x3_0000,
  TARGET: 0x3_1000,
  END: 0x4_0000,
} as const;

export const Sel = {
  CODE: 0x10,
  DATA: 0x18,
  USER32: 0x23,
  USER_DATA: 0x2b,
  USER_CODE: 0x33,
  FREE: 0x40,
  FREE2: 0x48,
};
export const Attr = { CODE: 0xa09b, DATA: 0xc093, USER32: 0xc0fb, USER_DATA: 0xc0f3, USER_CODE: 0xa0fb };
const TSS_SELECTOR = 0x50;
/** Selectors of 8-byte descriptors from 60H on lie outside. */
export const GDT_LIMIT = 0x5f;

const ENABLED = Cr0.PE | Cr0.PG | Cr0.ET | Cr0.NE | Cr0.WP;
const LOCAL_APIC = 0xfee0_0000;

/** Fields that tell how the instruction was executed, not what it did. */
const IGNORED: readonly (readonly [number, number])[] = [
  [L.RIP_PAGE, 8],
  [L.BUDGET, 4],
  [L.CURRENT_RECORD, 4],
  [L.CHAIN_LINK, 4],
  [L.SCRATCH_PENDING, 4],
  [L.HELPER_VALUE, 16],
  [L.SCRATCH, 64],
  [L.RING_CONTROL, 4],
];

export class RingMachine {
  readonly machine: Machine;
  readonly cpu: CpuState;
  readonly ram: DataView;
  readonly observed: boolean;

  constructor(observed: boolean) {
    this.observed = observed;
    this.machine = new Machine({ memory: 2 * 2 ** 20 });
    this.cpu = this.machine.states[0]!;
    const bytes = this.machine.memory.view(0, At.END)!;
    this.ram = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Puts `code` at the instruction pointer, in ring `cpl` of 64-bit mode, with everything else as new. */
  prepare(
    code: readonly number[],
    cpl: 0 | 3,
    controls: { cr0?: number; cr4?: number; efer?: number } = {},
  ): void {
    const { cpu, machine, ram } = this;
    machine.reset();
    const bytes = new Uint8Array(At.END);
    const view = new DataView(bytes.buffer);
    for (const [at, next] of [
      [At.PML4, At.PDPT],
      [At.PDPT, At.PD],
      [At.PD, At.PT],
    ] as const)
      view.setUint32(at, next | 7, true);
    for (let page = 0; page < 512; page++) {
      const user = page * 4096 === At.CODE || page * 4096 === At.USER;
      view.setUint32(At.PT + page * 8, (page * 4096) | (user ? 0x67 : 0x63), true);
    }
    this.#descriptor(view, Sel.CODE, Attr.CODE);
    this.#descriptor(view, Sel.DATA, Attr.DATA);
    this.#descriptor(view, Sel.USER32, Attr.USER32);
    this.#descriptor(view, Sel.USER_DATA, Attr.USER_DATA);
    this.#descriptor(view, Sel.USER_CODE, Attr.USER_CODE);
    for (let vector = 0; vector < 256; vector++) {
      view.setUint32(At.IDT + vector * 16, (Sel.CODE << 16) | (At.HANDLER & 0xffff), true);
      view.setUint32(At.IDT + vector * 16 + 4, (At.HANDLER & 0xffff_0000) | 0x8e00, true);
    }
    view.setUint32(At.TSS + 4, At.INNER_STACK, true);
    bytes.set(code, At.CODE);
    new Uint8Array(ram.buffer, ram.byteOffset, At.END).set(bytes);

    const { cr0 = 0, cr4 = 0, efer = 0 } = controls;
    cpu.setI32(L.CR0, ENABLED | cr0);
    cpu.setI32(L.CR4, Cr4.PAE | cr4);
    cpu.setU64(L.CR3, BigInt(At.PML4));
    cpu.setI32(L.EFER, Efer.LME | Efer.LMA | efer);
    cpu.setI32(L.CPL, cpl);
    const flat = (selector: number, attributes: number): SegmentRegister => ({
      selector,
      attributes,
      base: 0n,
      limit: 0xffff_ffff,
      isNull: false,
    });
    cpu.setSegment(Segment.CS, cpl === 0 ? flat(Sel.CODE, Attr.CODE) : flat(Sel.USER_CODE, Attr.USER_CODE));
    cpu.setSegment(Segment.SS, cpl === 0 ? flat(Sel.DATA, Attr.DATA) : flat(Sel.USER_DATA, Attr.USER_DATA));
    for (const segment of [Segment.ES, Segment.DS, Segment.FS, Segment.GS]) {
      cpu.setSegment(segment, { selector: 0, attributes: 0, base: 0n, limit: 0, isNull: true });
    }
    cpu.setSegment(Segment.TR, {
      selector: TSS_SELECTOR,
      attributes: 0x8b,
      base: BigInt(At.TSS),
      limit: 0x67,
      isNull: false,
    });
    cpu.setU64(L.GDTR_BASE, BigInt(At.GDT));
    cpu.setI32(L.GDTR_LIMIT, GDT_LIMIT);
    cpu.setU64(L.IDTR_BASE, BigInt(At.IDT));
    cpu.setI32(L.IDTR_LIMIT, 0xfff);
    cpu.rip = BigInt(At.CODE);
    cpu.setGpr(4, BigInt(cpl === 0 ? At.STACK : At.USER + 0x800));
    cpu.rflags = 2;
    machine.processor.modeChanged(cpu);
    machine.mmu.flushAll(cpu);
    machine.observer = this.observed ? { ring: () => {} } : null;
  }

  #descriptor(view: DataView, selector: number, attributes: number): void {
    const [low, high] = formatDescriptor(0, 0xffff_ffff, attributes);
    view.setUint32(At.GDT + (selector & 0xf8), low, true);
    view.setUint32(At.GDT + (selector & 0xf8) + 4, high, true);
  }

  /** Reads as the processor does now, so that the TLB knows the page. */
  warm(address: number): void {
    this.machine.mmu.read64(BigInt(address));
  }

  /** Lets the local APIC hold an interrupt ready. */
  interrupt(vector: number): void {
    const port = this.machine.platform.processorPort;
    port.writeMmio(LOCAL_APIC + 0xf0, 4, 0x1ff);
    port.writeMmio(LOCAL_APIC + 0x300, 4, 0x4_4000 | vector);
  }

  /** Executes the block at RIP; an event that it makes deliverable is delivered. */
  run(): void {
    this.machine.processor.execute(this.cpu, 0);
  }

  /** The processor's state and the memory below At.END, as text to compare. */
  state(): { registers: string; memory: string } {
    const block = this.cpu.bytes.slice(0, COLD_END);
    for (const [at, length] of IGNORED) block.fill(0, at, at + length);
    return {
      registers: Buffer.from(block).toString("hex"),
      memory: Buffer.from(this.ram.buffer, this.ram.byteOffset, At.END).toString("hex"),
    };
  }
}

/** Differences of two states in words, by offset in the processor's block. */
export function expectSame(a: RingMachine, b: RingMachine, what: string): void {
  const [left, right] = [a.state(), b.state()];
  if (left.registers !== right.registers || left.memory !== right.memory) {
    const differences: string[] = [];
    for (const part of ["registers", "memory"] as const) {
      for (let at = 0; at < left[part].length; at += 8) {
        const [l, r] = [left[part].slice(at, at + 8), right[part].slice(at, at + 8)];
        if (l !== r) differences.push(`${part} ${(at / 2).toString(16)}: emitted ${l} helper ${r}`);
      }
    }
    expect.fail(`${what}\n${differences.slice(0, 20).join("\n")}`);
  }
}
