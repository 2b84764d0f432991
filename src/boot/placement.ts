/** Bookkeeping of who lies where in guest memory while an image is loaded. */
import { E820Type } from "./e820.ts";
import { byteCount, hex, ImageError } from "./image-error.ts";
import type { BootPlatform, GuestMemory, Range } from "./platform.ts";

const PAGE = 4096;
const end = (range: Range): number => range.base + range.length;

interface Claim extends Range {
  readonly what: string;
}

export class Placement {
  readonly #ram: readonly Range[];
  readonly #claims: Claim[] = [];

  constructor(platform: BootPlatform, memory: GuestMemory) {
    this.#ram = platform.memoryMap
      .filter((entry) => entry.type === E820Type.RAM && entry.base < memory.size)
      .map((entry) => ({ base: entry.base, length: Math.min(entry.length, memory.size - entry.base) }));
  }

  /**
   * Takes a range for `what`. Throws `ImageError` where it is not RAM or is taken; a claim of the same
   * name may overlap, as segments of one kernel do.
   */
  claim(what: string, base: number, length: number): void {
    if (length === 0) return;
    const inside = this.#ram.some((ram) => base >= ram.base && base + length <= end(ram));
    if (!inside) {
      const last = this.#ram.at(-1);
      const top = last === undefined ? 0 : end(last);
      throw new ImageError(
        `${what} needs guest memory ${hex(base)}-${hex(base + length - 1)}, found ` +
          (base + length > top
            ? `memory only up to ${hex(top)}: a larger --memory may help`
            : "a range that is not RAM there"),
      );
    }
    const other = this.#claims.find((c) => c.what !== what && base < end(c) && c.base < base + length);
    if (other !== undefined) {
      throw new ImageError(
        `${what} at ${hex(base)}-${hex(base + length - 1)} overlaps the ${other.what} at ` +
          `${hex(other.base)}-${hex(end(other) - 1)}`,
      );
    }
    this.#claims.push({ what, base, length });
  }

  /** Claims the highest free page-aligned place whose last byte is at most `lastAddress`. */
  claimHighest(what: string, length: number, lastAddress: number): number {
    const aligned = (address: number): number => Math.floor(address / PAGE) * PAGE;
    const candidates: number[] = [];
    for (const ram of this.#ram) candidates.push(Math.min(end(ram), lastAddress + 1));
    for (const claim of this.#claims) candidates.push(Math.min(claim.base, lastAddress + 1));
    const base = candidates
      .map((top) => aligned(top - length))
      .filter((address) => address >= 0 && this.#isFree(address, length))
      .reduce((best, address) => Math.max(best, address), -1);
    return this.#claimFound(what, base, length, `below ${hex(lastAddress + 1)}`);
  }

  /** Claims the lowest free page-aligned place at or above `start`. */
  claimLowest(what: string, length: number, start: number): number {
    const aligned = (address: number): number => Math.ceil(address / PAGE) * PAGE;
    const candidates = [start, ...this.#ram.map((ram) => ram.base), ...this.#claims.map(end)];
    const base = candidates
      .map(aligned)
      .filter((address) => address >= start && this.#isFree(address, length))
      .reduce((best, address) => Math.min(best, address), Number.POSITIVE_INFINITY);
    return this.#claimFound(
      what,
      base === Number.POSITIVE_INFINITY ? -1 : base,
      length,
      `from ${hex(start)} up`,
    );
  }

  #isFree(base: number, length: number): boolean {
    return (
      this.#ram.some((ram) => base >= ram.base && base + length <= end(ram)) &&
      this.#claims.every((claim) => base >= end(claim) || claim.base >= base + length)
    );
  }

  #claimFound(what: string, base: number, length: number, where: string): number {
    if (base < 0) {
      throw new ImageError(
        `the ${what} of ${byteCount(length)} does not fit into guest memory ${where}: a larger --memory may help`,
      );
    }
    this.claim(what, base, length);
    return base;
  }
}
