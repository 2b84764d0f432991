/**
 * A guest's driver for tests: RAM, rings in it, and both transports behind one face. It can also lie.
 */

import type { Device } from "../../../src/devices/device.ts";
import type { PciFunction } from "../../../src/devices/pci/function.ts";
import { Msix } from "../../../src/devices/pci/msix.ts";
import type { BlockStore } from "../../../src/devices/virtio/block.ts";
import type { VirtioDevice } from "../../../src/devices/virtio/device.ts";
import type { GuestMemory } from "../../../src/devices/virtio/guest-memory.ts";
import { VirtioMmio } from "../../../src/devices/virtio/transport-mmio.ts";
import { createVirtioPci } from "../../../src/devices/virtio/transport-pci.ts";
import { PhysicalMemory } from "../../../src/mmu/physical-memory.ts";
import { EventClock, TestLine, TestLog } from "../rig.ts";
import { PackedTestRing, TestRing } from "./rings.ts";

export { type Buffer, PackedTestRing, TestRing } from "./rings.ts";

/** RAM from 0, with a hole where a PC's video memory is. */
export const RAM_SIZE = 0x40_0000;
export const HOLE = 0xa_0000;

export function createMemory(): PhysicalMemory {
  const pages = PhysicalMemory.wasmPages(RAM_SIZE);
  const memory = new PhysicalMemory(new WebAssembly.Memory({ initial: pages, maximum: pages }), {
    lowSize: RAM_SIZE,
  });
  memory.map(HOLE, 0x2_0000, "hole");
  return memory;
}

/** Fails at once if a device reaches for what is not RAM. */
export function guarded(memory: PhysicalMemory): GuestMemory {
  const check = (address: number, length: number): void => {
    if (!memory.isRam(address, length)) throw new Error(`the device reached for ${address}, ${length} bytes`);
  };
  return {
    isRam: (address, length) => memory.isRam(address, length),
    readInto: (address, target) => {
      check(address, target.length);
      memory.readInto(address, target);
    },
    write: (address, bytes) => {
      check(address, bytes.length);
      memory.write(address, bytes);
    },
    read16: (address) => {
      check(address, 2);
      return memory.read16(address);
    },
    write16: (address, value) => {
      check(address, 2);
      memory.write16(address, value);
    },
    write32: (address, value) => {
      check(address, 4);
      memory.write32(address, value);
    },
  };
}

/** A disk in memory that keeps a list of what was done to it. */
export class TestStore implements BlockStore {
  readonly bytes: Uint8Array;
  readonly readonly: boolean;
  readonly calls: string[] = [];
  /** Thrown by the next operation. */
  failure: Error | null = null;

  constructor(size: number, readonly = false) {
    this.bytes = Uint8Array.from({ length: size }, (_, i) => (i >> 9) ^ i);
    this.readonly = readonly;
  }

  get size(): number {
    return this.bytes.length;
  }

  #note(call: string, offset: number, length: number): void {
    const inside = Number.isSafeInteger(offset) && offset >= 0 && offset + length <= this.size;
    if (!inside || offset % 512 !== 0 || length % 512 !== 0) throw new Error(`${call} ${offset} ${length}`);
    this.calls.push(`${call} ${offset} ${length}`);
    const { failure } = this;
    this.failure = null;
    if (failure !== null) throw failure;
  }

  read(offset: number, target: Uint8Array): void {
    this.#note("read", offset, target.length);
    target.set(this.bytes.subarray(offset, offset + target.length));
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#note("write", offset, bytes.length);
    this.bytes.set(bytes, offset);
  }

  writeZeroes(offset: number, length: number): void {
    this.#note("zero", offset, length);
    this.bytes.fill(0, offset, offset + length);
  }

  discard(offset: number, length: number): void {
    this.#note("discard", offset, length);
  }

  flush(): void {
    this.#note("flush", 0, 0);
  }
}

/** The registers that both transports have, by name. */
export interface TransportDriver {
  readonly kind: "pci" | "mmio";
  readonly device: Device;
  status(): number;
  setStatus(value: number): void;
  features(): [number, number];
  setFeatures(words: readonly [number, number]): void;
  setQueue(index: number, size: number, parts: { descriptors: number; driver: number; device: number }): void;
  notify(index: number): void;
  /** @returns what the register reads after it */
  resetQueue(index: number): number;
  config(offset: number, size: 1 | 2 | 4): number;
  setConfig(offset: number, size: 1 | 2 | 4, value: number): void;
  /** Takes and clears the interrupt causes. */
  causes(): number;
}

const high = (address: number): number => Math.floor(address / 2 ** 32);

export function mmioDriver(device: Device): TransportDriver {
  const rd = (at: number): number => device.read(at, 4);
  const wr = (at: number, value: number): void => device.write(at, 4, value >>> 0);
  return {
    kind: "mmio",
    device,
    status: () => rd(0x70),
    setStatus: (value) => wr(0x70, value),
    features: () => {
      wr(0x14, 0);
      const low = rd(0x10);
      wr(0x14, 1);
      return [low, rd(0x10)];
    },
    setFeatures: (words) => {
      for (const i of [0, 1] as const) {
        wr(0x24, i);
        wr(0x20, words[i]);
      }
    },
    setQueue: (index, size, parts) => {
      wr(0x30, index);
      wr(0x38, size);
      [parts.descriptors, parts.driver, parts.device].forEach((address, i) => {
        wr(0x80 + 16 * i, address % 2 ** 32);
        wr(0x84 + 16 * i, high(address));
      });
      wr(0x44, 1);
    },
    notify: (index) => wr(0x50, index),
    resetQueue: (index) => {
      wr(0x30, index);
      wr(0xc0, 1);
      return rd(0xc0) + rd(0x44);
    },
    config: (offset, size) => device.read(0x100 + offset, size),
    setConfig: (offset, size, value) => device.write(0x100 + offset, size, value),
    causes: () => {
      const causes = rd(0x60);
      wr(0x64, causes);
      return causes;
    },
  };
}

export function pciDriver(device: Device): TransportDriver {
  return {
    kind: "pci",
    device,
    status: () => device.read(0x14, 1),
    setStatus: (value) => device.write(0x14, 1, value & 0xff),
    features: () => {
      device.write(0, 4, 0);
      const low = device.read(4, 4);
      device.write(0, 4, 1);
      return [low, device.read(4, 4)];
    },
    setFeatures: (words) => {
      for (const i of [0, 1] as const) {
        device.write(8, 4, i);
        device.write(0xc, 4, words[i]);
      }
    },
    setQueue: (index, size, parts) => {
      device.write(0x16, 2, index);
      device.write(0x18, 2, size & 0xffff);
      [parts.descriptors, parts.driver, parts.device].forEach((address, i) => {
        device.write(0x20 + 8 * i, 4, address % 2 ** 32);
        device.write(0x24 + 8 * i, 4, high(address));
      });
      device.write(0x1c, 2, 1);
    },
    notify: (index) => device.write(0x3000 + 4 * index, 2, index),
    resetQueue: (index) => {
      device.write(0x16, 2, index);
      device.write(0x3a, 2, 1);
      return device.read(0x3a, 2) + device.read(0x1c, 2);
    },
    config: (offset, size) => device.read(0x2000 + offset, size),
    setConfig: (offset, size, value) => device.write(0x2000 + offset, size, value),
    causes: () => device.read(0x1000, 1),
  };
}

export interface Rig {
  readonly memory: PhysicalMemory;
  readonly clock: EventClock;
  readonly log: TestLog;
  readonly line: TestLine;
  /** Messages as "address data". */
  readonly messages: string[];
  readonly driver: TransportDriver;
  readonly pci: PciFunction | null;
  readonly msix: Msix | null;
}

export function createRig(kind: "pci" | "mmio", device: VirtioDevice, memory = createMemory()): Rig {
  const clock = new EventClock();
  const log = new TestLog();
  const line = new TestLine();
  const messages: string[] = [];
  const common = { device, memory: guarded(memory), clock, log };
  const base = { memory, clock, log, line, messages };
  if (kind === "mmio") {
    const driver = mmioDriver(new VirtioMmio({ ...common, irq: line }));
    return { ...base, driver, pci: null, msix: null };
  }
  const pci = createVirtioPci({
    ...common,
    sendMessage: (low, _high, data) => messages.push(`${low.toString(16)} ${data.toString(16)}`),
  });
  pci.interruptLine = line;
  // Memory space and bus master.
  pci.writeConfig(4, 2, 6);
  const msix = pci.bars.map((bar) => bar.description.device).find((found) => found instanceof Msix)!;
  const structures = pci.bars.find((bar) => bar.description.index === 4)!.description.device;
  return { ...base, driver: pciDriver(structures), pci, msix };
}

/** VERSION_1, with indirect descriptors and event index or without. */
export const FULL: readonly [number, number] = [0x3000_0000, 1];
export const PLAIN: readonly [number, number] = [0, 1];
const RING_PACKED = 1 << 2;
/** The same with queues that can be reset. */
export const withReset = ([low, high]: readonly [number, number]): [number, number] => [low, high | (1 << 8)];
/** The same with packed rings. */
export const packed = ([low, high]: readonly [number, number]): [number, number] => [low, high | RING_PACKED];

/** Takes a device to DRIVER_OK (3.1.1) with one ring a queue. */
export function start(
  { driver, memory }: Pick<Rig, "driver" | "memory">,
  words: readonly [number, number],
  ringSizes: readonly number[],
): TestRing[] {
  driver.setStatus(0);
  driver.setStatus(1);
  driver.setStatus(3);
  driver.setFeatures(words);
  driver.setStatus(11);
  const Ring = (words[1] & RING_PACKED) !== 0 ? PackedTestRing : TestRing;
  const rings = ringSizes.map((size, i) => {
    const base = 0x10_0000 + i * 0x1_0000;
    memory.fill(base, 0x1_0000, 0);
    return new Ring(memory, base, size);
  });
  rings.forEach((ring, i) => {
    driver.setQueue(i, ring.size, ring);
  });
  driver.setStatus(15);
  return rings;
}
