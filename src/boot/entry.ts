/**
 * The processor state at an image's first instruction, and the descriptor and page tables that it needs in
 * memory. Selectors 10h and 18h are those the Linux boot protocol fixes (boot.rst, "32-bit Boot Protocol":
 * __BOOT_CS, __BOOT_DS); PVH and multiboot leave them open.
 */
import { StructWriter } from "./bytes.ts";
import type { Placement } from "./placement.ts";
import type { BootLayout, GuestMemory } from "./platform.ts";

export const BOOT_CS = 0x10;
export const BOOT_DS = 0x18;
export const BOOT_TSS = 0x20;

/** A segment register with its hidden part. */
export interface SegmentState {
  readonly selector: number;
  readonly base: number;
  /** Inclusive, granularity applied. */
  readonly limit: number;
  /** Descriptor bits 40-55 in place, limit bits 48-51 zero (SDM vol. 3A 3.4.5): type 0-3, S 4, DPL 5-6, P 7, L 13, D/B 14, G 15. */
  readonly attributes: number;
}

/** General registers that are not zero at entry. */
export interface EntryRegisters {
  readonly rax?: number;
  readonly rbx?: number;
  readonly rsi?: number;
  readonly rsp?: number;
}

/** Everything a processor is set to before it runs an image. General registers not named are zero. */
export interface EntryState {
  readonly mode: "long64" | "protected32";
  readonly rip: number;
  /** Interrupts off, direction up: only the fixed bit 1. */
  readonly rflags: number;
  readonly registers: EntryRegisters;
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: number;
  readonly cs: SegmentState;
  /** DS, ES, FS, GS and SS. */
  readonly data: SegmentState;
  readonly tr: SegmentState;
  readonly gdt: { readonly base: number; readonly limit: number };
  /** Empty: any exception before the guest loads its own table shuts the processor down. */
  readonly idt: { readonly base: number; readonly limit: number };
}

const CR0_PE = 0x1;
const CR0_ET = 0x10;
const CR0_PG = 0x8000_0000;
const CR4_PAE = 0x20;
const EFER_LME = 0x100;
const EFER_LMA = 0x400;
const RFLAGS_FIXED = 0x2;

/** Present, DPL 0, 4 KiB granularity; code: execute/read, accessed; data: read/write, accessed. */
const CODE64 = 0xa09b;
const CODE32 = 0xc09b;
const DATA = 0xc093;
/** Present 32-bit TSS, busy: what TR holds after LTR. */
const TSS32_BUSY = 0x008b;
const TSS_LIMIT = 0x67;
const FLAT_LIMIT = 0xffff_ffff;

/** Encodes a descriptor (SDM vol. 3A figure 3-8). `limit` is in bytes. */
function descriptor(segment: SegmentState): Uint8Array {
  const units = segment.attributes & 0x8000 ? Math.floor(segment.limit / 4096) : segment.limit;
  const attributes = segment.attributes | (((units >>> 16) & 0xf) << 8);
  return new StructWriter(8)
    .u16(0, units & 0xffff)
    .u16(2, segment.base & 0xffff)
    .u8(4, (segment.base >>> 16) & 0xff)
    .u16(5, attributes)
    .u8(7, segment.base >>> 24).bytes;
}

const GDT_ENTRIES = 5;
export const GDT_BYTES = GDT_ENTRIES * 8;

function writeGdt(memory: GuestMemory, base: number, segments: readonly SegmentState[]): void {
  const table = new StructWriter(GDT_BYTES);
  for (const segment of segments) table.put(segment.selector, descriptor(segment));
  memory.write(base, table.bytes);
}

const segment = (selector: number, attributes: number, limit = FLAT_LIMIT): SegmentState => ({
  selector,
  base: 0,
  limit,
  attributes,
});

/** Page-table entry bits (SDM vol. 3A 5.5). */
const PTE_PRESENT = 0x1;
const PTE_WRITABLE = 0x2;
const PTE_LARGE = 0x80;
const PAGE = 4096;
const IDENTITY_GIB = 4;
export const IDENTITY_TABLE_BYTES = (2 + IDENTITY_GIB) * PAGE;

/** Identity-maps the first 4 GiB with 2 MiB pages, so that no 1 GiB page support is needed. */
function writeIdentityTables(memory: GuestMemory, base: number): void {
  const tables = new StructWriter(IDENTITY_TABLE_BYTES);
  const link = PTE_PRESENT | PTE_WRITABLE;
  tables.u64(0, base + PAGE + link);
  for (let gib = 0; gib < IDENTITY_GIB; gib++) tables.u64(PAGE + gib * 8, base + (2 + gib) * PAGE + link);
  for (let i = 0; i < IDENTITY_GIB * 512; i++)
    tables.u64(2 * PAGE + i * 8, i * 0x20_0000 + (link | PTE_LARGE));
  memory.write(base, tables.bytes);
}

interface EntryTarget {
  readonly memory: GuestMemory;
  readonly layout: BootLayout;
  readonly placement: Placement;
}

/** Claims and writes what every entry needs. */
function prepare(
  target: EntryTarget,
  longMode: boolean,
): Pick<EntryState, "cs" | "data" | "tr" | "gdt" | "idt"> {
  const { memory, layout, placement } = target;
  placement.claim("boot GDT", layout.gdt, GDT_BYTES);
  const cs = segment(BOOT_CS, longMode ? CODE64 : CODE32);
  const data = segment(BOOT_DS, DATA);
  const tr = segment(BOOT_TSS, TSS32_BUSY, TSS_LIMIT);
  writeGdt(memory, layout.gdt, [cs, data, tr]);
  return { cs, data, tr, gdt: { base: layout.gdt, limit: GDT_BYTES - 1 }, idt: { base: 0, limit: 0 } };
}

/** 64-bit mode, first 4 GiB identity-mapped, interrupts off (boot.rst, "64-bit Boot Protocol"). */
export function enterLong64(target: EntryTarget, rip: number, registers: EntryRegisters): EntryState {
  const { base } = target.layout.pageTables;
  target.placement.claim("boot page tables", base, IDENTITY_TABLE_BYTES);
  writeIdentityTables(target.memory, base);
  return {
    mode: "long64",
    rip,
    rflags: RFLAGS_FIXED,
    registers: { rsp: target.layout.stackTop, ...registers },
    cr0: CR0_PG + CR0_ET + CR0_PE,
    cr3: base,
    cr4: CR4_PAE,
    efer: EFER_LME | EFER_LMA,
    ...prepare(target, true),
  };
}

/**
 * 32-bit protected mode with paging off: the Linux 32-bit entry, PVH and multiboot ask for the same state but
 * for the general registers. TR is the 32-bit TSS of limit 67h that PVH demands.
 */
export function enterProtected32(target: EntryTarget, rip: number, registers: EntryRegisters): EntryState {
  return {
    mode: "protected32",
    rip,
    rflags: RFLAGS_FIXED,
    registers: { rsp: target.layout.stackTop, ...registers },
    cr0: CR0_ET + CR0_PE,
    cr3: 0,
    cr4: 0,
    efer: 0,
    ...prepare(target, false),
  };
}
