/**
 * The bus: who answers at a port or a physical address.
 *
 * Two spaces, ports (0-FFFFH) and MMIO (physical addresses below 2^52). A device is added with a range and
 * the access widths its registers take. Accesses that a range does not take as they are (too wide,
 * misaligned, half outside) are made as smaller ones, low address first, as a bridge would; what nobody
 * answers reads as all ones and is reported once, with a counter.
 */

import type { AccessSize, Device, Log } from "../devices/device.ts";

export type Space = "port" | "mmio";

/** Width in bytes of one access on the bus. A 64-bit access arrives as two of 4 bytes. */
export type BusSize = Exclude<AccessSize, 8>;

export interface BusAccess {
  readonly space: Space;
  readonly write: boolean;
  readonly address: number;
  readonly size: number;
  /** Value read or written, unsigned. */
  readonly value: number;
  /** Name of the range that answered; `null` if none did. */
  readonly name: string | null;
}

export interface RangeOptions {
  /** For messages and traces. */
  readonly name: string;
  /** Access widths in bytes that the device takes. */
  readonly widths: readonly BusSize[];
}

/** A device's place on the bus; moves at run time when a base register is written. */
export interface BusRange {
  readonly name: string;
  readonly space: Space;
  readonly length: number;
  /** `null` while not mapped. */
  readonly base: number | null;
  /** Maps at `base`. `false`, and not mapped anywhere, if that overlaps another range. */
  move(base: number): boolean;
  unmap(): void;
}

/** Distinct unknown accesses that are counted each for itself; a guest that scans gigabytes shares one. */
const UNKNOWN_LIMIT = 4096;
const PORTS = 0x1_0000;

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

class Range implements BusRange {
  readonly name: string;
  readonly space: Space;
  readonly length: number;
  readonly device: Device;
  /** Bit n: accesses of n bytes are taken. */
  readonly widths: number;
  readonly #bus: Bus;
  base: number | null = null;

  constructor(bus: Bus, space: Space, length: number, device: Device, options: RangeOptions) {
    this.#bus = bus;
    this.space = space;
    this.length = length;
    this.device = device;
    this.name = options.name;
    this.widths = options.widths.reduce((mask, width) => mask | (1 << width), 0);
  }

  move(base: number): boolean {
    this.unmap();
    return this.#bus.map(this, base) === null;
  }

  unmap(): void {
    this.#bus.unmap(this);
  }

  takes(address: number, size: number): boolean {
    const offset = address - this.base!;
    return (this.widths & (1 << size)) !== 0 && offset % size === 0 && offset + size <= this.length;
  }

  /** Whether accesses narrower than `size` exist. */
  takesNarrower(size: number): boolean {
    return (this.widths & ((1 << size) - 1)) !== 0;
  }
}

export class Bus {
  /** Sees every access after it was made; `null` costs nothing. */
  observer: ((access: BusAccess) => void) | null = null;
  /** Accesses that nobody answered, by a text like `port 0x2f8 read 1`. */
  readonly unknownAccesses = new Map<string, number>();

  readonly #log: Log;
  /** Mapped port ranges; entry 0 stands for "nobody". `#portIndex` holds an index into it for each port. */
  readonly #portRanges: (Range | null)[] = [null];
  readonly #portIndex = new Uint16Array(PORTS);
  /** Mapped MMIO ranges, sorted by base. */
  readonly #mmio: Range[] = [];
  #lastMmio: Range | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Adds a device at `base`. Throws, naming both ranges, if it overlaps one that is mapped. */
  add(space: Space, base: number, length: number, device: Device, options: RangeOptions): BusRange {
    const range = new Range(this, space, length, device, options);
    const problem = this.map(range, base);
    if (problem !== null) throw new Error(`bus: ${problem}`);
    return range;
  }

  /** A range that is not mapped yet: a PCI BAR before it is given an address. */
  addUnmapped(space: Space, length: number, device: Device, options: RangeOptions): BusRange {
    return new Range(this, space, length, device, options);
  }

  /** Names a range whose hardware is absent by design: it answers all ones and is not unknown. */
  addAbsent(space: Space, base: number, length: number, name: string): BusRange {
    return this.add(space, base, length, ABSENT, { name: `${name} (absent)`, widths: [1, 2, 4] });
  }

  /** Mapped ranges in address order, ports first. */
  ranges(): readonly BusRange[] {
    const ports = this.#portRanges.filter((range) => range !== null);
    return [...ports.sort((a, b) => a.base! - b.base!), ...this.#mmio];
  }

  /** Whether a device answers at this physical address. */
  hasMmio(address: number): boolean {
    return this.#findMmio(address) !== null;
  }

  readPort(port: number, size: BusSize): number {
    const range = this.#portRanges[this.#portIndex[port]];
    const value =
      range?.takes(port, size) === true
        ? range.device.read(port - range.base!, size)
        : this.#readInParts("port", port, size);
    this.observer?.({ space: "port", write: false, address: port, size, value, name: range?.name ?? null });
    return value;
  }

  writePort(port: number, size: BusSize, value: number): void {
    const range = this.#portRanges[this.#portIndex[port]];
    if (range?.takes(port, size) === true) range.device.write(port - range.base!, size, value);
    else this.#writeInParts("port", port, size, value);
    this.observer?.({ space: "port", write: true, address: port, size, value, name: range?.name ?? null });
  }

  readMmio(address: number, size: BusSize): number {
    const range = this.#findMmio(address);
    const value =
      range?.takes(address, size) === true
        ? range.device.read(address - range.base!, size)
        : this.#readInParts("mmio", address, size);
    this.observer?.({ space: "mmio", write: false, address, size, value, name: range?.name ?? null });
    return value;
  }

  writeMmio(address: number, size: BusSize, value: number): void {
    const range = this.#findMmio(address);
    if (range?.takes(address, size) === true) range.device.write(address - range.base!, size, value);
    else this.#writeInParts("mmio", address, size, value);
    this.observer?.({ space: "mmio", write: true, address, size, value, name: range?.name ?? null });
  }

  // ---- mapping, for Range ----

  /** Maps `range`; gives what is wrong, or `null`. */
  map(range: Range, base: number): string | null {
    const limit = range.space === "port" ? PORTS : 2 ** 52;
    const where = `${range.space} ${hex(base)}-${hex(base + range.length - 1)}`;
    if (range.length < 1 || base < 0 || base + range.length > limit) {
      return `${range.name}: ${where} is outside the ${range.space} space`;
    }
    const other = this.#overlapping(range.space, base, range.length);
    if (other !== null) {
      const end = other.base! + other.length - 1;
      return `${range.name} at ${where} overlaps ${other.name} at ${hex(other.base!)}-${hex(end)}`;
    }
    range.base = base;
    if (range.space === "port") {
      const free = this.#portRanges.indexOf(null, 1);
      const index = free < 0 ? this.#portRanges.length : free;
      this.#portRanges[index] = range;
      this.#portIndex.fill(index, base, base + range.length);
    } else {
      const at = this.#mmio.findIndex((mapped) => mapped.base! > base);
      this.#mmio.splice(at < 0 ? this.#mmio.length : at, 0, range);
    }
    return null;
  }

  unmap(range: Range): void {
    if (range.base === null) return;
    if (range.space === "port") {
      this.#portRanges[this.#portIndex[range.base]] = null;
      this.#portIndex.fill(0, range.base, range.base + range.length);
    } else {
      this.#mmio.splice(this.#mmio.indexOf(range), 1);
      this.#lastMmio = null;
    }
    range.base = null;
  }

  #overlapping(space: Space, base: number, length: number): Range | null {
    const all = space === "port" ? this.#portRanges : this.#mmio;
    for (const other of all) {
      if (other !== null && other.base! < base + length && base < other.base! + other.length) return other;
    }
    return null;
  }

  #findMmio(address: number): Range | null {
    const last = this.#lastMmio;
    if (last !== null && address >= last.base! && address < last.base! + last.length) return last;
    let low = 0;
    let high = this.#mmio.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const range = this.#mmio[middle];
      if (address < range.base!) high = middle - 1;
      else if (address >= range.base! + range.length) low = middle + 1;
      else {
        this.#lastMmio = range;
        return range;
      }
    }
    return null;
  }

  // ---- accesses that no range takes as they are ----

  #find(space: Space, address: number): Range | null {
    return space === "port" ? this.#portRanges[this.#portIndex[address & 0xffff]] : this.#findMmio(address);
  }

  /** Whether smaller accesses would reach a device. */
  #canSplit(space: Space, address: number, size: number): boolean {
    if (size === 1) return false;
    for (let i = 0; i < size; i++) {
      const range = this.#find(space, address + i);
      if (range?.takesNarrower(size) === true) return true;
    }
    return false;
  }

  #readInParts(space: Space, address: number, size: number): number {
    if (!this.#canSplit(space, address, size)) {
      this.#unknown(space, address, `read ${size}`);
      return 2 ** (8 * size) - 1;
    }
    const half = size >> 1;
    const low = this.#readPart(space, address, half);
    const high = this.#readPart(space, address + half, half);
    return low + high * 2 ** (8 * half);
  }

  #readPart(space: Space, address: number, size: number): number {
    const at = space === "port" ? address & 0xffff : address;
    const range = this.#find(space, at);
    if (range?.takes(at, size) === true) return range.device.read(at - range.base!, size as BusSize);
    return this.#readInParts(space, at, size);
  }

  #writeInParts(space: Space, address: number, size: number, value: number): void {
    if (!this.#canSplit(space, address, size)) {
      this.#unknown(space, address, `write ${size}`, value);
      return;
    }
    const half = size >> 1;
    const mask = 2 ** (8 * half) - 1;
    this.#writePart(space, address, half, (value & mask) >>> 0);
    this.#writePart(space, address + half, half, ((value >>> (8 * half)) & mask) >>> 0);
  }

  #writePart(space: Space, address: number, size: number, value: number): void {
    const at = space === "port" ? address & 0xffff : address;
    const range = this.#find(space, at);
    if (range?.takes(at, size) === true) range.device.write(at - range.base!, size as BusSize, value);
    else this.#writeInParts(space, at, size, value);
  }

  #unknown(space: Space, address: number, what: string, value?: number): void {
    let key = `${space} ${hex(address)} ${what}`;
    if (!this.unknownAccesses.has(key) && this.unknownAccesses.size >= UNKNOWN_LIMIT) key = `${space} others`;
    const count = this.unknownAccesses.get(key) ?? 0;
    this.unknownAccesses.set(key, count + 1);
    if (count > 0) return;
    const range = this.#find(space, address);
    const reason = range === null ? "nothing there" : `not a width of ${range.name}`;
    this.#log.unknown(`bus: ${key}${value === undefined ? "" : ` value ${hex(value)}`}: ${reason}`);
  }
}

/** Answers for hardware that is absent: the undriven bus. */
const ABSENT: Device = {
  read: (_offset, size) => 2 ** (8 * size) - 1,
  write: () => {},
  reset: () => {},
  save: () => null,
  restore: () => {},
};
