/**
 * XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR, XRSTORS (SDM vol. 1 chapter 13).
 *
 * XINUSE is the exact question whether a component differs from its initial configuration. The modified
 * optimisation is not used: every component that is in use is written.
 */
import { Access, type Core } from "../core.ts";
import { COMPONENTS, compactedOffset, EXTENDED_REGION, StateBit } from "../cpuid/state-components.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Cr0, Cr4, Gpr } from "../registers.ts";
import type { CpuState } from "../state.ts";
import {
  checkedMxcsr,
  initializeX87,
  loadX87,
  loadXmm,
  MXCSR_RESET,
  storeMxcsr,
  storeX87,
  storeXmm,
  XMM_AREA,
  xmmCount,
} from "./fpu-state.ts";
import { CONTINUE, type Helper, type RecordView, type SystemHelpers } from "./helper.ts";
import { operandAddress } from "./operand.ts";
import { requireCpl0 } from "./table-registers.ts";

/** The XSAVE header. */
const XSTATE_BV = 512;
const XCOMP_BV = 520;
const HEADER_REST = 528;
/** XCOMP_BV[63]: compacted format. */
const COMPACTED = 1n << 63n;

const X87_INIT_CONTROL = 0x037f;

function allZero(cpu: CpuState, from: number, to: number): boolean {
  for (let at = from; at < to; at += 4) if (cpu.i32(at) !== 0) return false;
  return true;
}

/** Component 0 differs from what FNINIT and zero registers give. */
function x87InUse(cpu: CpuState): boolean {
  return (
    (cpu.i32(L.FCW) & 0xffff) !== X87_INIT_CONTROL ||
    (cpu.i32(L.FSW) & 0xffff) !== 0 ||
    (cpu.i32(L.FTW) & 0xffff) !== 0xffff ||
    !allZero(cpu, L.FOP, L.FDS + 4) ||
    !allZero(cpu, L.X87, L.X87 + 8 * L.X87_STRIDE)
  );
}

/** Bytes `from` to `to` of each vector register. */
function vectorsInUse(cpu: CpuState, from: number, to: number): boolean {
  for (let register = 0; register < 16; register++) {
    const at = L.XMM + register * L.XMM_STRIDE;
    if (!allZero(cpu, at + from, at + to)) return true;
  }
  return false;
}

/** XINUSE: the components that are not in their initial configuration. */
export function xinuse(cpu: CpuState): number {
  let bits = 0;
  if (x87InUse(cpu)) bits |= StateBit.X87;
  if (vectorsInUse(cpu, 0, 16)) bits |= StateBit.SSE;
  if (vectorsInUse(cpu, 16, 32)) bits |= StateBit.AVX;
  if (cpu.i32(L.PKRU) !== 0) bits |= StateBit.PKRU;
  return bits;
}

/** #UD if CR4.OSXSAVE = 0; #NM if CR0.TS = 1. The S forms: #GP(0) above CPL 0. */
function checkState(cpu: CpuState, supervisor: boolean): void {
  if ((cpu.cr4 & Cr4.OSXSAVE) === 0) throw new Fault(Vector.UD);
  if (cpu.cr0 & Cr0.TS) throw new Fault(Vector.NM);
  if (supervisor) requireCpl0(cpu);
}

/** The requested-feature bitmap: EDX:EAX and what is enabled. No component lies above bit 31. */
function requested(cpu: CpuState, supervisor: boolean): number {
  const enabled = cpu.i32(L.XCR0) | (supervisor ? cpu.i32(L.MSR_XSS) : 0);
  return enabled & cpu.gpr32(Gpr.RAX);
}

/** #GP(0) if the area is not aligned on a 64-byte boundary. */
function area(cpu: CpuState, record: RecordView, size: number, write: boolean): bigint {
  const address = operandAddress(cpu, record, size, write);
  if ((address & 63n) !== 0n) throw new Fault(Vector.GP, 0);
  return address;
}

/** The extended components: how each is copied out of and into the processor. */
function storeExtended(cpu: CpuState, index: number, image: DataView, offset: number): void {
  if (1 << index === StateBit.PKRU) image.setBigUint64(offset, BigInt(cpu.u32(L.PKRU)), true);
  else {
    const bytes = new Uint8Array(image.buffer, image.byteOffset, image.byteLength);
    for (let register = 0; register < xmmCount(cpu); register++) {
      const from = L.XMM + register * L.XMM_STRIDE + 16;
      bytes.set(cpu.bytes.subarray(from, from + 16), offset + register * 16);
    }
  }
}

function loadExtended(cpu: CpuState, index: number, image: DataView | null, offset: number): void {
  if (1 << index === StateBit.PKRU) {
    cpu.setI32(L.PKRU, image === null ? 0 : image.getInt32(offset, true));
    return;
  }
  for (let register = 0; register < xmmCount(cpu); register++) {
    const to = L.XMM + register * L.XMM_STRIDE + 16;
    if (image === null) cpu.bytes.fill(0, to, to + 16);
    else {
      const from = image.byteOffset + offset + register * 16;
      cpu.bytes.set(new Uint8Array(image.buffer, from, 16), to);
    }
  }
}

interface SaveOptions {
  readonly compacted: boolean;
  readonly supervisor: boolean;
  /** Components in their initial configuration are not written. */
  readonly skipsInitial: boolean;
}

function save({ compacted, supervisor, skipsInitial }: SaveOptions): Helper {
  return (core, cpu, record) => {
    checkState(cpu, supervisor);
    const rfbm = requested(cpu, supervisor);
    let inUse = xinuse(cpu);
    // The compacted formats count MXCSR to component 1 (SDM vol. 1 13.10, 13.11).
    if (compacted && cpu.i32(L.MXCSR) !== MXCSR_RESET) inUse |= StateBit.SSE;
    const offsetOf = (index: number) =>
      compacted ? compactedOffset(rfbm, index) : COMPONENTS.find((c) => c.index === index)!.offset;
    let size = EXTENDED_REGION;
    for (const component of COMPONENTS) {
      if (component.index >= 2 && rfbm & (1 << component.index)) {
        size = Math.max(size, offsetOf(component.index) + component.size);
      }
    }
    const address = area(cpu, record, size, true);
    const bytes = new Uint8Array(size);
    const image = new DataView(bytes.buffer);
    const written: (readonly [number, number])[] = [];
    const stores = (bit: number) => (rfbm & bit) !== 0 && (!skipsInitial || (inUse & bit) !== 0);

    if (stores(StateBit.X87)) {
      storeX87(cpu, image, record.operandSize === 8);
      written.push([0, 24], [32, XMM_AREA]);
    }
    // The standard format saves MXCSR with SSE or AVX, even where XMM itself is skipped.
    const mxcsr = compacted ? stores(StateBit.SSE) : (rfbm & (StateBit.SSE | StateBit.AVX)) !== 0;
    if (mxcsr) {
      storeMxcsr(cpu, image);
      written.push([24, 32]);
    }
    if (stores(StateBit.SSE)) {
      storeXmm(cpu, image);
      written.push([XMM_AREA, XMM_AREA + xmmCount(cpu) * 16]);
    }
    for (const { index, size: length } of COMPONENTS) {
      if (index < 2 || !stores(1 << index)) continue;
      const offset = offsetOf(index);
      storeExtended(cpu, index, image, offset);
      written.push([offset, offset + length]);
    }
    if (compacted) {
      image.setBigUint64(XSTATE_BV, BigInt(rfbm & inUse), true);
      image.setBigUint64(XCOMP_BV, COMPACTED | BigInt(rfbm), true);
      written.push([XSTATE_BV, HEADER_REST]);
    } else {
      // XSTATE_BV keeps the bits of components that were not asked for.
      const old = core.memory.read64(address + BigInt(XSTATE_BV));
      image.setBigUint64(XSTATE_BV, (old & ~BigInt(rfbm)) | BigInt(rfbm & inUse), true);
      written.push([XSTATE_BV, XCOMP_BV]);
    }
    writeParts(core, address, bytes, written);
    return CONTINUE;
  };
}

/** Writes the given ranges, all checked before the first is written. */
function writeParts(
  core: Core,
  address: bigint,
  bytes: Uint8Array,
  ranges: readonly (readonly [number, number])[],
): void {
  for (const [from, to] of ranges) {
    core.memory.probeWrite(address + BigInt(from), to - from, Access.WRITE);
  }
  for (const [from, to] of ranges) core.memory.writeBytes(address + BigInt(from), bytes.subarray(from, to));
}

/** Checks an XSAVE header. @throws Fault #GP(0) */
function checkHeader(cpu: CpuState, image: DataView, supervisor: boolean): boolean {
  const present = image.getBigUint64(XSTATE_BV, true);
  const layout = image.getBigUint64(XCOMP_BV, true);
  const compacted = (layout & COMPACTED) !== 0n;
  const enabled = BigInt(cpu.i32(L.XCR0) | (supervisor ? cpu.i32(L.MSR_XSS) : 0));
  const refused = () => new Fault(Vector.GP, 0);
  // XRSTORS takes the compacted format only.
  if (supervisor && !compacted) throw refused();
  if (compacted) {
    // Bits of XCOMP_BV that are not enabled; bits of XSTATE_BV not in XCOMP_BV; reserved bytes 63:16.
    const components = layout & ~COMPACTED;
    if (components & ~enabled || present & ~components) throw refused();
    for (let at = HEADER_REST; at < EXTENDED_REGION; at += 8) {
      if (image.getBigUint64(at, true) !== 0n) throw refused();
    }
  } else if (present & ~enabled || layout !== 0n || image.getBigUint64(HEADER_REST, true) !== 0n) {
    // Bits of XSTATE_BV that are not enabled; bytes 23:8 of the header not zero.
    throw refused();
  }
  return compacted;
}

function restore(supervisor: boolean): Helper {
  return (core, cpu, record) => {
    checkState(cpu, supervisor);
    const rfbm = requested(cpu, supervisor);
    const address = area(cpu, record, EXTENDED_REGION, false);
    const header = core.memory.readBytes(address, EXTENDED_REGION).slice();
    let image = new DataView(header.buffer);
    const compacted = checkHeader(cpu, image, supervisor);
    const present = Number(image.getBigUint64(XSTATE_BV, true));
    const layout = Number(image.getBigUint64(XCOMP_BV, true) & 0xffff_ffffn);
    const offsetOf = (index: number) =>
      compacted ? compactedOffset(layout, index) : COMPONENTS.find((c) => c.index === index)!.offset;
    let size = EXTENDED_REGION;
    for (const component of COMPONENTS) {
      if (component.index >= 2 && rfbm & present & (1 << component.index)) {
        size = Math.max(size, offsetOf(component.index) + component.size);
      }
    }
    if (size > EXTENDED_REGION) {
      const whole = core.memory.readBytes(area(cpu, record, size, false), size).slice();
      image = new DataView(whole.buffer);
    }
    // MXCSR: of the standard format with SSE or AVX whatever XSTATE_BV says; else part of component 1.
    let mxcsr: number | null = null;
    if (compacted) {
      if (rfbm & StateBit.SSE) mxcsr = present & StateBit.SSE ? checkedMxcsr(image) : MXCSR_RESET;
    } else if (rfbm & (StateBit.SSE | StateBit.AVX)) mxcsr = checkedMxcsr(image);

    if (rfbm & StateBit.X87) {
      if (present & StateBit.X87) loadX87(cpu, image, record.operandSize === 8);
      else initializeX87(cpu);
    }
    if (mxcsr !== null) cpu.setI32(L.MXCSR, mxcsr);
    if (rfbm & StateBit.SSE) {
      if (present & StateBit.SSE) loadXmm(cpu, image);
      else initializeXmm(cpu);
    }
    for (const { index } of COMPONENTS) {
      const bit = 1 << index;
      if (index < 2 || (rfbm & bit) === 0) continue;
      loadExtended(cpu, index, present & bit ? image : null, offsetOf(index));
      if (bit === StateBit.PKRU) core.translation.contextChanged(cpu);
    }
    return CONTINUE;
  };
}

function initializeXmm(cpu: CpuState): void {
  for (let register = 0; register < xmmCount(cpu); register++) {
    const at = L.XMM + register * L.XMM_STRIDE;
    cpu.bytes.fill(0, at, at + 16);
  }
}

export const xsaveInstructions: SystemHelpers = {
  xsave: save({ compacted: false, supervisor: false, skipsInitial: false }),
  xsaveopt: save({ compacted: false, supervisor: false, skipsInitial: true }),
  xsavec: save({ compacted: true, supervisor: false, skipsInitial: true }),
  xsaves: save({ compacted: true, supervisor: true, skipsInitial: true }),
  xrstor: restore(false),
  xrstors: restore(true),
};
