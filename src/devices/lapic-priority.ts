/**
 * The fixed interrupts of a local APIC: IRR, ISR, TMR and the task and processor priorities (Intel SDM 3A
 * 11.8 "Handling Interrupts").
 */

import type { DeviceState } from "./device.ts";
import { REG } from "./lapic-registers.ts";
import { restoreRecord, saveRecord } from "./state.ts";

/** The 256 bits of IRR, ISR or TMR, in the eight 32-bit words that software reads. */
class VectorSet {
  readonly words: Uint32Array;

  constructor(words: Uint32Array) {
    this.words = words;
  }

  has(vector: number): boolean {
    return (this.words[vector >> 5] & (1 << (vector & 31))) !== 0;
  }

  set(vector: number, on: boolean): void {
    const bit = 1 << (vector & 31);
    if (on) this.words[vector >> 5] |= bit;
    else this.words[vector >> 5] &= ~bit;
  }

  /** The highest vector in the set, or -1. */
  highest(): number {
    for (let word = 7; word >= 0; word--) {
      if (this.words[word] !== 0) return (word << 5) | (31 - Math.clz32(this.words[word]));
    }
    return -1;
  }
}

export class PriorityQueue {
  readonly #s = {
    tpr: 0,
    irr: new Uint32Array(8),
    isr: new Uint32Array(8),
    tmr: new Uint32Array(8),
  };
  readonly #irr = new VectorSet(this.#s.irr);
  readonly #isr = new VectorSet(this.#s.isr);
  readonly #tmr = new VectorSet(this.#s.tmr);

  get taskPriority(): number {
    return this.#s.tpr;
  }

  set taskPriority(value: number) {
    this.#s.tpr = value;
  }

  /** PPR (11.8.3.1): the higher class of TPR and the vector in service. */
  get processorPriority(): number {
    const serving = Math.max(0, this.#isr.highest());
    return this.#s.tpr >> 4 >= serving >> 4 ? this.#s.tpr : serving & 0xf0;
  }

  /** The vector that may interrupt the processor now, or -1. */
  deliverable(): number {
    const vector = this.#irr.highest();
    return vector >> 4 > this.processorPriority >> 4 ? vector : -1;
  }

  request(vector: number, levelTriggered: boolean): void {
    this.#tmr.set(vector, levelTriggered);
    this.#irr.set(vector, true);
  }

  /** Moves the deliverable vector from IRR to ISR; gives it, or -1. */
  acknowledge(): number {
    const vector = this.deliverable();
    if (vector < 0) return -1;
    this.#irr.set(vector, false);
    this.#isr.set(vector, true);
    return vector;
  }

  /** Ends the highest interrupt in service; gives its vector, or -1 if there is none. */
  endOfInterrupt(): number {
    const vector = this.#isr.highest();
    if (vector >= 0) this.#isr.set(vector, false);
    return vector;
  }

  levelTriggered(vector: number): boolean {
    return this.#tmr.has(vector);
  }

  /** The ISR, TMR or IRR word at `register`, an offset in the xAPIC page. */
  readWord(register: number): number {
    const bits = register < REG.TMR ? this.#s.isr : register < REG.IRR ? this.#s.tmr : this.#s.irr;
    return bits[(register >> 4) & 7];
  }

  reset(): void {
    this.#s.tpr = 0;
    for (const set of [this.#irr, this.#isr, this.#tmr]) set.words.fill(0);
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
