/** XSAVE state components: numbers, sizes and places (SDM vol. 1 13.4-13.5; CPUID leaf DH). */
import type { CpuModel } from "./models.ts";

export interface StateComponent {
  /** Bit of XCR0 or IA32_XSS. */
  readonly index: number;
  readonly name: string;
  /** Bytes in the extended region; components 0 and 1 live in the legacy region. */
  readonly size: number;
  /** Offset in the standard format. */
  readonly offset: number;
  /** Enabled through IA32_XSS rather than XCR0. */
  readonly supervisor: boolean;
  /** Placed on a 64-byte boundary in the compacted format. */
  readonly aligned: boolean;
  /** The feature that brings it. */
  readonly feature: string;
}

export const StateBit = { X87: 1 << 0, SSE: 1 << 1, AVX: 1 << 2, PKRU: 1 << 9 } as const;

/** Legacy region (512 bytes) and XSAVE header (64 bytes). */
export const EXTENDED_REGION = 576;

export const COMPONENTS: readonly StateComponent[] = [
  { index: 0, name: "x87", size: 160, offset: 0, supervisor: false, aligned: false, feature: "fpu" },
  { index: 1, name: "SSE", size: 256, offset: 160, supervisor: false, aligned: false, feature: "sse" },
  { index: 2, name: "AVX", size: 256, offset: 576, supervisor: false, aligned: false, feature: "avx" },
  { index: 9, name: "PKRU", size: 8, offset: 2688, supervisor: false, aligned: false, feature: "pku" },
];

/** The bits that may be set in XCR0 ("user") or IA32_XSS ("supervisor"). */
export function enabledComponents(model: CpuModel, kind: "user" | "supervisor"): number {
  let bits = 0;
  for (const component of COMPONENTS) {
    if (component.supervisor === (kind === "supervisor") && model.features.has(component.feature)) {
      bits |= 1 << component.index;
    }
  }
  return bits;
}

/** Bytes of an XSAVE area in the standard format for the components in `bits`. */
export function standardSize(bits: number): number {
  let size = EXTENDED_REGION;
  for (const component of COMPONENTS) {
    if (component.index >= 2 && bits & (1 << component.index)) {
      size = Math.max(size, component.offset + component.size);
    }
  }
  return size;
}

/** Where component `index` lies in a compacted area that holds `bits`; `index` 63 gives the area's size. */
export function compactedOffset(bits: number, index: number): number {
  let offset = EXTENDED_REGION;
  for (const component of COMPONENTS) {
    if (component.index < 2 || (bits & (1 << component.index)) === 0) continue;
    if (component.aligned) offset = (offset + 63) & ~63;
    if (component.index === index) return offset;
    offset += component.size;
  }
  return offset;
}

export function compactedSize(bits: number): number {
  return compactedOffset(bits, 63);
}
