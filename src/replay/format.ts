/**
 * What a recording looks like: a line of text with the version, a header, and records, each with its length before it.
 * A recording that was cut off is good up to its last complete record.
 *
 *     recording  "ukl-emu recording 1\n", length of the header, header (JSON, UTF-8), record...
 *     record     length, kind, instructions since the last record, nanoseconds since the last record, and by kind:
 *       MARK       console
 *       END        how it ended, at which count, console
 *       CONSOLE    the bytes
 *       BREAK
 *       FRAME      device, flags, [start and offset of the checksum], [size of segments], the bytes
 *       TIME       nanoseconds by which time moves
 *     console    bytes that the guest wrote to the console since power-on, their CRC-32
 *
 * Bytes stand for themselves, kinds and flags are a byte each, and all other numbers are of variable length (`varint.ts`).
 */
import type { FrameWork } from "../devices/virtio/network-link.ts";
import type { Input, Place } from "../machine/outside-input.ts";
import { type ByteReader, type ByteWriter, RecordingError } from "./varint.ts";

export const SIGNATURE = "ukl-emu recording ";
export const VERSION = 1;

/** More than any record: a frame of the largest size, or a piece of what was typed. */
export const LARGEST_RECORD = 2 ** 17;
/** More than any header: it has the options of the command line in it. */
export const LARGEST_HEADER = 2 ** 24;
/** What is typed at once goes into records of so many bytes. */
export const CONSOLE_PIECE = 2 ** 16;

/** What the guest has written to the console. */
export interface ConsoleCheck {
  readonly bytes: number;
  readonly crc: number;
}

/** How a run ended, as far as it decides where. */
export const Ending = {
  /** By the guest, or from outside between two slices. */
  BETWEEN_SLICES: 0,
  /** Because of a byte that the guest wrote to the console, in the middle of a slice. */
  CONSOLE: 1,
  /** At the limit of instructions. */
  INSTRUCTION_LIMIT: 2,
} as const;
export type Ending = (typeof Ending)[keyof typeof Ending];

/** What a record says happened at its place. */
export type Event =
  | Input
  /** Nothing: the run was here. */
  | { readonly kind: "mark"; readonly console: ConsoleCheck }
  /** @property at the limit of instructions, or the byte of the console, else 0 */
  | {
      readonly kind: "end";
      readonly ending: Ending;
      readonly at: number;
      readonly console: ConsoleCheck;
    };

const KIND = { MARK: 0, END: 1, CONSOLE: 2, BREAK: 3, FRAME: 4, TIME: 5 } as const;
const FRAME = { CHECKSUM: 0x01, TCP4: 0x02, TCP6: 0x04, ECN: 0x08 } as const;

function writeWork(out: ByteWriter, { checksum, segmentation }: FrameWork): void {
  let flags = checksum === null ? 0 : FRAME.CHECKSUM;
  if (segmentation !== null) {
    flags |= segmentation.protocol === "tcp4" ? FRAME.TCP4 : FRAME.TCP6;
    if (segmentation.ecn) flags |= FRAME.ECN;
  }
  out.byte(flags);
  if (checksum !== null) {
    out.varint(checksum.start);
    out.varint(checksum.offset);
  }
  if (segmentation !== null) out.varint(segmentation.size);
}

function readWork(input: ByteReader): FrameWork {
  const flags = input.byte();
  const isSegmented = (flags & (FRAME.TCP4 | FRAME.TCP6)) !== 0;
  if (
    flags > 0x0f ||
    (isSegmented && !(flags & FRAME.CHECKSUM)) ||
    (flags & FRAME.TCP4 && flags & FRAME.TCP6)
  ) {
    throw new RecordingError(`a frame with flags ${flags}`);
  }
  const checksum =
    flags & FRAME.CHECKSUM ? { start: input.varint(0xffff), offset: input.varint(0xffff) } : null;
  if (!isSegmented) return { checksum, segmentation: null };
  const protocol = flags & FRAME.TCP4 ? "tcp4" : "tcp6";
  return { checksum, segmentation: { protocol, size: input.varint(0xffff), ecn: (flags & FRAME.ECN) !== 0 } };
}

function writeConsole(out: ByteWriter, { bytes, crc }: ConsoleCheck): void {
  out.varint(bytes);
  out.varint(crc);
}

function readConsole(input: ByteReader): ConsoleCheck {
  return { bytes: input.varint(), crc: input.varint(0xffff_ffff) };
}

/** A record without its length. @param last the place of the record before */
export function writeRecord(out: ByteWriter, last: Place, place: Place, event: Event): void {
  const header = (kind: number): void => {
    out.byte(kind);
    out.varint(place.instructions - last.instructions);
    out.varint(place.time - last.time);
  };
  switch (event.kind) {
    case "mark":
      header(KIND.MARK);
      writeConsole(out, event.console);
      break;
    case "end":
      header(KIND.END);
      out.byte(event.ending);
      out.varint(event.at);
      writeConsole(out, event.console);
      break;
    case "console":
      header(KIND.CONSOLE);
      out.bytes(event.bytes);
      break;
    case "break":
      header(KIND.BREAK);
      break;
    case "frame":
      header(KIND.FRAME);
      out.varint(event.device);
      writeWork(out, event.work);
      out.bytes(event.frame);
      break;
    case "time":
      header(KIND.TIME);
      out.varint(event.to - place.time);
      break;
  }
}

const isEnding = (value: number): value is Ending => value <= Ending.INSTRUCTION_LIMIT;

function readEvent(input: ByteReader, kind: number, place: Place): Event {
  switch (kind) {
    case KIND.MARK:
      return { kind: "mark", console: readConsole(input) };
    case KIND.END: {
      const ending = input.byte();
      if (!isEnding(ending)) throw new RecordingError(`an end of kind ${ending}`);
      return { kind: "end", ending, at: input.varint(), console: readConsole(input) };
    }
    case KIND.CONSOLE:
      return { kind: "console", bytes: input.rest() };
    case KIND.BREAK:
      return { kind: "break" };
    case KIND.FRAME: {
      const device = input.varint(0xff);
      const work = readWork(input);
      return { kind: "frame", device, work, frame: input.rest() };
    }
    case KIND.TIME:
      return { kind: "time", to: sum(place.time, input.varint()) };
    default:
      throw new RecordingError(`a record of kind ${kind}`);
  }
}

function sum(a: number, b: number): number {
  if (!Number.isSafeInteger(a + b)) throw new RecordingError("a number that is too large");
  return a + b;
}

/**
 * The opposite of `writeRecord`. Bytes of the event belong to the input.
 * @throws RecordingError
 */
export function readRecord(input: ByteReader, last: Place): { readonly place: Place; readonly event: Event } {
  const kind = input.byte();
  const instructions = sum(last.instructions, input.varint());
  const place = { instructions, time: sum(last.time, input.varint()) };
  const event = readEvent(input, kind, place);
  input.end();
  return { place, event };
}
