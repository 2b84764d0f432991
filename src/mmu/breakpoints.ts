/** Data breakpoints of DR0-DR3 and DR7, SDM vol. 3B 18.2.4 and 18.2.5. */
import { DR } from "../cpu/layout.ts";
import type { CpuState } from "../cpu/state.ts";

const BREAKPOINTS = 4;
/** DR7: L0, G0, L1, ... in bits 0-7. */
const ENABLE_BITS = 0xff;
/** DR7.R/Wn, from bit 16, four bits for each breakpoint: break on data writes; on reads or writes. */
const ON_WRITE = 1;
const ON_ACCESS = 3;
/** DR7.LENn, right above R/Wn: length in bytes. */
const LENGTHS = [1, 2, 8, 4] as const;

export class DataBreakpoints {
  /** Data breakpoints that are enabled; 0 is the ordinary case. */
  count = 0;
  #dr7 = 0;
  /** By breakpoint: `R/W` field if it is an enabled data breakpoint else 0, address halves, length. */
  readonly #kind = new Int32Array(BREAKPOINTS);
  readonly #lo = new Int32Array(BREAKPOINTS);
  readonly #hi = new Int32Array(BREAKPOINTS);
  readonly #length = new Int32Array(BREAKPOINTS);

  /** Reads the registers; `true` if the set of data breakpoints changed. */
  update(cpu: CpuState, longMode: boolean): boolean {
    const dr7 = cpu.i32(DR + 7 * 8);
    if (((dr7 | this.#dr7) & ENABLE_BITS) === 0) return false;
    this.#dr7 = dr7;
    let changed = false;
    this.count = 0;
    for (let n = 0; n < BREAKPOINTS; n++) {
      const fields = dr7 >>> (16 + 4 * n);
      const enabled = (dr7 & (3 << (2 * n))) !== 0;
      const kind = enabled && (fields & 1) !== 0 ? fields & 3 : 0;
      const length = LENGTHS[(fields >>> 2) & 3];
      // The low address bits that the length covers are ignored.
      const lo = cpu.i32(DR + n * 8) & -length;
      const hi = longMode ? cpu.i32(DR + n * 8 + 4) : 0;
      if (
        kind !== this.#kind[n] ||
        (kind !== 0 && (lo !== this.#lo[n] || hi !== this.#hi[n] || length !== this.#length[n]))
      ) {
        changed = true;
      }
      this.#kind[n] = kind;
      this.#lo[n] = lo;
      this.#hi[n] = hi;
      this.#length[n] = length;
      if (kind !== 0) this.count++;
    }
    return changed;
  }

  /** Whether one of them lies in the page of (`lo`, `hi`). A breakpoint is aligned, so it never crosses one. */
  inPage(lo: number, hi: number): boolean {
    for (let n = 0; n < BREAKPOINTS; n++) {
      if (this.#kind[n] !== 0 && this.#hi[n] === hi && ((this.#lo[n] ^ lo) & ~0xfff) === 0) return true;
    }
    return false;
  }

  /** Bits B0-B3 of DR6 for an access of `size` bytes at (`lo`, `hi`). */
  hits(lo: number, hi: number, size: number, write: boolean): number {
    let hits = 0;
    for (let n = 0; n < BREAKPOINTS; n++) {
      const kind = this.#kind[n];
      if (kind !== ON_ACCESS && !(kind === ON_WRITE && write)) continue;
      // Exact while the two are near; far apart it only has to stay large.
      const distance = (this.#hi[n] - hi) * 2 ** 32 + ((this.#lo[n] >>> 0) - (lo >>> 0));
      if (distance < size && distance > -this.#length[n]) hits |= 1 << n;
    }
    return hits;
  }
}
