/**
 * Memory-type range registers and the page attribute table (SDM vol. 3A 12.11-12.12). Memory types have no
 * effect here; the registers hold what firmware and kernels write, under the manual's rules.
 */
import type { Core } from "../core.ts";
import * as L from "../layout.ts";
import type { CpuState } from "../state.ts";
import {
  MSR_MTRR_DEF_TYPE,
  MSR_MTRR_FIXED,
  MSR_MTRR_VARIABLE,
  MTRR_VARIABLE_COUNT,
} from "../system/cold-state.ts";
import { identityOf } from "../system/identity.ts";
import { constant, gp, type MsrRow, stored } from "./types.ts";

/** Memory types by their encodings. */
export const MemoryType = { UC: 0, WC: 1, WT: 4, WP: 5, WB: 6, UC_MINUS: 7 } as const;

const MTRR_TYPES = new Set<bigint>([0n, 1n, 4n, 5n, 6n]);
const PAT_TYPES = new Set<bigint>([0n, 1n, 4n, 5n, 6n, 7n]);

/** IA32_PAT at reset: WB WT UC- UC, twice. */
export const PAT_RESET = 0x0007_0406_0007_0406n;

/** IA32_MTRRCAP: variable pairs, fixed ranges (bit 8), write combining (bit 10). */
const MTRR_CAPABILITIES = BigInt(MTRR_VARIABLE_COUNT) | (1n << 8n) | (1n << 10n);
/** IA32_MTRR_DEF_TYPE: type, fixed-range enable (bit 10), enable (bit 11). */
const DEF_TYPE_BITS = 0xcffn;
const ENABLE = 1n << 11n;
const FIXED_ENABLE = 1n << 10n;

const FIXED_INDICES = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f];

function everyByte(value: bigint, allowed: ReadonlySet<bigint>): boolean {
  for (let shift = 0n; shift < 64n; shift += 8n) {
    if (!allowed.has((value >> shift) & 0xffn)) return false;
  }
  return true;
}

function abovePhysical(core: Core, value: bigint): boolean {
  return value >> BigInt(identityOf(core).model.physicalBits) !== 0n;
}

const fixed: MsrRow[] = FIXED_INDICES.map((index, position) =>
  stored(
    index,
    "IA32_MTRR_FIX",
    MSR_MTRR_FIXED + position * 8,
    // #GP(0) if one of the eight types does not exist.
    (_core, _cpu, value) => everyByte(value, MTRR_TYPES),
    "mtrr",
  ),
);

const variable: MsrRow = {
  index: 0x200,
  count: MTRR_VARIABLE_COUNT * 2,
  name: "IA32_MTRR_PHYS",
  feature: "mtrr",
  read: (_core, cpu, index) => cpu.u64(MSR_MTRR_VARIABLE + (index - 0x200) * 8),
  write: (core, cpu, value, index) => {
    // #GP(0) if a reserved bit is set, or a base's type does not exist.
    const isMask = (index & 1) === 1;
    const low = value & 0xfffn;
    const valid = isMask ? (low & ~0x800n) === 0n : MTRR_TYPES.has(low);
    if (!valid || abovePhysical(core, value)) throw gp();
    cpu.setU64(MSR_MTRR_VARIABLE + (index - 0x200) * 8, value);
  },
};

export const memoryTypeRows: readonly MsrRow[] = [
  constant(0xfe, "IA32_MTRRCAP", MTRR_CAPABILITIES, "mtrr"),
  variable,
  ...fixed,
  stored(
    0x2ff,
    "IA32_MTRR_DEF_TYPE",
    MSR_MTRR_DEF_TYPE,
    (_core, _cpu, value) => (value & ~DEF_TYPE_BITS) === 0n && MTRR_TYPES.has(value & 0xffn),
    "mtrr",
  ),
  stored(0x277, "IA32_PAT", L.MSR_PAT, (_core, _cpu, value) => everyByte(value, PAT_TYPES), "pat"),
];

/**
 * The MTRRs as PC firmware leaves them: write-back by default, the legacy video and ROM areas typed, and
 * everything from `uncachedFrom` (a power of two below 4 GiB) up to 4 GiB uncacheable for devices.
 */
export function setFirmwareMtrrs(core: Core, cpu: CpuState, uncachedFrom: number): void {
  const bytes = (type: number) => BigInt(`0x${type.toString(16).padStart(2, "0").repeat(8)}`);
  const types = [
    // 00000-9FFFF RAM, A0000-BFFFF video, C0000-FFFFF ROM.
    ...Array<number>(2).fill(MemoryType.WB),
    MemoryType.UC,
    ...Array<number>(8).fill(MemoryType.WP),
  ];
  types.forEach((type, position) => {
    cpu.setU64(MSR_MTRR_FIXED + position * 8, bytes(type));
  });
  for (let at = 0; at < MTRR_VARIABLE_COUNT * 2; at++) cpu.setU64(MSR_MTRR_VARIABLE + at * 8, 0n);
  const physical = (1n << BigInt(identityOf(core).model.physicalBits)) - 1n;
  const size = (1n << 32n) - BigInt(uncachedFrom);
  cpu.setU64(MSR_MTRR_VARIABLE, BigInt(uncachedFrom) | BigInt(MemoryType.UC));
  cpu.setU64(MSR_MTRR_VARIABLE + 8, (physical & ~(size - 1n)) | 0x800n);
  cpu.setU64(MSR_MTRR_DEF_TYPE, ENABLE | FIXED_ENABLE | BigInt(MemoryType.WB));
}
