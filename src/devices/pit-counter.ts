/**
 * One counter of an 8254, as a function of its CLK ticks. (Intel 8254 data sheet, "Mode Definitions".)
 *
 * Nothing runs: the counting element and OUT are computed from the tick at which counting began. Ticks are
 * absolute numbers of CLK pulses since power-on.
 */

/** Registers of a counter, in a form that can be saved. Ticks and counts that do not exist are -1. */
export interface CounterState {
  /** 0-5. */
  mode: number;
  bcd: boolean;
  /** RW1:RW0 of the control word: 1 least significant byte, 2 most significant, 3 both in turn. */
  access: number;
  gate: boolean;
  /** The count last loaded into the counting element, 1 to 65536 (10000 in BCD). */
  initial: number;
  /** A count written while modes 2 and 3 were counting; loaded when `reloadTick` comes. */
  reload: number;
  reloadTick: number;
  /** Tick of the CLK pulse that loaded (or that restarted) the counting element; -1 while it does not count. */
  startTick: number;
  /** CLK pulses counted before GATE went low, in modes 0 and 4; -1 while GATE lets it count. */
  heldAt: number;
  /** A count is in the count register, but a trigger (modes 1 and 5) or GATE has to load it. */
  armed: boolean;
  /** Least significant byte of a count that is half written, else -1. */
  writeLow: number;
  /** Whether the next read in access mode 3 gives the most significant byte. */
  readHigh: boolean;
  latchedCount: number;
  latchedStatus: number;
}

export function powerOnCounter(gate: boolean): CounterState {
  return {
    mode: 0,
    bcd: false,
    access: 3,
    gate,
    initial: 0x1_0000,
    reload: -1,
    reloadTick: -1,
    startTick: -1,
    heldAt: -1,
    armed: false,
    writeLow: -1,
    readHigh: false,
    latchedCount: -1,
    latchedStatus: -1,
  };
}

function toBcd(value: number): number {
  let digits = 0;
  for (let shift = 0, rest = value; shift < 16; shift += 4, rest = Math.floor(rest / 10)) {
    digits |= (rest % 10) << shift;
  }
  return digits;
}

function fromBcd(digits: number): number {
  let value = 0;
  for (let shift = 12; shift >= 0; shift -= 4) value = value * 10 + ((digits >> shift) & 0xf);
  return value;
}

/** Modulus of the counting element. */
function modulus(c: CounterState): number {
  return c.bcd ? 10_000 : 0x1_0000;
}

function counting(c: CounterState): boolean {
  return c.startTick >= 0 || c.heldAt >= 0;
}

/** CLK pulses counted since the load; negative before the pulse that loads. */
function elapsed(c: CounterState, tick: number): number {
  return c.heldAt >= 0 ? c.heldAt : tick - c.startTick;
}

/** Length of the half period of mode 3 that starts with OUT high. */
function highHalf(initial: number): number {
  return Math.ceil(initial / 2);
}

/** Loads a count that was written during the previous period, if that period is over. */
function settle(c: CounterState, tick: number): void {
  if (c.reload >= 0 && tick >= c.reloadTick) {
    c.initial = c.reload;
    c.startTick = c.reloadTick;
    c.reload = -1;
    c.reloadTick = -1;
  }
}

/** Writes the control word: the counter waits for a count; OUT takes its initial state. */
export function writeControl(c: CounterState, mode: number, access: number, bcd: boolean): void {
  c.mode = mode;
  c.access = access;
  c.bcd = bcd;
  c.startTick = -1;
  c.heldAt = -1;
  c.reload = -1;
  c.reloadTick = -1;
  c.armed = false;
  c.writeLow = -1;
  c.readHigh = false;
  c.latchedCount = -1;
  c.latchedStatus = -1;
}

/** Takes one byte of a count, as the access mode says. */
export function writeCount(c: CounterState, byte: number, tick: number): void {
  if (c.access === 3 && c.writeLow < 0) {
    c.writeLow = byte;
    // Mode 0: "Writing the first byte disables counting. OUT is set low immediately."
    if (c.mode === 0) {
      c.startTick = -1;
      c.heldAt = -1;
    }
    return;
  }
  const raw = c.access === 3 ? (byte << 8) | c.writeLow : c.access === 2 ? byte << 8 : byte;
  c.writeLow = -1;
  const count = (c.bcd ? fromBcd(raw) : raw) || modulus(c);
  load(c, count, tick);
}

function load(c: CounterState, count: number, tick: number): void {
  settle(c, tick);
  switch (c.mode) {
    case 0:
    case 4:
      // Loaded on the next CLK pulse; GATE only holds the counting.
      c.initial = count;
      c.startTick = c.gate ? tick + 1 : -1;
      c.heldAt = c.gate ? -1 : 0;
      return;
    case 1:
    case 5:
      // "The Counter will be loaded on the next trigger"; a one-shot in progress is not affected.
      c.reload = -1;
      c.armed = true;
      if (counting(c)) c.reload = count;
      else c.initial = count;
      return;
    default:
      if (!c.gate) {
        c.initial = count;
        c.armed = true;
      } else if (c.startTick < 0) {
        c.initial = count;
        c.startTick = tick + 1;
      } else {
        // "does not affect the current counting sequence": loaded at the end of the (half) cycle.
        c.reload = count;
        c.reloadTick = nextBoundary(c, tick);
      }
  }
}

/**
 * First tick after `tick` at which modes 2 and 3 load the count register: the end of the period. (Mode 3
 * hardware may load at half the period already; no program can rely on which half it writes in.)
 */
function nextBoundary(c: CounterState, tick: number): number {
  const cycles = Math.floor(Math.max(0, tick - c.startTick) / c.initial);
  return c.startTick + (cycles + 1) * c.initial;
}

/** Sets the GATE input. */
export function setGate(c: CounterState, level: boolean, tick: number): void {
  if (level === c.gate) return;
  settle(c, tick);
  c.gate = level;
  switch (c.mode) {
    case 0:
    case 4:
      if (!level && c.startTick >= 0) {
        c.heldAt = Math.max(0, tick - c.startTick);
        c.startTick = -1;
      } else if (level && c.heldAt >= 0) {
        c.startTick = tick - c.heldAt;
        c.heldAt = -1;
      }
      return;
    case 1:
    case 5:
      if (level && c.armed) {
        if (c.reload >= 0) c.initial = c.reload;
        c.reload = -1;
        c.startTick = tick + 1;
      }
      return;
    default:
      // GATE low stops counting and sets OUT high; its rising edge reloads the counter.
      if (!level) {
        if (c.startTick >= 0) c.armed = true;
        if (c.reload >= 0) c.initial = c.reload;
        c.reload = -1;
        c.reloadTick = -1;
        c.startTick = -1;
      } else if (c.armed) {
        c.startTick = tick + 1;
        c.armed = false;
      }
  }
}

/** Level of OUT. */
export function out(c: CounterState, tick: number): boolean {
  settle(c, tick);
  if (!counting(c)) return c.mode !== 0;
  const passed = elapsed(c, tick);
  switch (c.mode) {
    case 0:
      return passed >= c.initial;
    case 1:
      return passed < 0 || passed >= c.initial;
    case 2:
      return passed < 0 || passed % c.initial !== c.initial - 1;
    case 3:
      return passed < 0 || passed % c.initial < highHalf(c.initial);
    default:
      return passed !== c.initial;
  }
}

/** The first tick after `tick` at which OUT rises; `Infinity` if it does not. */
export function nextRise(c: CounterState, tick: number): number {
  settle(c, tick);
  if (c.startTick < 0) return Number.POSITIVE_INFINITY;
  const passed = tick - c.startTick;
  if (c.mode === 2 || c.mode === 3) {
    return c.startTick + (Math.floor(Math.max(0, passed) / c.initial) + 1) * c.initial;
  }
  // Modes 4 and 5 strobe low for the pulse of the terminal count; modes 0 and 1 rise at it.
  const rise = c.startTick + c.initial + (c.mode >= 4 ? 1 : 0);
  return rise > tick ? rise : Number.POSITIVE_INFINITY;
}

/** The counting element as a program reads it: 16 bits, BCD digits in BCD mode. */
export function currentCount(c: CounterState, tick: number): number {
  settle(c, tick);
  let value: number;
  const passed = counting(c) ? elapsed(c, tick) : -1;
  if (passed < 0) value = c.initial;
  else if (c.mode === 2) value = c.initial - (passed % c.initial);
  else if (c.mode === 3) {
    // Counts down by twos, twice per period; an odd count is loaded less one.
    const within = passed % c.initial;
    const half = highHalf(c.initial);
    value = (c.initial & ~1) - 2 * (within < half ? within : within - half);
  } else {
    // After the terminal count these modes wrap around and go on.
    value = c.initial - passed;
  }
  const size = modulus(c);
  const wrapped = ((value % size) + size) % size;
  return c.bcd ? toBcd(wrapped) : wrapped;
}

/** The status byte of the read-back command. */
export function status(c: CounterState, tick: number): number {
  const high = out(c, tick);
  const nullCount = !counting(c) || c.reload >= 0 || elapsed(c, tick) < 0;
  return (high ? 0x80 : 0) | (nullCount ? 0x40 : 0) | (c.access << 4) | (c.mode << 1) | (c.bcd ? 1 : 0);
}

/** One byte as a read of the counter's port gives it: latched status, latched count, or the live count. */
export function readCounter(c: CounterState, tick: number): number {
  if (c.latchedStatus >= 0) {
    const byte = c.latchedStatus;
    c.latchedStatus = -1;
    return byte;
  }
  const count = c.latchedCount >= 0 ? c.latchedCount : currentCount(c, tick);
  const high = c.access === 2 || (c.access === 3 && c.readHigh);
  if (c.access === 3) c.readHigh = !c.readHigh;
  if (c.access !== 3 || high) c.latchedCount = -1;
  return high ? count >> 8 : count & 0xff;
}

/** Counter latch command: ignored while an earlier latch has not been read. */
export function latchCount(c: CounterState, tick: number): void {
  if (c.latchedCount < 0) c.latchedCount = currentCount(c, tick);
}

export function latchStatus(c: CounterState, tick: number): void {
  if (c.latchedStatus < 0) c.latchedStatus = status(c, tick);
}
