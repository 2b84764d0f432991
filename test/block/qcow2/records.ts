/**
 * Numbered records on a disk, for a writer that is killed and whoever looks at what is left. Run as a program it writes
 * until it is killed, and says after each flush how many operations it covers:
 *
 *     node records.ts IMAGE SEED
 */
import { writeSync } from "node:fs";
import { openDisk } from "../../../src/block/open.ts";
import { Random } from "../../random.ts";

export const RECORD = 4096;
export const SLOTS = 400;
/** Slots do not fill clusters, and lie in all of them. */
const STRIDE = 5 * RECORD;
/** Behind the slots: clusters that come and go. */
const SCRATCH = SLOTS * STRIDE;
const SCRATCH_SIZE = 4 * 2 ** 20;
export const DISK = SCRATCH + SCRATCH_SIZE;
/** Operations between two flushes, at most. */
export const MOST_UNFLUSHED = 24;

export interface Operation {
  readonly kind: "record" | "zero" | "scratch" | "discard";
  readonly slot: number;
  readonly length: number;
  readonly flush: boolean;
}

/** Operation number `n` of a seed. */
export function operation(seed: number, n: number): Operation {
  const dice = Random.spread(seed * 0x10_0000 + n);
  const kind = dice.pick(["record", "record", "record", "zero", "scratch", "discard"] as const);
  return {
    kind,
    slot: dice.below(SLOTS),
    length: (1 + dice.below(32)) * RECORD,
    flush: n % MOST_UNFLUSHED === MOST_UNFLUSHED - 1 || dice.chance(6),
  };
}

export const slotOffset = (slot: number): number => slot * STRIDE;

/** What operation `n` writes to a slot. */
export function record(seed: number, n: number, slot: number): Uint8Array {
  const bytes = new Uint8Array(RECORD).fill(n & 0xff);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, seed);
  view.setUint32(4, n + 1);
  view.setUint32(8, slot);
  view.setUint32(RECORD - 4, n + 1);
  return bytes;
}

async function write(file: string, seed: number): Promise<never> {
  const { store } = await openDisk(
    { file, format: "qcow2", readonly: false, snapshot: false },
    String,
    (_, error) => {
      throw error;
    },
  );
  for (let n = 0; ; n++) {
    const { kind, slot, length, flush } = operation(seed, n);
    const scratch = SCRATCH + ((slot * RECORD) % (SCRATCH_SIZE - 32 * RECORD));
    if (kind === "record") store.write(slotOffset(slot), record(seed, n, slot));
    else if (kind === "zero") store.writeZeroes(slotOffset(slot), RECORD);
    else if (kind === "scratch") store.write(scratch, new Uint8Array(length).fill(n));
    else store.discard(scratch, length);
    if (flush) {
      store.flush();
      writeSync(1, `${n + 1}\n`);
    }
  }
}

if (import.meta.main) await write(process.argv[2]!, Number(process.argv[3]));
