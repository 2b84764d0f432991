/**
 * The entropy device (5.4). What it gives follows from the machine's seed, so runs repeat: it is as random as the seed
 * is, and no more.
 */

import type { DeviceState } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import type { Chain } from "./chain.ts";
import { type Completion, DEVICE_ID, DriverError, type VirtioDevice } from "./device.ts";

/** The most that one request gives: a driver takes fewer bytes than it asked for (5.4.6.2). */
const MOST_BYTES = 4096;
const QUEUE_SIZE = 8;
/** Keeps this sequence apart from that of RDRAND, which the same seed starts. */
const STREAM = 0x7669_7274;

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

export class VirtioRng implements VirtioDevice {
  readonly name = "virtio rng";
  readonly deviceId = DEVICE_ID.ENTROPY;
  /** A device of no class that PCI knows. */
  readonly classCode = 0xff_0000;
  readonly features: readonly number[] = [];
  readonly queueSizes: readonly number[] = [QUEUE_SIZE];
  readonly configLength = 0;
  readonly #s = { state: new Uint32Array(4) };
  readonly #seed: bigint;

  constructor(seed: bigint) {
    this.#seed = seed;
    this.#start();
  }

  /** SplitMix32 spreads the seed over the state, none of which may then be zero throughout. */
  #start(): void {
    let x = (Number(this.#seed & 0xffff_ffffn) ^ STREAM) >>> 0;
    const next = (): number => {
      x = (x + 0x9e37_79b9) >>> 0;
      let z = Math.imul(x ^ (x >>> 16), 0x21f0_aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
      return (z ^ (z >>> 15)) >>> 0;
    };
    const { state } = this.#s;
    for (let i = 0; i < 4; i++) state[i] = next();
    state[1]! ^= Number(this.#seed >> 32n);
    if (state.every((word) => word === 0)) state[0] = 1;
  }

  /** xoshiro128++ (Blackman, Vigna: "Scrambled Linear Pseudorandom Number Generators"). */
  #next(): number {
    const s = this.#s.state;
    const result = rotate((s[0]! + s[3]!) | 0, 7) + s[0]!;
    const t = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = rotate(s[3]!, 11);
    return result >>> 0;
  }

  readConfig(): number {
    return 0;
  }

  writeConfig(): void {}

  negotiated(): void {}

  handle(_queue: number, chain: Chain): Completion {
    // 5.4.6.1: the driver gives no readable buffers, and at least one that can be written.
    if (chain.readable > 0 || chain.writable === 0) throw new DriverError("a request for entropy to be read");
    const bytes = new Uint8Array(Math.min(chain.writable, MOST_BYTES));
    for (let i = 0; i < bytes.length; i += 4) {
      const word = this.#next();
      for (let j = i; j < Math.min(i + 4, bytes.length); j++) bytes[j] = word >>> (8 * (j - i));
    }
    chain.write(0, bytes);
    return { written: bytes.length, moved: bytes.length };
  }

  /** Goes on where it was: a driver that resets the device must not get the same bytes again. */
  reset(): void {}

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
