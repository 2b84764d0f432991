/**
 * The fixed surroundings every conformance case runs in: memory windows, descriptor tables, the default
 * floating-point state. The native runner builds them from Linux's facilities, an emulator's executor from
 * page tables and descriptors; both take them from here.
 *
 * All of it lies below 4 GB except the high window, so that 16-, 32- and 64-bit cases share one layout. Pages
 * between the windows are not mapped. Nothing else is mapped at all: a stray access is a #PF.
 */
import type { Selectors } from "./case.ts";
import { SplitMix } from "./random.ts";

export const PAGE = 4096;

/** Base of the data segments of 16-bit cases and address of the main data window. */
export const DATA_BASE = 0x1000_0000;
/** Base of the code segments of 16-bit cases and address of the code window. */
export const CODE_BASE = 0x1002_0000;
/** A page that only 64-bit addresses reach. */
export const HIGH_BASE = 0x7000_0000_0000;

export const STACK_BASE = DATA_BASE + 5 * PAGE;
export const READ_ONLY_BASE = DATA_BASE + 2 * PAGE;
export const GUARD_BASE = DATA_BASE + 3 * PAGE;

/** What code windows hold wherever a case writes nothing: INT3, which ends a case. */
export const CODE_FILLER = 0xcc;

export interface MemoryWindow {
  readonly name: string;
  /** Linear address, page aligned. */
  readonly address: number;
  /** Bytes, a multiple of the page size. */
  readonly size: number;
  readonly writable: boolean;
  readonly executable: boolean;
}

/**
 * The windows in ascending order of address. Neighbours without a gap give page-crossing accesses whose halves
 * differ in permission: writable to read-only, read-only to unmapped, code to unmapped.
 */
export const WINDOWS: readonly MemoryWindow[] = [
  { name: "data", address: DATA_BASE, size: 2 * PAGE, writable: true, executable: false },
  { name: "read-only", address: READ_ONLY_BASE, size: PAGE, writable: false, executable: false },
  { name: "stack", address: STACK_BASE, size: PAGE, writable: true, executable: false },
  { name: "code", address: CODE_BASE, size: 2 * PAGE, writable: false, executable: true },
  {
    name: "code, end of the 64 KB segment",
    address: CODE_BASE + 0xf000,
    size: PAGE,
    writable: false,
    executable: true,
  },
  { name: "high", address: HIGH_BASE, size: PAGE, writable: true, executable: false },
];

/** The initial content of a window: a fixed pseudo-random pattern, or the filler for code. */
export function windowContent(window: MemoryWindow): Uint8Array {
  const content = new Uint8Array(window.size);
  if (window.executable) return content.fill(CODE_FILLER);
  const random = new SplitMix(window.address / PAGE);
  const words = new Uint32Array(content.buffer);
  for (let i = 0; i < words.length; i++) words[i] = random.u32();
  return content;
}

/**
 * The global descriptor table as Linux sets it up, as far as a user-mode case can tell: index to descriptor.
 * Entries 8-11 (TSS and LDT, DPL 0) only matter in that they exist and are no user segment. The limit of entry 15
 * holds the number of the processor: the native runner stays on processor 0.
 */
export const GDT: ReadonlyMap<number, bigint> = new Map([
  [1, 0x00cf_9b00_0000_ffffn], // kernel code, 32-bit
  [2, 0x00af_9b00_0000_ffffn], // kernel code, 64-bit
  [3, 0x00cf_9300_0000_ffffn], // kernel data
  [4, 0x00cf_fb00_0000_ffffn], // user code, 32-bit
  [5, 0x00cf_f300_0000_ffffn], // user data
  [6, 0x00af_fb00_0000_ffffn], // user code, 64-bit
  [15, 0x0040_f500_0000_0000n], // user data, read-only, expand-down
]);
export const GDT_LIMIT = 16 * 8 - 1;

/** Vectors whose IDT gate has DPL 3; INT n with any other vector is #GP(n * 8 + 2). INT 80H is never generated. */
export const USER_VECTORS: readonly number[] = [3, 4, 0x80];

export const SELECTOR = {
  user32Code: 0x23,
  userData: 0x2b,
  user64Code: 0x33,
  code16: 0x07,
  data16: 0x0f,
  code32: 0x17,
  dataLimit: 0x1f,
  dataReadOnly: 0x27,
  dataExpandDown: 0x2f,
  codeExecuteOnly: 0x37,
  dataNotPresent: 0x3f,
  dataExpandDown16: 0x47,
} as const;

export interface LocalDescriptor {
  readonly selector: number;
  readonly base: number;
  /** The 20-bit limit field. */
  readonly limit: number;
  readonly kind: "data" | "expand-down" | "code";
  /** Data: read-only. Code: execute-only. */
  readonly restricted?: boolean;
  /** The D/B flag. */
  readonly big: boolean;
  /** The G flag. */
  readonly pages?: boolean;
  readonly present?: boolean;
}

/** The local descriptor table: DPL 3, accessed, entry = selector >> 3. All other entries are empty. */
export const LDT: readonly LocalDescriptor[] = [
  { selector: SELECTOR.code16, base: CODE_BASE, limit: 0xffff, kind: "code", big: false },
  { selector: SELECTOR.data16, base: DATA_BASE, limit: 0xffff, kind: "data", big: false },
  { selector: SELECTOR.code32, base: CODE_BASE, limit: 0x1fff, kind: "code", big: true },
  { selector: SELECTOR.dataLimit, base: DATA_BASE, limit: 0x17ff, kind: "data", big: true },
  {
    selector: SELECTOR.dataReadOnly,
    base: DATA_BASE,
    limit: 0xffff,
    kind: "data",
    restricted: true,
    big: true,
  },
  { selector: SELECTOR.dataExpandDown, base: DATA_BASE, limit: 0x07ff, kind: "expand-down", big: true },
  {
    selector: SELECTOR.codeExecuteOnly,
    base: CODE_BASE,
    limit: 0xffff,
    kind: "code",
    restricted: true,
    big: true,
  },
  {
    selector: SELECTOR.dataNotPresent,
    base: DATA_BASE,
    limit: 0xffff,
    kind: "data",
    big: true,
    present: false,
  },
  { selector: SELECTOR.dataExpandDown16, base: DATA_BASE, limit: 0x07ff, kind: "expand-down", big: false },
];

/** An LDT entry as the eight bytes of a segment descriptor (SDM vol. 3, 3.4.5). */
export function encodeDescriptor(d: LocalDescriptor): bigint {
  const type = (d.kind === "code" ? 8 : d.kind === "expand-down" ? 4 : 0) | (d.restricted ? 0 : 2) | 1;
  const access = (d.present === false ? 0 : 0x80) | 0x60 | 0x10 | type;
  const flags = (d.pages ? 8 : 0) | (d.big ? 4 : 0);
  const low = ((d.base & 0xffff) << 16) | (d.limit & 0xffff);
  const high =
    (d.base & 0xff00_0000) | (flags << 20) | (d.limit & 0xf_0000) | (access << 8) | ((d.base >>> 16) & 0xff);
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** Base address of the code segment a selector names: what turns RIP into a linear address. */
export function codeBase(selector: number): number {
  return LDT.find((d) => d.selector === selector)?.base ?? 0;
}

/** Base address of a data segment outside 64-bit mode. Null and unusable selectors give 0. */
export function segmentBase(selector: number): number {
  return LDT.find((d) => d.selector === selector)?.base ?? 0;
}

/** The usual selectors of each mode, in Sreg order ES CS SS DS FS GS. */
export const DEFAULT_SELECTORS: Readonly<Record<16 | 32 | 64, Selectors>> = {
  64: [SELECTOR.userData, SELECTOR.user64Code, SELECTOR.userData, SELECTOR.userData, 0, 0],
  32: [
    SELECTOR.userData,
    SELECTOR.user32Code,
    SELECTOR.userData,
    SELECTOR.userData,
    SELECTOR.userData,
    SELECTOR.userData,
  ],
  16: [SELECTOR.data16, SELECTOR.code16, SELECTOR.data16, SELECTOR.data16, SELECTOR.data16, SELECTOR.data16],
};

/** Size of an FXSAVE image, and the part of it the processor defines (SDM vol. 1, 10.5.1). */
export const FX_BYTES = 512;
export const FX_DEFINED = 464;

/**
 * The FXSAVE image of cases that bring none: every x87 register empty, FCW and MXCSR as after FNINIT and reset,
 * the register contents a pattern, so that an instruction that touches them is seen.
 */
export function defaultFxImage(): Uint8Array {
  const image = new Uint8Array(FX_BYTES);
  const view = new DataView(image.buffer);
  const random = new SplitMix(0x5eed);
  for (let register = 0; register < 8; register++)
    for (let byte = 0; byte < 10; byte++) image[32 + register * 16 + byte] = random.u32();
  for (let byte = 160; byte < 416; byte++) image[byte] = random.u32();
  view.setUint16(0, 0x037f, true);
  view.setUint32(24, 0x1f80, true);
  view.setUint32(28, 0xffff, true);
  return image;
}
