/**
 * Runs conformance cases on the host's own processor: builds test/native with gcc, starts the runner and
 * streams cases through it.
 */
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { ConformanceCase, Executor, Outcome } from "./case.ts";
import { decodeOutcome, encodeCases, encodeHello, HELLO_ANSWER_BYTES, outcomeSize } from "./wire.ts";

const SOURCE = fileURLToPath(new URL("../native/", import.meta.url));
const FILES = ["entry.S", "runner.c"];
const HEADERS = ["runner.h", "system.h"];
const GCC_FLAGS =
  "-O2 -Wall -Wextra -Werror -mfsgsbase -static-pie -fPIE -nostdlib -ffreestanding -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables".split(
    " ",
  );

/** Longest silence of the runner with cases outstanding before it is taken for hung. */
const SILENCE_MS = 20_000;

/** The host cannot run cases natively; the message is one line that says why. */
export class NativeUnavailable extends Error {}

/** Compiles the runner into the temporary directory, once per content of its sources; returns its path. */
function buildRunner(): string {
  const hash = createHash("sha256").update(GCC_FLAGS.join(" "));
  for (const file of [...FILES, ...HEADERS]) hash.update(readFileSync(join(SOURCE, file)));
  const directory = join(tmpdir(), "ukl-emu-conformance");
  const runner = join(directory, `runner-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(runner)) return runner;
  mkdirSync(directory, { recursive: true });
  const partial = `${runner}.${process.pid}`;
  try {
    execFileSync("gcc", [...GCC_FLAGS, ...FILES, "-o", partial], {
      cwd: SOURCE,
      stdio: ["ignore", "ignore", "pipe"],
    });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer };
    if (code === "ENOENT") throw new NativeUnavailable("no native executor: gcc is not installed");
    throw new Error(`gcc cannot build the native runner:\n${stderr?.toString() ?? error}`);
  }
  renameSync(partial, runner);
  return runner;
}

interface Batch {
  readonly outcomes: Outcome[];
  readonly count: number;
  readonly resolve: (outcomes: Outcome[]) => void;
  readonly reject: (error: Error) => void;
}

export class NativeExecutor implements Executor {
  readonly name = "host processor";
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #batches: Batch[] = [];
  #buffer = new Uint8Array(1 << 20);
  #start = 0;
  #end = 0;
  #stderr = "";
  #failure: Error | null = null;
  #greeting: { resolve: () => void; reject: (error: Error) => void } | null = null;
  #watchdog: NodeJS.Timeout | null = null;

  private constructor(runner: string) {
    this.#process = spawn(runner, [], { stdio: ["pipe", "pipe", "pipe"] });
    this.#process.stdout.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#process.stderr.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    this.#process.stdin.on("error", () => {}); // reported by the exit that causes it
    this.#process.on("error", (error) => this.#fail(error));
    this.#process.on("close", (code, signal) =>
      this.#fail(
        new Error(
          this.#stderr.trim() || `the native runner ended unexpectedly (${signal ?? `exit code ${code}`})`,
        ),
      ),
    );
  }

  /** Starts a runner. Throws NativeUnavailable where the host is not a Linux x86-64 machine that permits it. */
  static async open(): Promise<NativeExecutor> {
    if (process.platform !== "linux" || process.arch !== "x64")
      throw new NativeUnavailable(
        `no native executor: the host is ${process.platform}-${process.arch}, not linux-x64`,
      );
    const executor = new NativeExecutor(buildRunner());
    try {
      await new Promise<void>((resolve, reject) => {
        executor.#greeting = { resolve, reject };
        executor.#process.stdin.write(encodeHello());
      });
    } catch (error) {
      throw new NativeUnavailable(`no native executor: ${(error as Error).message}`);
    }
    return executor;
  }

  /** Batches may overlap: the next one is best sent before the last one's outcomes are there. */
  run(cases: readonly ConformanceCase[]): Promise<Outcome[]> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (cases.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      this.#batches.push({ outcomes: [], count: cases.length, resolve, reject });
      this.#process.stdin.write(encodeCases(cases));
      this.#watch();
    });
  }

  async close(): Promise<void> {
    if (this.#failure) return;
    const closed = new Promise((resolve) => this.#process.once("close", resolve));
    this.#process.stdin.end();
    await closed;
  }

  #watch(): void {
    if (this.#watchdog) clearTimeout(this.#watchdog);
    this.#watchdog = this.#batches.length
      ? setTimeout(() => {
          this.#fail(new Error("the native runner hangs"));
          this.#process.kill("SIGKILL");
        }, SILENCE_MS)
      : null;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    if (this.#watchdog) clearTimeout(this.#watchdog);
    this.#greeting?.reject(error);
    for (const batch of this.#batches.splice(0)) batch.reject(error);
  }

  #receive(chunk: Buffer): void {
    this.#append(chunk);
    const view = new DataView(this.#buffer.buffer);
    if (this.#greeting) {
      if (this.#end < HELLO_ANSWER_BYTES) return;
      this.#start += HELLO_ANSWER_BYTES;
      this.#greeting.resolve();
      this.#greeting = null;
    }
    for (;;) {
      const size = outcomeSize(view, this.#start, this.#end);
      if (size === 0 || this.#end - this.#start < size) break;
      const batch = this.#batches[0];
      if (!batch) {
        this.#fail(new Error("the native runner sent an outcome nobody asked for"));
        return;
      }
      batch.outcomes.push(decodeOutcome(this.#buffer, view, this.#start));
      this.#start += size;
      if (batch.outcomes.length === batch.count) {
        this.#batches.shift();
        batch.resolve(batch.outcomes);
      }
    }
    this.#watch();
  }

  #append(chunk: Buffer): void {
    if (this.#end + chunk.length > this.#buffer.length) {
      const left = this.#end - this.#start;
      let size = this.#buffer.length;
      while (size < left + chunk.length) size *= 2;
      const buffer = new Uint8Array(size);
      buffer.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = buffer;
      this.#start = 0;
      this.#end = left;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }
}
