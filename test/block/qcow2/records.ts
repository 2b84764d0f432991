/**
 * Numbered records on a disk, for a writer that is killed or finds the host's disk full, and for whoever looks at what is
 * left. As a program it writes, COUNT operations or until it is killed, and says in lines what happened: `flushed N`
 * after a flush that covers the first N operations, `failed N` after an operation that failed, `told TEXT`.
 *
 *     node records.ts IMAGE SEED [COUNT]
 */
import { writeSync } from "node:fs";
import { openDisk } from "../../../src/block/open.ts";
import { type BlockStore, SECTOR, StoreError } from "../../../src/devices/virtio/block.ts";
import { Random } from "../../random.ts";

const RECORD = 4096;
const SLOTS = 400;
/** Slots do not fill clusters, and lie in all of them. */
const STRIDE = 5 * RECORD;
/** Behind the slots: clusters that come and go. */
const SCRATCH = SLOTS * STRIDE;
const SCRATCH_SIZE = 4 * 2 ** 20;
export const DISK = SCRATCH + SCRATCH_SIZE;
/** Operations between two flushes, at most. */
export const MOST_UNFLUSHED = 24;

interface Operation {
  readonly kind: "record" | "zero" | "scratch" | "discard";
  readonly slot: number;
  readonly length: number;
  readonly flush: boolean;
}

/** Operation number `n` of a seed. */
function operation(seed: number, n: number): Operation {
  const dice = Random.spread(seed * 0x10_0000 + n);
  const kind = dice.pick(["record", "record", "record", "zero", "scratch", "discard"] as const);
  return {
    kind,
    slot: dice.below(SLOTS),
    length: (1 + dice.below(32)) * RECORD,
    flush: n % MOST_UNFLUSHED === MOST_UNFLUSHED - 1 || dice.chance(6),
  };
}

const slotOffset = (slot: number): number => slot * STRIDE;

/** What operation `n` writes to a slot. Each sector says so: more than a sector is not written at once. */
function record(seed: number, n: number, slot: number): Uint8Array {
  const bytes = new Uint8Array(RECORD).fill(n & 0xff);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < RECORD; at += SECTOR) {
    view.setUint32(at, seed);
    view.setUint32(at + 4, n + 1);
    view.setUint32(at + 8, slot);
    view.setUint32(at + 12, at);
  }
  return bytes;
}

const slotOf = (disk: Uint8Array, slot: number): Uint8Array =>
  disk.subarray(slotOffset(slot), slotOffset(slot) + RECORD);

/** Whether each sector is that of one of the states. */
function isMadeOf(states: readonly Uint8Array[], bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += SECTOR) {
    const sector = bytes.subarray(at, at + SECTOR);
    if (!states.some((state) => Buffer.compare(state.subarray(at, at + SECTOR), sector) === 0)) return false;
  }
  return true;
}

/**
 * Slots that have what they may not have: it must be what was last flushed, or anything later.
 * @param flushed operations that a flush has covered
 * @param begun no more than so many have begun
 * @param failed operations that may have happened or not
 */
export function lostSlots(
  seed: number,
  flushed: number,
  begun: number,
  failed: ReadonlySet<number>,
  before: Uint8Array,
  after: Uint8Array,
): number[] {
  const slots = Array.from({ length: SLOTS }, (_, slot) => [slotOf(before, slot)]);
  for (let n = 0; n < begun; n++) {
    const { kind, slot } = operation(seed, n);
    if (kind !== "record" && kind !== "zero") continue;
    if (n < flushed && !failed.has(n)) slots[slot] = [];
    slots[slot]!.push(kind === "zero" ? new Uint8Array(RECORD) : record(seed, n, slot));
  }
  return slots.flatMap((states, slot) => (isMadeOf(states, slotOf(after, slot)) ? [] : [slot]));
}

function perform(store: BlockStore, seed: number, n: number): void {
  const { kind, slot, length } = operation(seed, n);
  const scratch = SCRATCH + ((slot * RECORD) % (SCRATCH_SIZE - 32 * RECORD));
  if (kind === "record") store.write(slotOffset(slot), record(seed, n, slot));
  else if (kind === "zero") store.writeZeroes(slotOffset(slot), RECORD);
  else if (kind === "scratch") store.write(scratch, new Uint8Array(length).fill(n));
  else store.discard(scratch, length);
}

const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};

function attempt(run: () => void, done: string, failed: string): void {
  try {
    run();
    if (done !== "") say(done);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    say(failed);
  }
}

async function main(file: string, seed: number, count: number): Promise<void> {
  const disk = await openDisk(
    { file, format: "qcow2", readonly: false, snapshot: false },
    String,
    (operation, error) => say(`told ${operation} ${(error as NodeJS.ErrnoException).code}`),
  );
  for (let n = 0; n < count; n++) {
    attempt(() => perform(disk.store, seed, n), "", `failed ${n}`);
    if (operation(seed, n).flush) attempt(() => disk.store.flush(), `flushed ${n + 1}`, "failed -1");
  }
  disk.close();
}

if (import.meta.main) {
  const [file, seed, count = "Infinity"] = process.argv.slice(2);
  await main(file!, Number(seed), Number(count));
}
