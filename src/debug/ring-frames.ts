/**
 * What was entered and has not returned: system calls, exceptions, interrupts, calls. A return is matched to its
 * entry by the stack pointer that the interrupted program goes on with. That is right whatever the kernel does
 * in between: other threads have other stacks, and a signal handler runs on a part of the stack of its own.
 */
import { CR3 } from "../cpu/layout.ts";
import type { CpuState } from "../cpu/state.ts";

/** Bits 51:12 of CR3: the table, not the PCID. */
const TABLE = 0x000f_ffff_ffff_f000n;
/** Entries that are never returned from (exit, exec, rt_sigreturn) must not pile up. */
const MOST = 4096;

/** The address space of what runs at a stack pointer: kernel stacks are the same in all of them. */
export function addressSpace(cpu: CpuState): bigint {
  return cpu.u64(CR3) & TABLE;
}

function frameKey(cpu: CpuState, rsp: bigint): string {
  const isKernels = BigInt.asIntN(64, rsp) < 0n;
  return isKernels ? rsp.toString(16) : `${rsp.toString(16)} ${addressSpace(cpu).toString(16)}`;
}

export class PendingFrames<Frame extends { readonly returnRip: bigint | null }> {
  readonly #frames = new Map<string, Frame>();

  /** `rsp`: the stack pointer that the return goes on with. */
  enter(cpu: CpuState, rsp: bigint, frame: Frame): void {
    const key = frameKey(cpu, rsp);
    // Anew at the end: the oldest come first.
    this.#frames.delete(key);
    this.#frames.set(key, frame);
    if (this.#frames.size > MOST) {
      for (const oldest of this.#frames.keys()) {
        this.#frames.delete(oldest);
        break;
      }
    }
  }

  /** What would return to `rip` with RSP `rsp`, or null. */
  peek(cpu: CpuState, rip: bigint, rsp: bigint): Frame | null {
    const frame = this.#frames.get(frameKey(cpu, rsp));
    // A system call returns behind its instruction; a handler may change where an exception returns to.
    return frame === undefined || (frame.returnRip !== null && frame.returnRip !== rip) ? null : frame;
  }

  /** Control arrives at `rip` with RSP `rsp`. @returns what returns there, or null */
  take(cpu: CpuState, rip: bigint, rsp: bigint): Frame | null {
    const frame = this.peek(cpu, rip, rsp);
    if (frame !== null) this.#frames.delete(frameKey(cpu, rsp));
    return frame;
  }
}
