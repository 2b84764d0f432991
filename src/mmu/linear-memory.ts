/**
 * Linear memory for the TypeScript helpers (interrupt delivery, descriptor tables, system instructions): the
 * same TLBs and the same slow paths as emitted code, with addresses as BigInt and faults thrown.
 */
import { Access, type LinearMemory } from "../cpu/core.ts";
import { Fault } from "../cpu/fault.ts";
import { MODE, RAM, TLB_KEY, TLB_READ, TLB_WRITE } from "../cpu/layout.ts";
import { Mode } from "../cpu/modes.ts";
import type { OperandAccess } from "./operand-access.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { KEY_CONTEXT } from "./tlb.ts";

const PAGE = 0x1000;
const OFFSET = 0xfff;

export class LinearAccess implements LinearMemory {
  readonly #operands: OperandAccess;
  readonly #view: DataView;
  /** Splits an address without making new BigInts. */
  readonly #whole = new BigUint64Array(1);
  readonly #halves = new Int32Array(this.#whole.buffer);
  // The access under way.
  #lo = 0;
  #hi = 0;
  #key = 0;
  #wrap = false;

  constructor(physical: PhysicalMemory, operands: OperandAccess) {
    this.#operands = operands;
    this.#view = new DataView(physical.memory.buffer);
  }

  read(address: bigint, size: 1 | 2 | 4, access: number = Access.READ): number {
    const host = this.#hostForRead(address, size, access);
    if (size === 1) return this.#view.getUint8(host);
    return size === 2 ? this.#view.getUint16(host, true) : this.#view.getUint32(host, true);
  }

  read64(address: bigint, access: number = Access.READ): bigint {
    return this.#view.getBigUint64(this.#hostForRead(address, 8, access), true);
  }

  write(address: bigint, size: 1 | 2 | 4, value: number, access: number = Access.WRITE): void {
    const host = this.#hostForWrite(address, size, access);
    if (size === 1) this.#view.setUint8(host, value);
    else if (size === 2) this.#view.setUint16(host, value, true);
    else this.#view.setUint32(host, value, true);
    if (this.#operands.pending !== 0) this.#operands.commit();
  }

  write64(address: bigint, value: bigint, access: number = Access.WRITE): void {
    this.#view.setBigUint64(this.#hostForWrite(address, 8, access), value, true);
    if (this.#operands.pending !== 0) this.#operands.commit();
  }

  readBytes(address: bigint, length: number, access: number = Access.READ, alignment = 1): Uint8Array {
    const bytes = new Uint8Array(checkedLength(length));
    this.#begin(address, access);
    if (!this.#operands.transfer(bytes, this.#lo, this.#hi, Access.READ, this.#key, this.#wrap, alignment))
      this.#throw();
    return bytes;
  }

  writeBytes(address: bigint, bytes: Uint8Array, access: number = Access.WRITE, alignment = 1): void {
    checkedLength(bytes.length);
    this.#begin(address, access);
    if (!this.#operands.transfer(bytes, this.#lo, this.#hi, Access.WRITE, this.#key, this.#wrap, alignment))
      this.#throw();
  }

  hostLine(address: bigint): number {
    const host = this.#hostForRead(address & ~63n, 1, Access.READ);
    // What a device gives has been put into the processor's block.
    return host >= RAM ? host : 0;
  }

  probeWrite(address: bigint, length: number, access: number = Access.WRITE, alignment = 1): void {
    this.#begin(address, access);
    if (!this.#operands.probe(this.#lo, this.#hi, checkedLength(length), this.#key, this.#wrap, alignment))
      this.#throw();
  }

  #hostForRead(address: bigint, size: number, access: number): number {
    this.#begin(address, access);
    const lo = this.#lo;
    if ((lo & OFFSET) + size <= PAGE) {
      const addend = this.#operands.context.tlb.lookup(TLB_READ, lo, this.#hi, this.#key);
      if (addend !== 0) return (lo + addend) >>> 0;
    }
    const host = this.#operands.read(lo, this.#hi, size, this.#key, this.#wrap);
    if (host === 0) this.#throw();
    return host >>> 0;
  }

  #hostForWrite(address: bigint, size: number, access: number): number {
    if (this.#operands.pending !== 0) this.#operands.cancel();
    this.#begin(address, access);
    const lo = this.#lo;
    if ((lo & OFFSET) + size <= PAGE) {
      const addend = this.#operands.context.tlb.lookup(TLB_WRITE, lo, this.#hi, this.#key);
      if (addend !== 0) return (lo + addend) >>> 0;
    }
    const host = this.#operands.write(lo, this.#hi, size, this.#key, this.#wrap, false);
    if (host === 0) this.#throw();
    return host >>> 0;
  }

  #begin(address: bigint, access: number): void {
    this.#whole[0] = address;
    const context = this.#operands.context;
    const cpu = context.cpu;
    const key = cpu.i32(TLB_KEY);
    // Implicit accesses use descriptor tables and stacks of IA-32e mode with 64-bit linear addresses even
    // from compatibility mode.
    if ((access & Access.SYSTEM) !== 0) {
      this.#key = (key & ~KEY_CONTEXT) | context.systemContext;
      this.#wrap = !context.controls.longMode;
    } else {
      this.#key = key;
      this.#wrap = (cpu.i32(MODE) & Mode.SIZE) !== Mode.CODE_64;
    }
    this.#lo = this.#halves[0];
    this.#hi = this.#wrap ? 0 : this.#halves[1];
  }

  #throw(): never {
    throw new Fault(this.#operands.faultVector, this.#operands.faultError);
  }
}

function checkedLength(length: number): number {
  if (length < 1 || length > PAGE) throw new RangeError(`${length} bytes are not within 1 to ${PAGE}`);
  return length;
}
