/** Where bytes and lines go: streams that may be slow or closed, and files. */
import { closeSync, writeSync } from "node:fs";
import { systemErrorText, UserError } from "./errors.ts";

/** Takes bytes at once, and passes them on when `flush` is called. */
export interface Output {
  byte(byte: number): void;
  /** @returns a promise while the reader is behind: the guest waits for it */
  flush(): Promise<void> | undefined;
  /** Passes everything on and waits until it has arrived. */
  end(): Promise<void>;
}

const CHUNK = 16384;

/** Bytes on their way. */
class Buffered {
  #bytes = new Uint8Array(CHUNK);
  #length = 0;

  add(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(this.#length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }

  /** A copy: the receiver may keep it. */
  take(): Uint8Array | null {
    if (this.#length === 0) return null;
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }
}

/** Standard output or standard error. */
export class StreamOutput implements Output {
  readonly #stream: NodeJS.WritableStream;
  readonly #buffer = new Buffered();
  #closed = false;
  #drained: Promise<void> | undefined;

  /** @param onClosed it cannot be written to any more: the reader has gone (EPIPE), the disk is full, ... */
  constructor(stream: NodeJS.WritableStream, onClosed: (error: Error) => void) {
    this.#stream = stream;
    stream.on("error", (error) => {
      if (this.#closed) return;
      this.#closed = true;
      onClosed(error);
    });
  }

  byte(byte: number): void {
    if (!this.#closed) this.#buffer.add(byte);
  }

  flush(): Promise<void> | undefined {
    const bytes = this.#buffer.take();
    if (this.#closed) return undefined;
    if (bytes !== null && !this.#stream.write(bytes)) {
      this.#drained = new Promise((resolve) => {
        const done = () => {
          this.#stream.off("drain", done).off("close", done).off("error", done);
          this.#drained = undefined;
          resolve();
        };
        this.#stream.on("drain", done).on("close", done).on("error", done);
      });
    }
    return this.#drained;
  }

  async end(): Promise<void> {
    await this.flush();
    if (!this.#closed) await new Promise<void>((resolve) => this.#stream.write("", () => resolve()));
  }
}

/** A file cannot be written to. */
export function writeError(name: string, error: unknown): UserError {
  return new UserError(`${name}: cannot be written to: ${systemErrorText(error)}`);
}

/** Writes all of it, waiting where a non-blocking descriptor makes it wait. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** Its methods throw `UserError` when the file cannot be written to. */
export class FileOutput implements Output {
  readonly #name: string;
  readonly #fd: number;
  readonly #buffer = new Buffered();

  constructor(name: string, fd: number) {
    this.#name = name;
    this.#fd = fd;
  }

  byte(byte: number): void {
    this.#buffer.add(byte);
  }

  flush(): undefined {
    const bytes = this.#buffer.take();
    if (bytes === null) return;
    try {
      writeAll(this.#fd, bytes);
    } catch (error) {
      throw writeError(this.#name, error);
    }
  }

  async end(): Promise<void> {
    this.flush();
    closeSync(this.#fd);
  }
}

/** A file that others write to in pieces of their own. */
export class FileSink {
  readonly #fd: number;
  readonly #onClosed: (error: unknown) => void;
  #closed = false;

  /** @param onClosed it cannot be written to any more; what comes later is dropped */
  constructor(fd: number, onClosed: (error: unknown) => void) {
    this.#fd = fd;
    this.#onClosed = onClosed;
  }

  /** Writes at once. */
  readonly write = (bytes: Uint8Array): void => {
    if (this.#closed) return;
    try {
      writeAll(this.#fd, bytes);
    } catch (error) {
      this.#closed = true;
      this.#onClosed(error);
    }
  };

  close(): void {
    closeSync(this.#fd);
  }
}

/** For `--serial none`. */
export const nullOutput: Output = {
  byte: () => {},
  flush: () => undefined,
  end: () => Promise.resolve(),
};

/** Lines of text to a descriptor, in large pieces; for traces. */
export class LineWriter {
  readonly #fd: number;
  readonly #lineEnd: string;
  readonly #onClosed: (error: unknown) => void;
  #text: string[] = [];
  #length = 0;
  #closed = false;

  /** @param onClosed it cannot be written to any more; lines are dropped from then on */
  constructor(fd: number, lineEnd: string, onClosed: (error: unknown) => void) {
    this.#fd = fd;
    this.#lineEnd = lineEnd;
    this.#onClosed = onClosed;
  }

  readonly line = (text: string): void => {
    if (this.#closed) return;
    this.#text.push(text);
    this.#length += text.length;
    if (this.#length >= CHUNK) this.flush();
  };

  flush(): void {
    if (this.#text.length === 0 || this.#closed) return;
    const bytes = Buffer.from(this.#text.join(this.#lineEnd) + this.#lineEnd);
    this.#text = [];
    this.#length = 0;
    try {
      writeAll(this.#fd, bytes);
    } catch (error) {
      this.#closed = true;
      this.#onClosed(error);
    }
  }
}
