/** A recording on the host, read a piece at a time: recordings of networks are long. */
import { readSync } from "node:fs";
import type { Place } from "../machine/outside-input.ts";
import { type Event, LARGEST_HEADER, LARGEST_RECORD, readRecord, SIGNATURE, VERSION } from "./format.ts";
import { ByteReader, RecordingError } from "./varint.ts";

export interface RecordingRecord {
  readonly place: Place;
  readonly event: Event;
}

type End = Event & { readonly kind: "end" };

const START: Place = { instructions: 0, time: 0 };
const CHUNK = 2 ** 18;

export class RecordingFile {
  /** JSON text. */
  readonly header: string;
  /** The last record if it says how the run ended; null when the recorder was cut off. */
  readonly end: End | null;
  /** Where the recording ends: behind its last complete record. */
  readonly endPlace: Place;

  readonly #fd: number;
  #buffer = new Uint8Array(CHUNK);
  #start = 0;
  #length = 0;
  /** Of what follows the buffer. */
  #position = 0;
  #last = START;

  /**
   * Looks at all of it: the file is good up to its last complete record.
   * @param fd of a regular file; it stays the caller's
   * @throws RecordingError what was found in place of a recording; or an error of the file system
   */
  constructor(fd: number) {
    this.#fd = fd;
    this.header = this.#readHeader();
    const first = this.#position - this.#length;
    let end: End | null = null;
    let endPlace = START;
    for (let record = this.read(); record !== null; record = this.read()) {
      const { place, event } = record;
      if (end !== null) throw new RecordingError("records behind the end");
      if (event.kind === "end") end = event;
      endPlace = event.kind === "time" ? { ...place, time: event.to } : place;
    }
    this.end = end;
    this.endPlace = endPlace;
    this.#position = first;
    this.#start = 0;
    this.#length = 0;
    this.#last = START;
  }

  /** Makes `count` bytes available, unless the file ends before. */
  #fill(count: number): boolean {
    if (this.#length >= count) return true;
    if (this.#start + Math.max(count, CHUNK / 2) > this.#buffer.length) {
      const buffer = count > this.#buffer.length ? new Uint8Array(count + CHUNK) : this.#buffer;
      buffer.set(this.#buffer.subarray(this.#start, this.#start + this.#length));
      this.#buffer = buffer;
      this.#start = 0;
    }
    while (this.#length < count) {
      const at = this.#start + this.#length;
      const read = readSync(this.#fd, this.#buffer, at, this.#buffer.length - at, this.#position);
      if (read === 0) return false;
      this.#position += read;
      this.#length += read;
    }
    return true;
  }

  /** Takes bytes out of the buffer. */
  #take(count: number): Uint8Array {
    const bytes = this.#buffer.subarray(this.#start, this.#start + count);
    this.#start += count;
    this.#length -= count;
    return bytes;
  }

  /** A length before what it is of. Null: the file ends. */
  #readLength(most: number): number | null {
    let value = 0;
    for (let scale = 1, i = 0; ; scale *= 0x80, i++) {
      if (!this.#fill(i + 1)) return null;
      const byte = this.#buffer[this.#start + i]!;
      value += (byte & 0x7f) * scale;
      if (value > most || i > 4) throw new RecordingError(`a part of ${value} bytes`);
      if (byte < 0x80) {
        this.#take(i + 1);
        return value;
      }
    }
  }

  #readHeader(): string {
    const line = `${SIGNATURE}${VERSION}\n`;
    this.#fill(line.length);
    const found = Buffer.from(this.#take(Math.min(line.length, this.#length))).toString("latin1");
    if (!found.startsWith(SIGNATURE)) throw new RecordingError("another file");
    if (found !== line)
      throw new RecordingError(`version ${found.slice(SIGNATURE.length).trim()} of the format`);
    const length = this.#readLength(LARGEST_HEADER);
    if (length === null || !this.#fill(length)) throw new RecordingError("an end in the header");
    return Buffer.from(this.#take(length)).toString();
  }

  /**
   * The next record, whose bytes are valid until the next call. Null: there is no complete one.
   * @throws RecordingError
   */
  read(): RecordingRecord | null {
    const length = this.#readLength(LARGEST_RECORD);
    if (length === null || !this.#fill(length)) return null;
    const record = readRecord(new ByteReader(this.#take(length)), this.#last);
    this.#last = record.place;
    return record;
  }
}
