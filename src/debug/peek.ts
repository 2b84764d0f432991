/**
 * Reads linear memory for people, without any effect the guest could notice: no accessed flags, no faults,
 * no TLB, no device access. Rights are not checked. Structures: SDM vol. 3A chapter 4.
 */
import { CR3 } from "../cpu/layout.ts";
import { Cr0, Cr4, Efer } from "../cpu/registers.ts";
import type { CpuState } from "../cpu/state.ts";
import type { Mmu } from "../mmu/mmu.ts";

const PAGE = 4096n;
const PRESENT = 1n;
const PAGE_SIZE = 0x80n;
/** Bits 51:12 of an entry. */
const ADDRESS = 0x000f_ffff_ffff_f000n;

/** Physical address of a linear one, or null where nothing is mapped. */
export function translate(mmu: Mmu, cpu: CpuState, linear: bigint): bigint | null {
  const { cr0, cr4, efer } = cpu;
  if (!(cr0 & Cr0.PG)) return linear & 0xffff_ffffn;
  if (!(cr4 & Cr4.PAE)) return translate32(mmu, cpu, Number(linear & 0xffff_ffffn));
  const { physical } = mmu;
  let level: number;
  let table: bigint;
  if (efer & Efer.LMA) {
    level = cr4 & Cr4.LA57 ? 5 : 4;
    table = cpu.u64(CR3) & ADDRESS;
    const bits = BigInt(12 + 9 * level);
    if (BigInt.asUintN(64, BigInt.asIntN(Number(bits), linear)) !== linear) return null;
  } else {
    // PAE keeps its first level in registers (4.4.1).
    const registers = mmu.pdptes(cpu);
    const index = Number((linear >> 30n) & 3n) * 2;
    const entry = (BigInt(registers[index + 1]! >>> 0) << 32n) | BigInt(registers[index]! >>> 0);
    if (!(entry & PRESENT)) return null;
    level = 2;
    table = entry & ADDRESS;
  }
  for (; ; level--) {
    const shift = BigInt(12 + 9 * (level - 1));
    const entry = physical.read64(Number(table) + Number((linear >> shift) & 0x1ffn) * 8);
    if (!(entry & PRESENT)) return null;
    if (level === 1 || (entry & PAGE_SIZE && level <= 3)) {
      const offset = (1n << shift) - 1n;
      return (entry & ADDRESS & ~offset) | (linear & offset);
    }
    table = entry & ADDRESS;
  }
}

/** 4.3: 32-bit paging, with 4-MByte pages where CR4.PSE allows them. */
function translate32(mmu: Mmu, cpu: CpuState, linear: number): bigint | null {
  const { physical } = mmu;
  const directory = cpu.u32(CR3) & ~0xfff;
  const pde = physical.read32((directory >>> 0) + (linear >>> 22) * 4);
  if (!(pde & 1)) return null;
  if (pde & 0x80 && cpu.cr4 & Cr4.PSE) {
    return (BigInt((pde >>> 13) & 0xff) << 32n) | BigInt(((pde & 0xffc0_0000) | (linear & 0x3f_ffff)) >>> 0);
  }
  const pte = physical.read32(((pde & ~0xfff) >>> 0) + ((linear >>> 12) & 0x3ff) * 4);
  return pte & 1 ? BigInt(((pte & ~0xfff) | (linear & 0xfff)) >>> 0) : null;
}

/** Up to `length` bytes from a linear address on; fewer where pages are not mapped or not RAM. */
export function peekLinear(mmu: Mmu, cpu: CpuState, address: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const linear = BigInt.asUintN(64, address + BigInt(done));
    const part = Math.min(length - done, Number(PAGE - (linear % PAGE)));
    const physical = translate(mmu, cpu, linear);
    if (physical === null || mmu.physical.hostAddress(Number(physical)) === 0) break;
    bytes.set(mmu.physical.read(Number(physical), part), done);
    done += part;
  }
  return bytes.subarray(0, done);
}
