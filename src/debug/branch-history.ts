/**
 * The last branches and events of a processor, for dumps: what `src/cpu/branch-ring.ts` has recorded, made
 * readable. Taken branches only; where the target of one cannot be told any more, because the code there has
 * been dropped since, it is left open.
 */
import {
  BRANCH_ENTRIES,
  BRANCH_NEXT,
  BRANCH_RING,
  ENTRY_HEADER,
  ENTRY_RECORD,
  ENTRY_RIP_PAGE,
  ENTRY_START,
  followingEntry,
} from "../cpu/branch-ring.ts";
import type { SystemObserver } from "../cpu/core.ts";
import { R_COUNT, R_HANDLER, R_LENGTH, R_NEXT, RECORD_SIZE } from "../cpu/decode/record.ts";
import { BUILTINS } from "../cpu/interpreter/outcome.ts";
import { CURRENT_RECORD, RIP_PAGE } from "../cpu/layout.ts";
import type { CpuState } from "../cpu/state.ts";
import { Activity, activity } from "../cpu/system/cold-state.ts";
import type { Machine } from "../machine/machine.ts";
import { hex } from "./hex.ts";
import { exceptionName } from "./vectors.ts";

export interface Branch {
  /** RIP of the branch, or of the instruction that an event interrupted. */
  readonly from: bigint;
  readonly to: bigint | null;
  /** Mnemonic, or the name of the exception or interrupt. */
  readonly cause: string;
}

const INTERRUPT = 0x100;
/** Repeated, they leave and come back to themselves: no branches. */
const STRING_INSTRUCTION = /^(MOVS|STOS|LODS|SCAS|CMPS|INS|OUTS)$/;

/**
 * RIP of the first instruction of a block, told by the record of its last or of a later one: records of a block
 * lie one after the other. Null if `record` does not hold what it held when `header` was kept.
 */
function blockStart(memory: DataView, record: number, header: bigint, page: bigint): bigint | null {
  if (memory.getBigUint64(record, true) !== header) return null;
  const count = memory.getUint8(record + R_COUNT);
  // A block that just ends, without a branch, has a record without length behind its last instruction.
  const before = memory.getUint8(record + R_LENGTH) === 0 ? count : count - 1;
  const first = record - before * RECORD_SIZE;
  if (before < 0 || memory.getUint8(first + R_COUNT) !== 1) return null;
  return page + BigInt(memory.getUint16(first + R_NEXT, true) - memory.getUint8(first + R_LENGTH));
}

/** Where the block began in which an event stops the processor. */
function interruptedBlock(memory: DataView, cpu: CpuState): bigint {
  const record = cpu.u32(CURRENT_RECORD);
  const page = cpu.u64(RIP_PAGE);
  const rip = page + BigInt(memory.getUint16(record + R_NEXT, true) - memory.getUint8(record + R_LENGTH));
  // Anywhere but at the current record's instruction, a new block was about to begin.
  if (record === 0 || rip !== cpu.rip) return cpu.rip;
  return blockStart(memory, record, memory.getBigUint64(record, true), page) ?? cpu.rip;
}

/** Enters events into the ring, in their order with the branches. */
export function branchEvents(machine: Machine): SystemObserver {
  const memory = new DataView(machine.memory.memory.buffer);
  return {
    event(cpu, kind, vector) {
      const next = cpu.i32(BRANCH_NEXT);
      const entry = BRANCH_RING + next;
      cpu.setU64(entry + ENTRY_RIP_PAGE, cpu.rip);
      cpu.setU64(entry + ENTRY_HEADER, BigInt(kind === "fault" ? vector : vector | INTERRUPT));
      cpu.setI32(entry + ENTRY_RECORD, 0);
      cpu.setU64(entry + ENTRY_START, interruptedBlock(memory, cpu));
      cpu.setI32(BRANCH_NEXT, followingEntry(next));
    },
  };
}

/** One entry of the ring: a block, from `start` to its last instruction, or an event. */
interface Step {
  readonly isEvent: boolean;
  /** RIP of the first instruction; null if it cannot be told any more. */
  readonly start: bigint | null;
  /** RIP of the last instruction, and of what follows it. */
  readonly from: bigint;
  readonly next: bigint;
  /** Empty where a block ends without a branch. */
  readonly cause: string;
}

class RingReader {
  readonly #machine: Machine;
  readonly #cpu: CpuState;
  readonly #memory: DataView;

  constructor(machine: Machine, cpu: CpuState) {
    this.#machine = machine;
    this.#cpu = cpu;
    this.#memory = new DataView(machine.memory.memory.buffer);
  }

  /** Oldest first. */
  steps(): Step[] {
    const steps: Step[] = [];
    let at = this.#cpu.i32(BRANCH_NEXT);
    for (let i = 0; i < BRANCH_ENTRIES; i++) {
      const step = this.#step(BRANCH_RING + at);
      if (step) steps.push(step);
      at = followingEntry(at);
    }
    return steps;
  }

  #step(entry: number): Step | null {
    const { view } = this.#cpu;
    const page = this.#cpu.u64(entry + ENTRY_RIP_PAGE);
    const record = this.#cpu.u32(entry + ENTRY_RECORD);
    const header = entry + ENTRY_HEADER;
    if (record === 0) {
      const vector = view.getUint32(header, true);
      if (page === 0n && vector === 0) return null;
      const cause = vector & INTERRUPT ? `interrupt ${hex(vector & 0xff, 2)}h` : exceptionName(vector);
      return { isEvent: true, start: this.#cpu.u64(entry + ENTRY_START), from: page, next: page, cause };
    }
    const handler = view.getUint16(header + R_HANDLER, true);
    const next = page + BigInt(view.getUint16(header + R_NEXT, true));
    const from = next - BigInt(view.getUint8(header + R_LENGTH));
    const mnemonic = this.#machine.processor.handlers
      .name(handler)
      .replace(/^legacy /, "")
      .split(" ")[0]!;
    const cause = handler < BUILTINS || STRING_INSTRUCTION.test(mnemonic) ? "" : mnemonic;
    // A block of one instruction needs no record: those of single-stepped ones are overwritten at once.
    const alone = view.getUint8(header + R_COUNT) === 1 && from !== next;
    const start = alone ? from : blockStart(this.#memory, record, this.#cpu.u64(header), page);
    return { isEvent: false, start, from, next, cause };
  }
}

/** The last taken branches and events, oldest first, at most `most`. */
export function branchHistory(machine: Machine, cpu: CpuState, most = 16): Branch[] {
  const steps = new RingReader(machine, cpu).steps();
  const branches: Branch[] = [];
  steps.forEach((step, i) => {
    const following = steps[i + 1];
    // An event that meets another was never delivered, nor is the last one of a triple fault.
    const undelivered =
      step.isEvent &&
      (following === undefined
        ? activity(cpu) === Activity.SHUTDOWN
        : following.isEvent && following.from === step.from);
    const to = undelivered ? null : following === undefined ? cpu.rip : following.start;
    if (step.cause === "" || (!step.isEvent && to === step.next)) return;
    branches.push({ from: step.from, to, cause: step.cause });
  });
  return branches.slice(-most);
}

/** Lines for a dump. */
export function formatBranches(branches: readonly Branch[], digits: number): string[] {
  if (branches.length === 0) return ["No branches."];
  const address = (value: bigint | null) => (value === null ? "?".padStart(digits) : hex(value, digits));
  return [
    `Last ${branches.length} branches, the latest at the end:`,
    ...branches.map(({ from, to, cause }) => `   ${address(from)} -> ${address(to)}  ${cause}`),
  ];
}
