/**
 * Saving and restoring a device's registers, written once.
 *
 * A device keeps everything that a snapshot must hold in one plain record of numbers, booleans, number
 * lists, typed arrays and nested records. The record that exists when a state is restored is the pattern
 * that the state must fit.
 */

import type { DeviceState } from "./device.ts";

/** A value that a device record may hold. Number lists may change their length; record lists may not. */
export type Saved =
  | number
  | boolean
  | Uint8Array
  | Uint32Array
  | number[]
  | { [key: string]: Saved }
  | { [key: string]: Saved }[];

function copyOut(value: Saved): DeviceState {
  if (typeof value !== "object") return value;
  if (value instanceof Uint8Array) return value.slice();
  if (value instanceof Uint32Array) return [...value];
  if (Array.isArray(value)) return value.map(copyOut);
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, copyOut(field)]));
}

/** A deep copy of `record` in the form that `Device.save` gives. */
export function saveRecord(record: object): DeviceState {
  return copyOut(record as { [key: string]: Saved });
}

function mismatch(path: string): never {
  throw new Error(`the saved state does not fit this machine at "${path}"`);
}

function isRecord(value: unknown): value is { [key: string]: DeviceState } {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

function copyIn(pattern: Saved, state: DeviceState | undefined, path: string): Saved {
  if (typeof pattern !== "object") return typeof state === typeof pattern ? (state as Saved) : mismatch(path);
  if (pattern instanceof Uint8Array) {
    if (!(state instanceof Uint8Array) || state.length !== pattern.length) mismatch(path);
    pattern.set(state);
    return pattern;
  }
  if (pattern instanceof Uint32Array) {
    if (!Array.isArray(state) || state.length !== pattern.length) mismatch(path);
    pattern.set(state as number[]);
    return pattern;
  }
  if (Array.isArray(pattern)) {
    if (!Array.isArray(state)) mismatch(path);
    if (pattern.length > 0 && typeof pattern[0] === "object") {
      if (state.length !== pattern.length) mismatch(path);
      for (const [i, item] of pattern.entries()) copyIn(item, state[i], `${path}[${i}]`);
      return pattern;
    }
    if (!state.every((item) => typeof item === "number")) mismatch(path);
    return [...(state as number[])];
  }
  if (!isRecord(state)) mismatch(path);
  for (const key of Object.keys(pattern)) {
    pattern[key] = copyIn(pattern[key], state[key], path === "" ? key : `${path}.${key}`);
  }
  return pattern;
}

/** Fills `record` from a saved state. Throws, naming the field, if a type or length does not fit. */
export function restoreRecord(record: object, state: DeviceState): void {
  copyIn(record as { [key: string]: Saved }, state, "");
}
