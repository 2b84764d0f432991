/** Has a recorded run again: supplies its input at the recorded places, and looks whether all else is as it was. */
import type { Input, InputReplay, Place } from "../machine/outside-input.ts";
import { ConsoleSum } from "./console-check.ts";
import { type ConsoleCheck, Ending, type Event } from "./format.ts";
import type { RecordingFile } from "./recording-file.ts";

const count = (value: number): string => value.toLocaleString("en-US");

const describe: Readonly<Record<Event["kind"], string>> = {
  console: "typed bytes",
  break: "a break",
  frame: "a network frame",
  time: "a movement of time",
  mark: "a mark",
  end: "the end",
};

export class Replayer implements InputReplay {
  readonly maxInstructions: number;
  readonly #file: RecordingFile;
  readonly #console = new ConsoleSum();
  #record: { readonly place: Place; readonly event: Event } | null;
  #divergence: string | null = null;

  /** @param file at its first record */
  constructor(file: RecordingFile) {
    this.#file = file;
    const { end } = file;
    this.maxInstructions = end?.ending === Ending.INSTRUCTION_LIMIT ? end.at : Number.POSITIVE_INFINITY;
    this.#record = file.read();
  }

  /** How the run differs from the recorded one, in a sentence; null if it does not, so far. */
  get divergence(): string | null {
    return this.#divergence;
  }

  get next(): Place {
    return this.#record?.place ?? this.#file.endPlace;
  }

  get over(): boolean {
    return this.#divergence !== null || this.#record === null || this.#record.event.kind === "end";
  }

  take(): Input | null {
    const { place, event } = this.#record!;
    if (event.kind === "mark") this.#compare(place, event.console);
    // What was read before goes away with the next.
    const input = event.kind === "mark" || event.kind === "end" ? null : copied(event);
    this.#record = this.#file.read();
    return input;
  }

  missed({ instructions, time }: Place): void {
    const { place, event } = this.#record ?? { place: this.next, event: null };
    const what = event === null ? "the last record" : describe[event.kind];
    const of = (at: Place) => `${count(at.instructions)} instructions and ${count(at.time)} ns`;
    this.#differs(`expected ${what} after ${of(place)}, found the machine at ${of({ instructions, time })}`);
  }

  #differs(text: string): void {
    this.#divergence ??= text;
  }

  #compare({ instructions }: Place, { bytes, crc }: ConsoleCheck): void {
    const { check } = this.#console;
    if (check.bytes === bytes && check.crc === crc) return;
    const found =
      check.bytes === bytes
        ? `${count(bytes)} others`
        : check.bytes < bytes
          ? `only ${count(check.bytes)}`
          : count(check.bytes);
    this.#differs(
      `expected ${count(bytes)} bytes on the console after ${count(instructions)} instructions, found ${found}`,
    );
  }

  /** The guest has written to the console. @returns true where the recorded run was stopped at this byte */
  consoleByte(byte: number): boolean {
    this.#console.add(byte);
    const { end } = this.#file;
    return end?.ending === Ending.CONSOLE && this.#console.bytes === end.at;
  }

  /** The run is over. @returns whether it did all that the recorded run did */
  finish({ instructions, time }: Place): boolean {
    if (this.#divergence !== null) return false;
    const { end } = this.#file;
    const place = this.#file.endPlace;
    if (instructions !== place.instructions || time !== place.time) {
      this.#differs(
        `expected the end after ${count(place.instructions)} instructions and ${count(place.time)} ns, found it after ${count(instructions)} and ${count(time)} ns`,
      );
    } else if (end !== null) this.#compare(place, end.console);
    return this.#divergence === null;
  }
}

function copied(input: Input): Input {
  if (input.kind === "console") return { ...input, bytes: input.bytes.slice() };
  if (input.kind === "frame") return { ...input, frame: input.frame.slice() };
  return input;
}
