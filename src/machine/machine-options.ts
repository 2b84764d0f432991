/** What a machine is made of, what it boots, how it runs, and why a run ends. */
import type { Pacing } from "./pacing.ts";
import type { VirtioOptions } from "./virtio.ts";

export interface MachineOptions extends VirtioOptions {
  /** Guest RAM in bytes, a multiple of 4 KiB; 512 MiB unless given. */
  readonly memory?: number;
  /** Processors, 1 to 16; 1 unless given. */
  readonly cpus?: number;
  /**
   * With several processors: virtual nanoseconds that each may run before the next has its turn, 1000 to 1e6;
   * 10,000 unless given.
   */
  readonly quantum?: number;
  /** Processor model, as `--cpu` takes it, e.g. "x86-64-v2,-smap". */
  readonly cpu?: string;
  /** Timing model, by a name of `TIMING_MODELS` (src/timing); "none" unless given. */
  readonly timing?: string;
  /** Seed of RDRAND, RDSEED and the entropy device. */
  readonly seed?: bigint;
  /** The real-time clock's date at power-on, seconds since 1970 UTC. */
  readonly startDate?: number;
  /** Bytes that the guest writes to COM1, and to the virtio console. */
  readonly onConsole?: (byte: number) => void;
  /** Bytes that the guest writes to the debug port E9h. */
  readonly onDebugByte?: (byte: number) => void;
  /** Something this machine does not know was asked of it: one call for each distinct message. */
  readonly onUnknown?: (message: string) => void;
}

export interface LoadRequest {
  readonly image: Uint8Array;
  readonly commandLine?: string;
  readonly initrd?: Uint8Array;
}

/** Why `run` came back. */
export type StopReason =
  | { readonly kind: "power-off" }
  | { readonly kind: "reset"; readonly source: string }
  | { readonly kind: "debug-exit"; readonly status: number }
  | { readonly kind: "triple-fault" }
  /** Halted with nothing that could ever wake it. */
  | { readonly kind: "halted" }
  | { readonly kind: "instruction-limit" }
  /** `stop()` was called. */
  | { readonly kind: "stopped" }
  /** The end of a replay. */
  | { readonly kind: "replayed" };

export interface RunOptions {
  /** Stop once this many instructions have been executed since power-on (a block may exceed it). */
  readonly maxInstructions?: number;
  /**
   * `run` only: called between two slices, when the host's event loop has run, every 20 ms of wall time or so, with a network every
   * millisecond, and before the machine sleeps. The guest waits for what it returns. The guest's time is not disturbed:
   * slices end by virtual time alone.
   */
  readonly onYield?: () => Promise<void> | undefined;
  /**
   * `run` only: how virtual time goes with the host's (`HostClock`, `SleepIdle`). Without it idle time is skipped. A machine that
   * only input can wake waits for it in any case, as long as some may come (`machine.outside`).
   */
  readonly pacing?: Pacing;
}
