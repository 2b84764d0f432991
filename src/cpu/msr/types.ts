/** What the table of model-specific registers is made of. */
import type { Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import type { CpuState } from "../state.ts";

/** One register, or `count` consecutive ones. */
export interface MsrRow {
  readonly index: number;
  readonly count?: number;
  /** The manual's name; of a range, its common part. */
  readonly name: string;
  /** The feature without which the register does not exist. */
  readonly feature?: string;
  /** @throws Fault #GP(0) */
  readonly read: (core: Core, cpu: CpuState, index: number) => bigint;
  /** Absent: a write raises #GP(0). Changes nothing if it throws. */
  readonly write?: (core: Core, cpu: CpuState, value: bigint, index: number) => void;
}

export function gp(): Fault {
  return new Fault(Vector.GP, 0);
}

/** A register that holds 64 bits at `offset` of the processor's block; `check` refuses values. */
export function stored(
  index: number,
  name: string,
  offset: number,
  check?: (core: Core, cpu: CpuState, value: bigint) => boolean,
  feature?: string,
): MsrRow {
  const row: MsrRow = {
    index,
    name,
    read: (_core, cpu) => cpu.u64(offset),
    write: (core, cpu, value) => {
      if (check !== undefined && !check(core, cpu, value)) throw gp();
      cpu.setU64(offset, value);
    },
  };
  return feature === undefined ? row : { ...row, feature };
}

/** A register that reads as a constant and cannot be written. */
export function constant(index: number, name: string, value: bigint, feature?: string): MsrRow {
  const row: MsrRow = { index, name, read: () => value };
  return feature === undefined ? row : { ...row, feature };
}
