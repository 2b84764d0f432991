/**
 * What the parts of the processor see of each other. The processor (`processor.ts`) implements `Core`; the
 * MMU, the code cache and the system instructions are handed to it and reach one another through it.
 */
import type { Charge } from "./cost.ts";
import type { ProcessorPort } from "./outside.ts";
import type { CpuState } from "./state.ts";

/** Why memory is touched: decides permission checks and the page-fault error code (SDM vol. 3A 4.6, 4.7). */
export const Access = {
  READ: 0,
  WRITE: 1,
  EXECUTE: 2,
  /** Added to READ or WRITE: implicit supervisor access (descriptor tables, TSS, interrupt frames). */
  SYSTEM: 4,
} as const;

/**
 * Linear memory for TypeScript helpers: paging, permissions, A/D bits, MMIO and code invalidation included.
 * Addresses are unsigned 64-bit linear addresses (segmentation already applied). Every method throws `Fault`:
 * #PF with CR2 set, or #GP(0) for a non-canonical address (callers that need #SS check before).
 * An access that crosses a page checks both pages before it changes anything.
 */
export interface LinearMemory {
  /** `access` is `Access.READ` or `Access.READ | Access.SYSTEM`. Sizes 1, 2, 4; unsigned result. */
  read(address: bigint, size: 1 | 2 | 4, access?: number): number;
  read64(address: bigint, access?: number): bigint;
  write(address: bigint, size: 1 | 2 | 4, value: number, access?: number): void;
  write64(address: bigint, value: bigint, access?: number): void;
  /**
   * Up to 4096 bytes; checks all pages first. `alignment` in bytes, a power of two: #AC(0) for an address that
   * lacks it where alignment is checked; 1, the default, never.
   */
  readBytes(address: bigint, length: number, access?: number, alignment?: number): Uint8Array;
  writeBytes(address: bigint, bytes: Uint8Array, access?: number, alignment?: number): void;
  /** Host address of the 64-byte line that holds `address`, which may be read; 0 where the bus answers. */
  hostLine(address: bigint): number;
  /** Faults exactly as `writeBytes` would, and changes nothing but A/D bits. */
  probeWrite(address: bigint, length: number, access?: number, alignment?: number): void;
}

/** What the system instructions need of address translation. */
export interface Translation {
  /** Recomputes TLB_KEY and JUMP_KEY after CPL, CR0, CR4, EFER, RFLAGS.AC or PKRU changed. */
  contextChanged(cpu: CpuState): void;
  /** CR3 was written: `keep` when bit 63 asked to keep this PCID's translations. */
  addressSpaceChanged(cpu: CpuState, keep: boolean): void;
  /** Drops every translation, global ones too. */
  flushAll(cpu: CpuState): void;
  /** INVLPG and INVPCID type 0. */
  flushPage(cpu: CpuState, address: bigint): void;
  /** INVPCID type 1: drops the translations of one PCID, but for global ones. */
  flushPcid(cpu: CpuState, pcid: number): void;
  /**
   * Loads the PDPTE registers of PAE paging from the table at `cr3`; `false`, and nothing changed, if a
   * present entry has reserved bits set (SDM vol. 3A 4.4.1).
   */
  loadPdptes(cpu: CpuState, cr3: number): boolean;
}

/** Virtual time as the processor's instructions see it. */
export interface TimeSource {
  /** The time-stamp counter now, exact to the instruction (IA32_TSC_ADJUST included). */
  tsc(cpu: CpuState): bigint;
  /** WRMSR to IA32_TIME_STAMP_COUNTER. */
  setTsc(cpu: CpuState, value: bigint): void;
}

/** The unknown is loud: one line per distinct message. */
export interface CoreLog {
  unknown(message: string): void;
}

/** Costs that depend on more than the instruction. */
export interface Charges {
  /** Takes the cost from the running processor's budget. */
  charge(cost: Charge): void;
}

/** Ring transitions and exceptions, for tracing and statistics. Absent observers cost nothing. */
export interface SystemObserver {
  /** An exception or interrupt is about to be delivered. */
  event?(
    cpu: CpuState,
    kind: "fault" | "interrupt" | "software" | "nmi",
    vector: number,
    error: number,
  ): void;
  /** Control passed between rings or address spaces: cause by mnemonic. */
  ring?(cpu: CpuState, from: number, to: number, cause: string): void;
  /**
   * What can change the privilege level has passed control, whether it changed that or not: registers, CPL and RIP
   * are those it goes on with. `source` is where it came from: the instruction's RIP, of an event that of the
   * interrupted program; `event` has told of the event before.
   */
  transfer?(cpu: CpuState, cause: TransferCause, from: number, to: number, source: bigint): void;
}

/** `event`: an exception, an interrupt or INT n. */
export type TransferCause =
  | "event"
  | "SYSCALL"
  | "SYSRET"
  | "SYSENTER"
  | "SYSEXIT"
  | "IRET"
  | "call gate"
  | "RETF"
  | "task switch";

export interface Core {
  /** What the timing model has to be told of; null without one. */
  readonly charges: Charges | null;
  readonly memory: LinearMemory;
  readonly translation: Translation;
  readonly port: ProcessorPort;
  readonly time: TimeSource;
  readonly log: CoreLog;
  observer: SystemObserver | null;
  /** PAUSE was executed: called with several processors only. */
  onPause: (() => void) | null;
  /**
   * The code segment, SS.B, CPL, CR0, CR4, EFER or RFLAGS changed: recomputes MODE and the translation
   * context. Cheap; called by whatever loads segments or control registers.
   */
  modeChanged(cpu: CpuState): void;
}
