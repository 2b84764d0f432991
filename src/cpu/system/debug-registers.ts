/** MOV to and from debug registers (SDM vol. 2B, MOV; vol. 3B 18.2). */

import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Cr4 } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { PENDING_DEBUG } from "./cold-state.ts";
import { recordDebug } from "./events.ts";
import { CONTINUE, EVENT, type Helper, readRegister, type SystemHelpers, writeRegister } from "./helper.ts";
import { is64BitCode, nextRip } from "./modes.ts";
import { requireCpl0 } from "./table-registers.ts";

/** DR6 and DR7 at reset; bits that a write cannot change are as here (SDM vol. 3B figure 18-1). */
export const DR6_RESET = 0xffff_0ff0 | 0;
export const DR7_RESET = 0x0000_0400;
/** DR6: B0-B3, BD, BS, BT. DR7: L0-G3, LE, GE, GD, R/W and LEN. */
const DR6_WRITABLE = 0xe00f;
const DR7_WRITABLE = 0xffff_23ff | 0;
const DR7_GD = 1 << 13;

/** Bits of DR6 beyond B0-B3. */
export const Dr6 = { BD: 1 << 13, BS: 1 << 14, BT: 1 << 15 } as const;

function registerNumber(cpu: CpuState, number: number): number {
  // #UD at any privilege level if DR8-DR15 are named.
  if (number > 7) throw new Fault(Vector.UD);
  requireCpl0(cpu);
  // #UD if DR4 or DR5 is named while CR4.DE = 1; else those are DR6 and DR7.
  if (number === 4 || number === 5) {
    if (cpu.cr4 & Cr4.DE) throw new Fault(Vector.UD);
    return number + 2;
  }
  return number;
}

/** #DB with DR6.BD, before the instruction, while DR7.GD = 1. */
function checkGeneralDetect(cpu: CpuState): void {
  if ((cpu.i32(L.DR + 7 * 8) & DR7_GD) === 0) return;
  recordDebug(cpu, Dr6.BD);
  throw new Fault(Vector.DB);
}

const movFromDebug: Helper = (_core, cpu, record) => {
  const number = registerNumber(cpu, record.regA);
  checkGeneralDetect(cpu);
  const value = cpu.u64(L.DR + number * 8);
  writeRegister(cpu, record.regB, is64BitCode(cpu) ? 8 : 4, value);
  return CONTINUE;
};

const movToDebug: Helper = (core, cpu, record) => {
  const number = registerNumber(cpu, record.regA);
  checkGeneralDetect(cpu);
  let value = readRegister(cpu, record.regB, is64BitCode(cpu) ? 8 : 4);
  if (number >= 6) {
    // #GP(0) if a bit in 63:32 of DR6 or DR7 is set.
    if (value >> 32n !== 0n) throw new Fault(Vector.GP, 0);
    const low = Number(value) | 0;
    const fixed =
      number === 6
        ? (low & DR6_WRITABLE) | (DR6_RESET & ~DR6_WRITABLE)
        : (low & DR7_WRITABLE) | (DR7_RESET & ~DR7_WRITABLE);
    value = BigInt(fixed >>> 0);
  }
  cpu.setU64(L.DR + number * 8, value);
  // Breakpoints may have become active: translations of their pages, and the run loop, have to know.
  core.translation.contextChanged(cpu);
  cpu.rip = nextRip(cpu, record.length);
  return EVENT;
};

/** DR7: L0-G3. */
export const DR7_ENABLES = 0xff;

/**
 * Makes the I/O breakpoints that an access to `size` ports from `port` on meets pending: they are traps. R/W = 2
 * means I/O while CR4.DE is set (SDM vol. 3B 18.2.4).
 */
export function noteIoBreakpoints(cpu: CpuState, port: number, size: number): void {
  const dr7 = cpu.i32(L.DR + 7 * 8);
  if (!(dr7 & DR7_ENABLES) || !(cpu.cr4 & Cr4.DE)) return;
  const ON_IO = 2;
  const LENGTHS = [1, 2, 8, 4] as const;
  let hits = 0;
  for (let i = 0; i < 4; i++) {
    const enabled = (dr7 >> (i * 2)) & 3;
    const fields = dr7 >> (16 + i * 4);
    if (!enabled || (fields & 3) !== ON_IO) continue;
    const length = LENGTHS[((fields >> 2) & 3) as 0 | 1 | 2 | 3];
    const address = cpu.u64(L.DR + i * 8) & BigInt(-length);
    if (address < BigInt(port + size) && address + BigInt(length) > BigInt(port)) hits |= 1 << i;
  }
  if (hits !== 0) cpu.setI32(PENDING_DEBUG, cpu.i32(PENDING_DEBUG) | hits);
}

/** DR6 bits of the instruction breakpoints at RIP (SDM vol. 3B 18.2.4). */
export function instructionBreakpoints(cpu: CpuState): number {
  const dr7 = cpu.i32(L.DR + 7 * 8);
  if (!(dr7 & DR7_ENABLES)) return 0;
  const linear = BigInt.asUintN(64, cpu.rip + cpu.u64(L.CODE_BASE));
  let hit = 0;
  for (let i = 0; i < 4; i++) {
    const enabled = (dr7 >> (i * 2)) & 3;
    const kind = (dr7 >> (16 + i * 4)) & 3;
    if (enabled && kind === 0 && cpu.u64(L.DR + i * 8) === linear) hit |= 1 << i;
  }
  return hit;
}

export const debugRegisterInstructions: SystemHelpers = {
  mov_from_dr: movFromDebug,
  mov_to_dr: movToDebug,
};
