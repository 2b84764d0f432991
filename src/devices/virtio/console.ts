/** The console device (5.3) with one port, a size, and emergency writes. */

import type { AccessSize, DeviceState } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import type { Chain } from "./chain.ts";
import {
  type Completion,
  DEVICE_ID,
  DriverError,
  type Filled,
  type VirtioDevice,
  type VirtioHost,
} from "./device.ts";
import type { Ring } from "./queue.ts";

/** Feature bits (5.3.3). MULTIPORT is not offered. */
export const CONSOLE_FEATURE = { SIZE: 0, EMERG_WRITE: 2 } as const;

/** Queues of the first port (5.3.2). */
const QUEUE = { RECEIVE: 0, TRANSMIT: 1 } as const;
const QUEUE_SIZE = 64;

/** `struct virtio_console_config` (5.3.4). */
const CONFIG = { COLS: 0, ROWS: 2, MAX_NR_PORTS: 4, EMERG_WR: 8, LENGTH: 12 } as const;

/** The most that one request writes; what is beyond is lost. */
const MOST_WRITTEN = 2 ** 20;
const PIECE = 4096;

export interface ConsoleOptions {
  /** A byte that the guest writes. */
  readonly onOutput: (byte: number) => void;
  readonly columns?: number;
  readonly rows?: number;
}

export class VirtioConsole implements VirtioDevice {
  readonly name = "virtio console";
  readonly deviceId = DEVICE_ID.CONSOLE;
  /** Communication controller of another kind. */
  readonly classCode = 0x07_8000;
  readonly features: readonly number[] = Object.values(CONSOLE_FEATURE);
  readonly queueSizes: readonly number[] = [QUEUE_SIZE, QUEUE_SIZE];
  readonly configLength = CONFIG.LENGTH;
  readonly #onOutput: (byte: number) => void;
  readonly #config = new DataView(new ArrayBuffer(CONFIG.LENGTH));
  readonly #s = { waiting: [] as number[] };
  readonly #piece = new Uint8Array(PIECE);
  #host: VirtioHost | null = null;

  constructor({ onOutput, columns = 80, rows = 25 }: ConsoleOptions) {
    this.#onOutput = onOutput;
    this.#config.setUint16(CONFIG.COLS, columns, true);
    this.#config.setUint16(CONFIG.ROWS, rows, true);
    this.#config.setUint32(CONFIG.MAX_NR_PORTS, 1, true);
  }

  connect(host: VirtioHost): void {
    this.#host = host;
  }

  /** Whether a driver runs: what is typed before is lost. */
  get isOpen(): boolean {
    return this.#host?.running === true;
  }

  /** Bytes that were typed: they wait until the guest reads them, as on the serial console. */
  receive(bytes: Uint8Array): void {
    if (!this.isOpen) return;
    for (const byte of bytes) this.#s.waiting.push(byte);
    this.#host?.requestWork(QUEUE.RECEIVE);
  }

  readConfig(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#config.getUint8(offset + i);
    return value;
  }

  /** 5.3.5.1: a write to `emerg_wr` puts out a character, at any time. */
  writeConfig(offset: number, _size: AccessSize, value: number): void {
    if (offset === CONFIG.EMERG_WR) this.#onOutput(value & 0xff);
  }

  negotiated(): void {}

  isFilled(queue: number): boolean {
    return queue === QUEUE.RECEIVE;
  }

  handle(_queue: number, chain: Chain): Completion {
    const length = Math.min(chain.readable, MOST_WRITTEN);
    for (let at = 0; at < length; at += PIECE) {
      const piece = this.#piece.subarray(0, Math.min(PIECE, length - at));
      chain.read(at, piece);
      for (const byte of piece) this.#onOutput(byte);
    }
    return { written: 0, moved: length };
  }

  fill(_queue: number, ring: Ring): Filled {
    const { waiting } = this.#s;
    if (waiting.length === 0) return "nothing";
    const chain = ring.take();
    if (chain === null) return "no buffers";
    if (chain.writable === 0) throw new DriverError("a receive buffer that cannot be written");
    const written = chain.write(0, Uint8Array.from(waiting.slice(0, chain.writable)));
    waiting.splice(0, written);
    ring.give(chain, written);
    return written;
  }

  reset(): void {
    this.#s.waiting.length = 0;
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
