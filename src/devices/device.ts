/**
 * What every device is, and all it is given.
 *
 * A device knows registers, not addresses: the bus hands it an offset into its range. It knows neither the
 * machine nor other devices; an interrupt line, the clock and guest memory are handed to its constructor.
 */

/** Width of one bus access in bytes. */
export type AccessSize = 1 | 2 | 4 | 8;

/**
 * A plain JSON value: what `save` returns and `restore` takes. Binary contents go in as `Uint8Array`, which
 * the snapshot writer stores beside the JSON.
 */
export type DeviceState =
  | null
  | boolean
  | number
  | string
  | bigint
  | Uint8Array
  | readonly DeviceState[]
  | { readonly [key: string]: DeviceState };

export interface Device {
  /**
   * Reads `size` bytes at `offset` of the device's range. The bus has already checked the width against
   * the mapping. 1-, 2- and 4-byte reads return an unsigned 32-bit number; 8-byte reads never reach a
   * device: the bus splits them into two 4-byte reads, low half first.
   */
  read(offset: number, size: AccessSize): number;
  /** Writes; `value` is unsigned 32-bit. */
  write(offset: number, size: AccessSize, value: number): void;
  /** Returns to the state after power-on. */
  reset(): void;
  save(): DeviceState;
  restore(state: DeviceState): void;
}

/**
 * One wire into an interrupt controller; `true` asserts it, whichever level that is. A device holds its line
 * until the guest has dealt with the cause: an 8259 drops a request that is withdrawn before it is taken.
 */
export interface IrqLine {
  set(level: boolean): void;
}

/**
 * Virtual time, the only clock a guest sees. The unit is the nanosecond, as a non-negative integer-valued
 * `number` (exact to 2^53 ns, about 104 days).
 */
export interface Clock {
  /** Virtual nanoseconds since power-on. */
  now(): number;
  /** A timer that calls `fire` when virtual time reaches its deadline. It starts disarmed. */
  timer(name: string, fire: () => void): Timer;
}

export interface Timer {
  /** Absolute deadline in virtual ns, or `null` while disarmed. */
  readonly deadline: number | null;
  /** Arms (or re-arms) for an absolute virtual time. A deadline in the past fires at the next opportunity. */
  arm(deadline: number): void;
  disarm(): void;
}

/** What is loud (DESIGN: the unknown is loud): one line per distinct message, with a counter. */
export interface Log {
  /** A guest did something this machine does not know, e.g. `pit: unsupported mode 7`. */
  unknown(message: string): void;
}
