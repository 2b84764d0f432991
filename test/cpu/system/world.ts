/**
 * A processor without decoder, paging and devices: flat memory of 1 MiB, a GDT, an IDT, a fake local APIC.
 * Linear addresses are physical; pages can be made absent, read-only or supervisor-only to provoke #PF.
 */
import { expect } from "vitest";
import { Access, type Core, type LinearMemory } from "../../../src/cpu/core.ts";
import * as R from "../../../src/cpu/decode/record.ts";
import { Fault, PageFault, Vector } from "../../../src/cpu/fault.ts";
import * as L from "../../../src/cpu/layout.ts";
import { Segment } from "../../../src/cpu/layout.ts";
import { Mode } from "../../../src/cpu/modes.ts";
import type { Halves, LocalApicPort, PortSize, ProcessorPort } from "../../../src/cpu/outside.ts";
import { Cr0, Cr4, Efer, Flag } from "../../../src/cpu/registers.ts";
import { CpuState } from "../../../src/cpu/state.ts";
import { formatDescriptor } from "../../../src/cpu/system/descriptor.ts";
import { type HelperResult, RecordView, systemHelpers } from "../../../src/cpu/system/index.ts";

export const SIZE = 0x10_0000;
const memory = new WebAssembly.Memory({ initial: Math.ceil((L.RAM + SIZE) / 0x1_0000) });

/** Selectors of the GDT that every world starts with. */
export const Sel = {
  CODE32: 0x08,
  DATA32: 0x10,
  CODE64: 0x18,
  USER_CODE32: 0x23,
  USER_DATA: 0x2b,
  USER_CODE64: 0x33,
  TSS: 0x40,
  LDT: 0x50,
  CODE16: 0x60,
  DATA16: 0x68,
  CONFORMING: 0x70,
  GATE: 0x80,
  TSS2: 0x90,
  FREE: 0xa0,
} as const;

export const Attr = {
  CODE32: 0xc09b,
  DATA32: 0xc093,
  CODE64: 0xa09b,
  USER_CODE32: 0xc0fb,
  USER_DATA: 0xc0f3,
  USER_CODE64: 0xa0fb,
  CODE16: 0x009b,
  DATA16: 0x0093,
  CONFORMING32: 0xc09f,
  TSS32: 0x0089,
  LDT: 0x0082,
} as const;

export const At = { GDT: 0x1000, IDT: 0x2000, TSS: 0x4000, LDT: 0x4800, TSS2: 0x5000, CODE: 0x8000 } as const;
export const STACK = 0x2_0000;
export const INNER_STACK = 0x3_0000;
export const IST_STACK = 0x4_0000;

class FlatMemory implements LinearMemory {
  readonly view = new DataView(memory.buffer, L.RAM, SIZE);
  readonly bytes = new Uint8Array(memory.buffer, L.RAM, SIZE);
  readonly absent = new Set<number>();
  readonly readOnly = new Set<number>();
  readonly supervisor = new Set<number>();
  cpu!: CpuState;

  #check(address: bigint, length: number, access: number): number {
    const at = Number(address);
    for (let page = at >> 12; page <= (at + length - 1) >> 12; page++) {
      const user = (access & Access.SYSTEM) === 0 && this.cpu.cpl === 3;
      const write = (access & Access.WRITE) !== 0;
      const present = at >= 0 && at + length <= SIZE && !this.absent.has(page);
      if (present && !(write && this.readOnly.has(page)) && !(user && this.supervisor.has(page))) continue;
      this.cpu.setU64(L.CR2, page === at >> 12 ? address : BigInt(page) << 12n);
      throw new Fault(
        Vector.PF,
        (present ? PageFault.PRESENT : 0) | (write ? PageFault.WRITE : 0) | (user ? PageFault.USER : 0),
      );
    }
    return at;
  }
  read(address: bigint, size: 1 | 2 | 4, access: number = Access.READ): number {
    const at = this.#check(address, size, access);
    if (size === 1) return this.view.getUint8(at);
    return size === 2 ? this.view.getUint16(at, true) : this.view.getUint32(at, true);
  }
  read64(address: bigint, access: number = Access.READ): bigint {
    return this.view.getBigUint64(this.#check(address, 8, access), true);
  }
  write(address: bigint, size: 1 | 2 | 4, value: number, access: number = Access.WRITE): void {
    const at = this.#check(address, size, access);
    if (size === 1) this.view.setUint8(at, value);
    else if (size === 2) this.view.setUint16(at, value, true);
    else this.view.setUint32(at, value, true);
  }
  write64(address: bigint, value: bigint, access: number = Access.WRITE): void {
    this.view.setBigUint64(this.#check(address, 8, access), value, true);
  }
  readBytes(address: bigint, length: number, access: number = Access.READ): Uint8Array {
    const at = this.#check(address, length, access);
    return this.bytes.slice(at, at + length);
  }
  writeBytes(address: bigint, bytes: Uint8Array, access: number = Access.WRITE): void {
    this.bytes.set(bytes, this.#check(address, bytes.length, access));
  }
  hostLine(): number {
    return 0;
  }
  probeWrite(address: bigint, length: number, access: number = Access.WRITE): void {
    this.#check(address, length, access | Access.WRITE);
  }
}

class FakeLocalApic implements LocalApicPort {
  globallyEnabled = true;
  apicId = 0;
  cr8 = 0;
  tscChanges = 0;
  readonly msrs = new Map<number, Halves>();
  ownsMsr(index: number): boolean {
    return index === 0x1b || index === 0x6e0 || (index >= 0x800 && index < 0x900);
  }
  readMsr(index: number): Halves | null {
    return this.msrs.get(index) ?? null;
  }
  writeMsr(index: number, low: number, high: number): boolean {
    this.msrs.set(index, [low, high]);
    return true;
  }
  readCr8(): number {
    return this.cr8;
  }
  writeCr8(value: number): void {
    this.cr8 = value;
  }
  timeStampCounterChanged(): void {
    this.tscChanges++;
  }
}

class FakePort implements ProcessorPort {
  readonly apic = new FakeLocalApic();
  readonly log: string[] = [];
  next = 0;
  connect(): void {}
  selectProcessor(): void {}
  readPort(port: number, size: PortSize): number {
    this.log.push(`in ${port.toString(16)} ${size}`);
    return this.next++;
  }
  writePort(port: number, size: PortSize, value: number): void {
    this.log.push(`out ${port.toString(16)} ${size} ${value.toString(16)}`);
  }
  readMmio(): number {
    return 0;
  }
  writeMmio(): void {}
  pendingEvents(): number {
    return 0;
  }
  interruptPending(): boolean {
    return false;
  }
  acknowledgeInterrupt(): number {
    return 0;
  }
  acknowledgeNmi(): void {}
  acknowledgeInit(): void {}
  acknowledgeStartup(): number {
    return 0;
  }
  acknowledgeSmi(): void {}
  lapic(): LocalApicPort {
    return this.apic;
  }
}

export interface RecordFields {
  length?: number;
  a?: number;
  b?: number;
  size?: number;
  addressSize?: number;
  /** Displacement of a memory operand; makes the r/m operand one. */
  mem?: number;
  segment?: number;
  flags?: number;
  imm?: bigint;
  base?: number;
}

/** One processor with its surroundings; `world.core` is what the code under test sees. */
export class World {
  readonly memory = new FlatMemory();
  readonly cpu = new CpuState(memory, 0);
  readonly port = new FakePort();
  readonly unknown: string[] = [];
  readonly calls: string[] = [];
  readonly rings: string[] = [];
  readonly core: Core;
  readonly record = new RecordView(memory);
  pdptesValid = true;
  tsc = 1000n;

  constructor(mode: "real" | "protected" | "compatibility" | "long" = "protected") {
    const { cpu } = this;
    this.memory.cpu = cpu;
    this.memory.bytes.fill(0);
    cpu.bytes.fill(0, 0, 0x1000);
    this.core = {
      charges: null,
      memory: this.memory,
      port: this.port,
      log: { unknown: (message) => this.unknown.push(message) },
      time: {
        tsc: () => this.tsc,
        setTsc: (_cpu, value) => {
          this.tsc = value;
        },
      },
      translation: {
        contextChanged: () => {},
        addressSpaceChanged: (_cpu: CpuState, keep: boolean) => this.calls.push(`cr3 keep=${keep}`),
        flushAll: () => this.calls.push("flush all"),
        flushPage: (_cpu: CpuState, address: bigint) => this.calls.push(`flush ${address.toString(16)}`),
        flushPcid: (_cpu: CpuState, pcid: number) => this.calls.push(`flush pcid ${pcid}`),
        loadPdptes: () => this.pdptesValid,
      } as Core["translation"],
      onPause: null,
      observer: { ring: (_cpu, from, to, cause) => this.rings.push(`${from}->${to} ${cause}`) },
      modeChanged: (changed) => modeChanged(changed),
    };
    this.gdt(Sel.CODE32, 0, 0xffff_ffff, Attr.CODE32);
    this.gdt(Sel.DATA32, 0, 0xffff_ffff, Attr.DATA32);
    this.gdt(Sel.CODE64, 0, 0xffff_ffff, Attr.CODE64);
    this.gdt(Sel.USER_CODE32, 0, 0xffff_ffff, Attr.USER_CODE32);
    this.gdt(Sel.USER_DATA, 0, 0xffff_ffff, Attr.USER_DATA);
    this.gdt(Sel.USER_CODE64, 0, 0xffff_ffff, Attr.USER_CODE64);
    this.gdt(Sel.TSS, At.TSS, 0x1ff, Attr.TSS32);
    this.gdt(Sel.LDT, At.LDT, 0x7f, Attr.LDT);
    this.gdt(Sel.CODE16, 0, 0xffff, Attr.CODE16);
    this.gdt(Sel.DATA16, 0, 0xffff, Attr.DATA16);
    this.gdt(Sel.CONFORMING, 0, 0xffff_ffff, Attr.CONFORMING32);
    cpu.setU64(L.GDTR_BASE, BigInt(At.GDT));
    cpu.setI32(L.GDTR_LIMIT, 0xff);
    cpu.setU64(L.IDTR_BASE, BigInt(At.IDT));
    cpu.setI32(L.IDTR_LIMIT, 0xfff);
    cpu.rflags = 2;
    cpu.setI32(L.CR0, Cr0.ET);
    const system = { selector: Sel.TSS, attributes: 0x8b, base: BigInt(At.TSS), limit: 0x1ff, isNull: false };
    cpu.setSegment(Segment.TR, system);
    cpu.setSegment(Segment.LDTR, { ...system, selector: 0, attributes: 0, isNull: true });
    cpu.setI32(L.MXCSR, 0x1f80);
    cpu.setU64(L.XCR0, 1n);
    if (mode === "real") {
      for (let segment = 0; segment < 6; segment++) {
        cpu.setSegment(segment, { selector: 0, attributes: 0x93, base: 0n, limit: 0xffff, isNull: false });
      }
      cpu.setU64(L.IDTR_BASE, 0n);
      cpu.setI32(L.IDTR_LIMIT, 0x3ff);
      cpu.setGpr(4, 0x8000n);
    } else {
      cpu.setI32(L.CR0, Cr0.ET | Cr0.PE);
      if (mode !== "protected") {
        cpu.setI32(L.CR0, Cr0.ET | Cr0.PE | Cr0.PG);
        cpu.setI32(L.CR4, Cr4.PAE);
        cpu.setI32(L.EFER, Efer.LME | Efer.LMA | Efer.SCE);
      }
      this.ring(0, mode === "long");
      cpu.setGpr(4, BigInt(STACK));
    }
    cpu.rip = BigInt(At.CODE);
    modeChanged(cpu);
  }

  /** Flat code and data segments of a level. */
  ring(cpl: 0 | 3, is64 = false): void {
    const { cpu } = this;
    const code = cpl === 0 ? (is64 ? Attr.CODE64 : Attr.CODE32) : is64 ? Attr.USER_CODE64 : Attr.USER_CODE32;
    const selector = cpl === 0 ? (is64 ? Sel.CODE64 : Sel.CODE32) : is64 ? Sel.USER_CODE64 : Sel.USER_CODE32;
    const flat = { base: 0n, limit: 0xffff_ffff, isNull: false };
    cpu.setSegment(Segment.CS, { ...flat, selector, attributes: code });
    const data = cpl === 0 ? Sel.DATA32 : Sel.USER_DATA;
    for (const segment of [Segment.ES, Segment.SS, Segment.DS, Segment.FS, Segment.GS]) {
      const attributes = cpl === 0 ? Attr.DATA32 : Attr.USER_DATA;
      cpu.setSegment(segment, { ...flat, selector: data, attributes });
    }
    cpu.setI32(L.CPL, cpl);
    modeChanged(cpu);
  }

  /** Virtual-8086 mode with all segments at 0. */
  virtual8086(iopl: number): void {
    const { cpu } = this;
    cpu.rflags = 2 | Flag.VM | (iopl << 12);
    for (let segment = 0; segment < 6; segment++) {
      cpu.setSegment(segment, { selector: 0, attributes: 0xf3, base: 0n, limit: 0xffff, isNull: false });
    }
    cpu.setI32(L.CPL, 3);
    cpu.setGpr(4, 0x7000n);
    modeChanged(cpu);
  }

  gdt(selector: number, base: number, limit: number, attributes: number): void {
    const [low, high] = formatDescriptor(base, limit, attributes);
    this.memory.view.setUint32(At.GDT + (selector & 0xfff8), low, true);
    this.memory.view.setUint32(At.GDT + (selector & 0xfff8) + 4, high, true);
  }
  /** A 32-bit or 16-bit call, interrupt, trap or task gate in the GDT (or anywhere). */
  gate(address: number, type: number, selector: number, offset: number, dpl = 0, parameters = 0): void {
    const view = this.memory.view;
    view.setUint32(address, (selector << 16) | (offset & 0xffff), true);
    view.setUint32(
      address + 4,
      (offset & 0xffff_0000) | 0x8000 | (dpl << 13) | (type << 8) | parameters,
      true,
    );
  }
  idtGate(vector: number, type: number, selector: number, offset: number, dpl = 0): void {
    this.gate(At.IDT + vector * 8, type, selector, offset, dpl);
  }
  /** A 64-bit interrupt (14) or trap (15) gate. */
  idtGate64(vector: number, type: number, selector: number, offset: bigint, dpl = 0, ist = 0): void {
    const low = Number(offset & 0xffff_ffffn) | 0;
    this.gate(At.IDT + vector * 16, type, selector, low, dpl, ist);
    this.memory.view.setUint32(At.IDT + vector * 16 + 8, Number(offset >> 32n), true);
  }

  /** Writes a record for one instruction. */
  instruction(fields: RecordFields): RecordView {
    const at = L.RECORDS;
    const view = new DataView(memory.buffer);
    new Uint8Array(memory.buffer, at, R.RECORD_SIZE).fill(0);
    const long = (this.cpu.i32(L.MODE) & Mode.SIZE) === Mode.CODE_64;
    const addressSize = fields.addressSize ?? (long ? 8 : 4);
    const segment = fields.segment ?? Segment.DS;
    view.setUint8(at + R.R_LENGTH, fields.length ?? 2);
    view.setUint16(at + R.R_REG_A, fields.a ?? 0, true);
    view.setUint16(at + R.R_REG_B, fields.b ?? 0, true);
    const memoryOperand = fields.mem === undefined ? 0 : 0x80;
    view.setUint16(at + R.R_REG_C, (fields.size ?? 4) | ((addressSize | memoryOperand) << 8), true);
    view.setUint16(at + R.R_BASE, fields.base ?? L.ZERO, true);
    view.setUint16(at + R.R_INDEX, L.ZERO, true);
    const segmentBase =
      long && segment < Segment.FS ? L.ZERO : L.SEGMENTS + segment * L.SEGMENT_STRIDE + L.SEGMENT_BASE;
    view.setUint16(at + R.R_SEGMENT_BASE, segmentBase, true);
    let flags = (fields.flags ?? 0) | segment;
    if (addressSize === 2) flags |= R.RecordFlag.ADDRESS_16;
    if (addressSize === 4) flags |= R.RecordFlag.ADDRESS_32;
    view.setUint8(at + R.R_FLAGS, flags);
    view.setInt32(at + R.R_DISP, fields.mem ?? 0, true);
    view.setBigInt64(at + R.R_IMM, BigInt.asIntN(64, fields.imm ?? 0n), true);
    return this.record.at(at);
  }

  /** Runs a helper. */
  run(name: string, fields: RecordFields = {}): HelperResult {
    const helper = systemHelpers[name];
    if (helper === undefined) throw new Error(`no helper "${name}"`);
    return helper(this.core, this.cpu, this.instruction(fields));
  }

  /** Runs a helper that must fault, and change no register of the processor. */
  expectFault(name: string, fields: RecordFields, vector: number, error = 0): void {
    const watched = () => this.cpu.bytes.slice(0, L.FAULT_VECTOR);
    const segments = () => this.cpu.bytes.slice(L.SEGMENTS, L.CR2);
    const before = [watched(), segments()];
    let thrown: unknown = null;
    try {
      this.run(name, fields);
    } catch (fault) {
      thrown = fault;
    }
    expect(thrown, `${name} must fault`).toBeInstanceOf(Fault);
    const fault = thrown as Fault;
    expect([fault.vector, fault.error]).toEqual([vector, error]);
    expect([watched(), segments()], "a fault changes nothing").toEqual(before);
  }

  read16(address: number): number {
    return this.memory.view.getUint16(address, true);
  }
  read32(address: number): number {
    return this.memory.view.getUint32(address, true);
  }
  read64(address: number): bigint {
    return this.memory.view.getBigUint64(address, true);
  }
  /** Writes consecutive values of `size` bytes. */
  poke(address: number, size: 2 | 4 | 8, ...values: (number | bigint)[]): void {
    values.forEach((value, index) => {
      const at = address + index * size;
      if (size === 8) this.memory.view.setBigUint64(at, BigInt(value), true);
      else if (size === 4) this.memory.view.setUint32(at, Number(value), true);
      else this.memory.view.setUint16(at, Number(value), true);
    });
  }
  /** The `count` slots at `address`. */
  slots(address: number, size: 2 | 4 | 8, count: number): number[] {
    return Array.from({ length: count }, (_, index) => {
      const at = address + index * size;
      if (size === 8) return Number(this.read64(at));
      return size === 4 ? this.read32(at) : this.read16(at);
    });
  }
  get rsp(): number {
    return Number(this.cpu.gpr(4));
  }
}

function modeChanged(cpu: CpuState): void {
  const attributes = (segment: number) =>
    cpu.i32(L.SEGMENTS + segment * L.SEGMENT_STRIDE + L.SEGMENT_ATTRIBUTES);
  let mode: number;
  if (cpu.efer & Efer.LMA && attributes(Segment.CS) & 0x2000) mode = Mode.CODE_64;
  else {
    mode = attributes(Segment.CS) & 0x4000 ? Mode.CODE_32 : Mode.CODE_16;
    if (attributes(Segment.SS) & 0x4000) mode |= Mode.STACK_32;
    if (!(cpu.cr0 & Cr0.PE) || cpu.i32(L.FLAGS_SYSTEM) & Flag.VM) mode |= Mode.REAL_OR_V86;
  }
  cpu.setI32(L.MODE, mode);
}
