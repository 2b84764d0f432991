/**
 * The processor's pins: all that the core knows of the machine around it.
 *
 * The core imports this file and no device. The platform implements `ProcessorPort`; the core implements
 * `ProcessorSide` and hands it over with `connect`. Processors are named by their index, 0 to N-1.
 */

/** Width of an access that leaves the processor. A 64-bit access is two of 4 bytes, low half first. */
export type PortSize = 1 | 2 | 4;

/** Bits of `ProcessorPort.pendingEvents`. */
export const EVENT = {
  /** INTR: a maskable interrupt waits; `acknowledgeInterrupt` gives its vector. */
  INTR: 1 << 0,
  /** A non-maskable interrupt is latched; `acknowledgeNmi` takes it. */
  NMI: 1 << 1,
  /** INIT was received; `acknowledgeInit` takes it. */
  INIT: 1 << 2,
  /** A start-up IPI was received; `acknowledgeStartup` gives its vector. */
  SIPI: 1 << 3,
  /** A system-management interrupt was received. The core may drop it: `acknowledgeSmi`. */
  SMI: 1 << 4,
} as const;

/** Two unsigned 32-bit halves of a 64-bit value: `[low, high]`. */
export type Halves = readonly [low: number, high: number];

/** What the core sees of its own local APIC, beyond the memory-mapped page. */
export interface LocalApicPort {
  /** IA32_APIC_BASE.EN: CPUID.01H:EDX.APIC[bit 9] shows it (SDM 3A 11.4.3). */
  readonly globallyEnabled: boolean;
  /** The 32-bit x2APIC ID; its low byte is the initial xAPIC ID. */
  readonly apicId: number;
  /** Whether MSR `index` (IA32_APIC_BASE, IA32_TSC_DEADLINE, 800H-8FFH) belongs to the local APIC. */
  ownsMsr(index: number): boolean;
  /** Reads an MSR of the local APIC; `null` means #GP(0). */
  readMsr(index: number): Halves | null;
  /** Writes an MSR of the local APIC; `false` means #GP(0) and nothing changed. */
  writeMsr(index: number, low: number, high: number): boolean;
  /** CR8: the task-priority class, TPR[7:4], 0 to 15. */
  readCr8(): number;
  /** `value` is 0 to 15: the core has checked CR8's reserved bits. */
  writeCr8(value: number): void;
  /** To be called after IA32_TSC or IA32_TSC_ADJUST changed: an armed TSC deadline moves in time. */
  timeStampCounterChanged(): void;
}

/** What the platform asks of, and tells, the core. */
export interface ProcessorSide {
  /**
   * `pendingEvents(cpu)` may have changed: a line rose or fell. Comes at any time, also from inside a port
   * or memory access of the core, so it must only take note.
   */
  onInterruptLine(cpu: number): void;
  /**
   * Virtual time, in ns, at which processor `cpu`'s time-stamp counter reaches the 64-bit value; a time in
   * the past if it has already; `Infinity` if beyond 2^53 ns.
   */
  timeOfTsc(cpu: number, low: number, high: number): number;
  /**
   * The local APIC page of `cpu` now answers at `base`, or nowhere (`null`): RAM at that address is hidden
   * from, or visible again to, that processor. Comes when IA32_APIC_BASE changes and after a restore.
   */
  onLocalApicMove(cpu: number, base: number | null): void;
}

export interface ProcessorPort {
  connect(side: ProcessorSide): void;
  /** Says which processor makes the accesses that follow: each sees its own local APIC. 0 at first. */
  selectProcessor(cpu: number): void;

  /** Port input; unsigned. `port` is 0 to FFFFH; an access past FFFFH wraps. */
  readPort(port: number, size: PortSize): number;
  /** Port output; `value` is taken modulo the width. */
  writePort(port: number, size: PortSize, value: number): void;
  /** Read of physical memory that is not RAM; `address` is below 2^52; unsigned. */
  readMmio(address: number, size: PortSize): number;
  writeMmio(address: number, size: PortSize, value: number): void;

  /** `EVENT` bits that wait for `cpu`. INTR is a level and may fall again; the others stay until taken. */
  pendingEvents(cpu: number): number;
  /** Whether INTR is up: `pendingEvents(cpu) & EVENT.INTR`. */
  interruptPending(cpu: number): boolean;
  /**
   * The interrupt acknowledge cycle; gives the vector, 0 to 255: from the local APIC, or from the 8259 pair
   * through ExtINT or directly while the local APIC is disabled. May give a spurious vector.
   */
  acknowledgeInterrupt(cpu: number): number;
  acknowledgeNmi(cpu: number): void;
  acknowledgeInit(cpu: number): void;
  /** Takes the start-up IPI; gives its vector: execution starts at `vector << 12`. */
  acknowledgeStartup(cpu: number): number;
  acknowledgeSmi(cpu: number): void;

  lapic(cpu: number): LocalApicPort;
}
