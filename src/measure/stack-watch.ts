/**
 * Tells when a program goes to another stack. The processor's own loads of RSP count at once. An RSP that software
 * loads counts when it is used: entry code also borrows RSP as a scratch register.
 */
import type { Phase } from "./counts.ts";

/** Farther from the last place in use, and not by arithmetic on RSP, is another stack. */
const SAME_STACK = 2048n;

function isFar(a: bigint, b: bigint): boolean {
  const distance = a - b;
  return distance > SAME_STACK || distance < -SAME_STACK;
}

export class StackWatch {
  /** Where the stack in use is; null before the first instruction. */
  #used: bigint | null = null;
  /** Who moved RSP away from it. */
  #movedBy: Phase = "work";

  begin(): void {
    this.#used = null;
  }

  /** An instruction begins. */
  step(rsp: bigint): void {
    this.#used ??= rsp;
  }

  /** An instruction has changed RSP from `before` to `after`. */
  move(before: bigint, after: bigint, phase: Phase, isArithmetic: boolean): void {
    if (this.#used === null) return;
    if (isArithmetic) this.#used += after - before;
    else if (isFar(before, after)) this.#movedBy = phase;
  }

  /** An instruction addresses memory by RSP. @returns the phase that went to another stack before, or null */
  use(rsp: bigint): Phase | null {
    return this.load(rsp) ? this.#movedBy : null;
  }

  /** RSP is in use from now on, or the processor has loaded it. @returns whether that is another stack */
  load(rsp: bigint): boolean {
    const isOther = this.#used !== null && isFar(this.#used, rsp);
    this.#used = rsp;
    return isOther;
  }
}
