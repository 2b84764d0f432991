/** RDTSC, RDTSCP, RDPMC, RDPID, RDRAND, RDSEED (SDM vol. 2). */
import type { Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Cr4, Flag, Gpr } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { RANDOM_STATE } from "./cold-state.ts";
import { CONTINUE, type Helper, type SystemHelpers, writeRegister } from "./helper.ts";
import { hasFeature, identityOf } from "./identity.ts";
import { is64BitCode } from "./modes.ts";

function readTsc(core: Core, cpu: CpuState): void {
  // #GP(0) if CR4.TSD = 1 and CPL > 0.
  if (cpu.cr4 & Cr4.TSD && cpu.cpl > 0) throw new Fault(Vector.GP, 0);
  const value = core.time.tsc(cpu);
  cpu.setGpr32(Gpr.RAX, Number(value & 0xffff_ffffn));
  cpu.setGpr32(Gpr.RDX, Number((value >> 32n) & 0xffff_ffffn));
}

const rdtsc: Helper = (core, cpu) => {
  readTsc(core, cpu);
  return CONTINUE;
};

const rdtscp: Helper = (core, cpu) => {
  if (!hasFeature(core, "rdtscp")) throw new Fault(Vector.UD);
  readTsc(core, cpu);
  cpu.setGpr32(Gpr.RCX, cpu.i32(L.MSR_TSC_AUX));
  return CONTINUE;
};

/** This processor has no performance counters: any index is one that does not exist, #GP(0). */
const rdpmc: Helper = () => {
  throw new Fault(Vector.GP, 0);
};

const rdpid: Helper = (core, cpu, record) => {
  if (!hasFeature(core, "rdpid")) throw new Fault(Vector.UD);
  writeRegister(cpu, record.regB, is64BitCode(cpu) ? 8 : 4, BigInt(cpu.u32(L.MSR_TSC_AUX)));
  return CONTINUE;
};

const GOLDEN = 0x9e37_79b9_7f4a_7c15n;

/** SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
function mix(state: bigint): bigint {
  let z = BigInt.asUintN(64, state);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn);
  return z ^ (z >> 31n);
}

/** The state that a processor's generator starts from: differs by seed and by processor. */
export function randomSeed(seed: bigint, index: number): bigint {
  return mix(seed + BigInt(index + 1) * GOLDEN);
}

/** The next number of the processor's own sequence: the same in every run with the same seed. */
export function nextRandom(cpu: CpuState): bigint {
  const state = BigInt.asUintN(64, cpu.u64(RANDOM_STATE) + GOLDEN);
  cpu.setU64(RANDOM_STATE, state);
  return mix(state);
}

function random(feature: string): Helper {
  return (core, cpu, record) => {
    if (!identityOf(core).model.features.has(feature)) throw new Fault(Vector.UD);
    writeRegister(cpu, record.regB, record.operandSize, nextRandom(cpu));
    // CF says that a number was there; the other status flags are cleared.
    cpu.statusFlags = Flag.CF;
    return CONTINUE;
  };
}

export const counterInstructions: SystemHelpers = {
  rdtsc,
  rdtscp,
  rdpmc,
  rdpid,
  rdrand: random("rdrand"),
  rdseed: random("rdseed"),
};
