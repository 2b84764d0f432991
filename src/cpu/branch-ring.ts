/**
 * The ends of the last blocks, in a ring in the processor's block: what a dump after a crash makes its list of
 * branches of (`src/debug/branch-history.ts`). Emitted code adds an entry at the end of every block; that costs
 * less than can be measured, and a crash cannot be announced.
 */
import { type FunctionBuilder, type I32, load } from "../wasm/index.ts";
import { BRANCH_STATE, RIP_PAGE } from "./layout.ts";

/** i32: offset of the entry to be written next, from RING. */
export const BRANCH_NEXT = BRANCH_STATE;
/** BRANCH_ENTRIES entries of BRANCH_ENTRY_SIZE bytes. */
export const BRANCH_RING = BRANCH_STATE + 0x20;
export const BRANCH_ENTRIES = 64;
export const BRANCH_ENTRY_SIZE = 32;

/** i64: RIP_PAGE at the end of the block. */
export const ENTRY_RIP_PAGE = 0;
/** The first 8 bytes of the block's last record, since records may be overwritten: see `record.ts`. */
export const ENTRY_HEADER = 8;
/** i32: address of that record; 0 for an event, and its vector in ENTRY_HEADER, its RIP in ENTRY_RIP_PAGE. */
export const ENTRY_RECORD = 16;
/** u64, events only: RIP where the block began that the event interrupted. */
export const ENTRY_START = 24;

const MASK = BRANCH_ENTRIES * BRANCH_ENTRY_SIZE - 1;

/** Adds the block that ends with `record`. */
export function emitBranchEntry(b: FunctionBuilder, cpu: I32, record: I32): void {
  const next = b.let(load("i32.load", cpu, BRANCH_NEXT));
  const entry = b.let(cpu.add(next));
  b.store("i64.store", entry, load("i64.load", cpu, RIP_PAGE), BRANCH_RING + ENTRY_RIP_PAGE);
  b.store("i64.store", entry, load("i64.load", record), BRANCH_RING + ENTRY_HEADER);
  b.store("i32.store", entry, record, BRANCH_RING + ENTRY_RECORD);
  b.store("i32.store", cpu, next.add(BRANCH_ENTRY_SIZE).and(MASK), BRANCH_NEXT);
}

/** The offset after `next`. */
export function followingEntry(next: number): number {
  return (next + BRANCH_ENTRY_SIZE) & MASK;
}
