/**
 * Standard input. From a terminal it goes through the escape keys to the guest's console or to the monitor;
 * from a pipe or a file its bytes go to the guest as they are.
 */
import { fstatSync, readFileSync } from "node:fs";
import type { ReadStream } from "node:tty";
import { type EscapeCommand, EscapeKeys } from "./escape-keys.ts";

const STDIN = 0;

export interface KeyboardTarget {
  /** Bytes for the guest. */
  type(bytes: Uint8Array): void;
  command(command: EscapeCommand): void;
  /** Standard input is over. */
  end(): void;
}

export class Terminal {
  readonly #stdin: ReadStream;
  readonly #target: KeyboardTarget;
  readonly #keys = new EscapeKeys();
  /** More input may come. */
  open = true;

  constructor(stdin: ReadStream, target: KeyboardTarget) {
    this.#stdin = stdin;
    this.#target = target;
  }

  get interactive(): boolean {
    return this.#stdin.isTTY === true;
  }

  start(): void {
    if (this.interactive) {
      this.#stdin.setRawMode(true);
      // Whatever way the process ends, the terminal is left as it was found.
      process.on("exit", this.#restore);
    } else if (fstatSync(STDIN).isFile()) {
      // Read before the guest starts: a run with a file for input repeats exactly.
      this.#target.type(readFileSync(STDIN));
      this.#onEnd();
      return;
    }
    this.#stdin.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onEnd);
  }

  stop(): void {
    this.#stdin.off("data", this.#onData).off("end", this.#onEnd).off("error", this.#onEnd);
    // A later EIO, when the terminal goes away, is of no interest.
    this.#stdin.on("error", () => {});
    this.#stdin.pause();
    if (this.interactive) {
      this.#restore();
      process.off("exit", this.#restore);
    }
  }

  readonly #restore = (): void => {
    if (!this.#stdin.destroyed) this.#stdin.setRawMode(false);
  };

  readonly #onData = (chunk: Buffer): void => {
    if (!this.interactive) this.#target.type(chunk);
    else {
      for (const part of this.#keys.parse(chunk)) {
        if (typeof part === "string") this.#target.command(part);
        else this.#target.type(part);
      }
    }
  };

  readonly #onEnd = (): void => {
    this.open = false;
    this.#target.end();
  };
}
