/** Memory management in the terms of the processor and its code cache. */

import type { ProcessorPort } from "../cpu/outside.ts";
import type { ProcessorMmu } from "../cpu/processor.ts";
import type { CpuState } from "../cpu/state.ts";
import type { Mmu } from "../mmu/mmu.ts";

const PAGE = 4096;

export class ProcessorMemory implements ProcessorMmu {
  readonly #mmu: Mmu;
  readonly #port: ProcessorPort;
  readonly #states: readonly CpuState[];

  constructor(mmu: Mmu, port: ProcessorPort, states: readonly CpuState[]) {
    this.#mmu = mmu;
    this.#port = port;
    this.#states = states;
  }

  get current(): CpuState {
    return this.#mmu.current;
  }
  set current(cpu: CpuState) {
    this.#mmu.current = cpu;
  }
  slowRead(record: number, low: number, high: number, size: number): number {
    return this.#mmu.slowRead(record, low, high, size);
  }
  slowWrite(record: number, low: number, high: number, size: number): number {
    return this.#mmu.slowWrite(record, low, high, size);
  }
  commit(): void {
    this.#mmu.commit();
  }
  translateExecute(cpu: CpuState, low: number, high: number): number {
    return this.#mmu.translateExecute(cpu, low, high);
  }
  hostPage(physical: number): number {
    return this.#mmu.physical.hostAddress(physical);
  }
  readDevice(physical: number): number {
    return this.#port.readMmio(physical, 1);
  }
  markCode(physical: number, length: number): void {
    this.#mmu.markCode(physical, length);
  }
  clearCode(pageNumber: number): void {
    this.#mmu.clearCode(pageNumber * PAGE);
  }
  cacheJump(cpu: CpuState, low: number, high: number, key: number, record: number): void {
    this.#mmu.jumpCache(cpu).store(low, high, key, record);
  }
  clearJumpCaches(): void {
    for (const cpu of this.#states) this.#mmu.jumpCache(cpu).clear();
  }
}
