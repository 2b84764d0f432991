/** Notes all outside input of a run with its places, as it comes. */
import type { Input, Place } from "../machine/outside-input.ts";
import { ConsoleSum } from "./console-check.ts";
import { CONSOLE_PIECE, Ending, type Event, SIGNATURE, VERSION, writeRecord } from "./format.ts";
import { ByteWriter } from "./varint.ts";

/** Wall time that a recorder which is killed may lose, ms; a larger amount of input goes out earlier. */
const FLUSH_MS = 20;
const FLUSH_BYTES = 2 ** 16;
/** Wall time between two marks, ms. A replay that goes astray without input is found at the next. */
const MARK_MS = 1000;

const START: Place = { instructions: 0, time: 0 };

export class Recorder {
  readonly #write: (bytes: Uint8Array) => void;
  readonly #out = new ByteWriter();
  readonly #record = new ByteWriter();
  readonly #console = new ConsoleSum();
  #last = START;
  /** Bytes on the console when one of them ended the run; 0: none did. */
  #stoppedAt = 0;
  #flushed = performance.now();
  #marked = performance.now();

  /**
   * @param write takes bytes at once; they belong to the recorder again when it returns
   * @param header JSON text: what a replay has to start with
   */
  constructor(write: (bytes: Uint8Array) => void, header: string) {
    this.#write = write;
    this.#out.bytes(Buffer.from(`${SIGNATURE}${VERSION}\n`));
    const bytes = Buffer.from(header);
    this.#out.varint(bytes.length);
    this.#out.bytes(bytes);
    this.#flush();
  }

  /** For `OutsideInput.onInput`. */
  readonly input = (place: Place, input: Input): void => {
    if (input.kind !== "console") this.#add(place, input);
    else {
      for (let at = 0; at < input.bytes.length; at += CONSOLE_PIECE) {
        this.#add(place, { kind: "console", bytes: input.bytes.subarray(at, at + CONSOLE_PIECE) });
      }
    }
    if (this.#out.length >= FLUSH_BYTES) this.#flush();
  };

  /** The guest has written to the console. */
  consoleByte(byte: number): void {
    this.#console.add(byte);
  }

  /** Between two slices, when the host's event loop has its turn. */
  yield(place: Place): void {
    const now = performance.now();
    if (now - this.#marked >= MARK_MS) {
      this.#marked = now;
      this.#add(place, { kind: "mark", console: this.#console.check });
    }
    if (now - this.#flushed >= FLUSH_MS) this.#flush();
  }

  /** The byte that was just written to the console ends the run. */
  stoppedByConsole(): void {
    this.#stoppedAt = this.#console.bytes;
  }

  /** The run is over. @param limit of instructions, if it ended there */
  end(place: Place, ending: Ending, limit = 0): void {
    const stopped = this.#stoppedAt > 0;
    const how = stopped ? { ending: Ending.CONSOLE, at: this.#stoppedAt } : { ending, at: limit };
    this.#add(place, { kind: "end", ...how, console: this.#console.check });
    this.#flush();
  }

  /** The run is over, at a place that nothing decides: the recording ends with its last record. */
  cutOff(): void {
    this.#flush();
  }

  #add(place: Place, event: Event): void {
    const { instructions, time } = place;
    writeRecord(this.#record, this.#last, { instructions, time }, event);
    this.#last = { instructions, time };
    const bytes = this.#record.take();
    this.#out.varint(bytes.length);
    this.#out.bytes(bytes);
  }

  #flush(): void {
    this.#flushed = performance.now();
    if (this.#out.length > 0) this.#write(this.#out.take());
  }
}
