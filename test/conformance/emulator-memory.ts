/**
 * The environment's memory in the emulator's terms: physical pages, 4-level page tables, descriptor tables, an
 * IDT whose every gate leads to a HLT of its own. What an event saved lies on the kernel stack for reading.
 */
import type { PhysicalMemory } from "../../src/mmu/physical-memory.ts";
import { encodeDescriptor, GDT, LDT, PAGE, USER_VECTORS, WINDOWS, windowContent } from "./environment.ts";

/** Linear base of the supervisor pages: where no case's address ever points. */
const SUPERVISOR = 0xffff_c123_4567_0000n;

/** Pages from SUPERVISOR on. */
const SUPERVISOR_PAGES = { gdt: 0, ldt: 1, idt: 2, tss: 3, handlers: 4, stack: 5 } as const;

const at = (page: number): bigint => SUPERVISOR + BigInt(page * PAGE);

export const GDT_BASE = at(SUPERVISOR_PAGES.gdt);
export const LDT_BASE = at(SUPERVISOR_PAGES.ldt);
export const LDT_LIMIT = 16 * 8 - 1;
export const IDT_BASE = at(SUPERVISOR_PAGES.idt);
export const IDT_LIMIT = 256 * 16 - 1;
export const TSS_BASE = at(SUPERVISOR_PAGES.tss);
export const TSS_LIMIT = 0x67;
/** The handler of vector n is the HLT at HANDLERS + n * HANDLER_SIZE. */
export const HANDLERS = at(SUPERVISOR_PAGES.handlers);
export const HANDLER_SIZE = 16;
/** RSP0: frames of events lie below it. */
export const KERNEL_STACK = at(SUPERVISOR_PAGES.stack + 1);
/** Selectors of Linux's GDT. */
export const KERNEL_CODE = 0x10;
export const TSS_SELECTOR = 0x40;
export const LDT_SELECTOR = 0x50;

const HLT = 0xf4;

/** Page-table entry bits (SDM vol. 3A table 4-20). A and D are set, so that walks write nothing. */
const PTE = { P: 1n, W: 2n, U: 4n, A: 0x20n, D: 0x40n, XD: 1n << 63n } as const;

/** One writable window: where it lies, physically and in the case's eyes, and what it starts with. */
export interface Mapped {
  readonly linear: number;
  readonly physical: number;
  readonly size: number;
  readonly writable: boolean;
  readonly content: Uint8Array;
}

/** The physical memory the environment uses: clear of the PC's holes below 1 MB. */
const PHYSICAL_START = 0x10_0000;
const PHYSICAL_END = 0x20_0000;

/** Builds everything from PHYSICAL_START on. */
export class EnvironmentMemory {
  readonly windows: Mapped[] = [];
  /** Value for CR3. */
  readonly root: number;
  /** Physical address of RSP0's end. */
  readonly stackEnd: number;

  readonly #physical: PhysicalMemory;
  #next = PHYSICAL_START;

  constructor(physical: PhysicalMemory) {
    this.#physical = physical;
    this.root = this.#allocate(PAGE);
    for (const window of WINDOWS) {
      const content = windowContent(window);
      const start = this.#allocate(window.size);
      for (let offset = 0; offset < window.size; offset += PAGE) {
        const flags = PTE.U | (window.writable ? PTE.W : 0n) | (window.executable ? 0n : PTE.XD);
        this.#map(BigInt(window.address + offset), start + offset, flags);
      }
      physical.write(start, content);
      this.windows.push({
        linear: window.address,
        physical: start,
        size: window.size,
        writable: window.writable,
        content,
      });
    }
    const pages = Object.values(SUPERVISOR_PAGES).length;
    const supervisor = this.#allocate(pages * PAGE);
    for (let page = 0; page < pages; page++)
      this.#map(
        at(page),
        supervisor + page * PAGE,
        PTE.W | (page === SUPERVISOR_PAGES.handlers ? 0n : PTE.XD),
      );
    const physicalOf = (page: number): number => supervisor + page * PAGE;
    this.stackEnd = physicalOf(SUPERVISOR_PAGES.stack + 1);

    for (const [index, descriptor] of GDT)
      physical.write64(physicalOf(SUPERVISOR_PAGES.gdt) + index * 8, descriptor);
    this.#systemDescriptor(physicalOf(SUPERVISOR_PAGES.gdt) + TSS_SELECTOR, TSS_BASE, TSS_LIMIT, 0x8b);
    this.#systemDescriptor(physicalOf(SUPERVISOR_PAGES.gdt) + LDT_SELECTOR, LDT_BASE, LDT_LIMIT, 0x82);
    for (const d of LDT)
      physical.write64(physicalOf(SUPERVISOR_PAGES.ldt) + (d.selector & ~7), encodeDescriptor(d));
    for (let vector = 0; vector < 256; vector++) this.#gate(physicalOf(SUPERVISOR_PAGES.idt), vector);
    physical.write64(physicalOf(SUPERVISOR_PAGES.tss) + 4, KERNEL_STACK);
    // The I/O permission bitmap starts at the limit: there is none, so IN and OUT are #GP(0).
    physical.write16(physicalOf(SUPERVISOR_PAGES.tss) + 0x66, TSS_LIMIT + 1);
    physical.fill(physicalOf(SUPERVISOR_PAGES.handlers), PAGE, HLT);
  }

  /** Writes bytes at a linear address whatever its protection; what lies in no window is dropped. */
  poke(address: number, bytes: Uint8Array): void {
    for (const w of this.windows) {
      const from = Math.max(address, w.linear);
      const to = Math.min(address + bytes.length, w.linear + w.size);
      if (from < to)
        this.#physical.write(w.physical + from - w.linear, bytes.subarray(from - address, to - address));
    }
  }

  /** Gives the bytes of an address range their initial content again. */
  restore(address: number, length: number): void {
    for (const w of this.windows) {
      const from = Math.max(address, w.linear);
      const to = Math.min(address + length, w.linear + w.size);
      if (from < to)
        this.#physical.write(
          w.physical + from - w.linear,
          w.content.subarray(from - w.linear, to - w.linear),
        );
    }
  }

  #allocate(size: number): number {
    const start = this.#next;
    this.#next += size;
    if (this.#next > PHYSICAL_END) throw new Error("the environment does not fit its physical memory");
    return start;
  }

  #map(linear: bigint, physical: number, flags: bigint): void {
    let table = this.root;
    for (const shift of [39n, 30n, 21n]) {
      const entry = table + Number((linear >> shift) & 511n) * 8;
      let next = this.#physical.read64(entry);
      if (next === 0n) {
        next = BigInt(this.#allocate(PAGE)) | PTE.P | PTE.W | PTE.U | PTE.A;
        this.#physical.write64(entry, next);
      }
      table = Number(next & 0xf_ffff_ffff_f000n);
    }
    const entry = table + Number((linear >> 12n) & 511n) * 8;
    this.#physical.write64(entry, BigInt(physical) | PTE.P | PTE.A | PTE.D | flags);
  }

  /** A 16-byte TSS or LDT descriptor of IA-32e mode (SDM vol. 3A 8.2.3). */
  #systemDescriptor(address: number, base: bigint, limit: number, access: number): void {
    const low =
      BigInt(limit & 0xffff) |
      ((base & 0xff_ffffn) << 16n) |
      (BigInt(access) << 40n) |
      (BigInt((limit >> 16) & 15) << 48n) |
      (((base >> 24n) & 0xffn) << 56n);
    this.#physical.write64(address, low);
    this.#physical.write64(address + 8, base >> 32n);
  }

  /** A 64-bit interrupt gate (SDM vol. 3A figure 6-8). */
  #gate(idt: number, vector: number): void {
    const offset = HANDLERS + BigInt(vector * HANDLER_SIZE);
    const dpl = USER_VECTORS.includes(vector) ? 3n : 0n;
    const low =
      (offset & 0xffffn) |
      (BigInt(KERNEL_CODE) << 16n) |
      ((0x8en | (dpl << 5n)) << 40n) |
      (((offset >> 16n) & 0xffffn) << 48n);
    this.#physical.write64(idt + vector * 16, low);
    this.#physical.write64(idt + vector * 16 + 8, offset >> 32n);
  }
}
