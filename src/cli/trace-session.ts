/** One run of `ukl-emu trace`: image, symbols, what is written where, and how it ends. */
import { loadBranchScanner } from "../debug/branch-scan.ts";
import { PerfettoTrace } from "../debug/perfetto.ts";
import { ProgramCode } from "../debug/program-code.ts";
import { ApplicationWatch } from "../debug/ring-application.ts";
import type { RingSink } from "../debug/ring-events.ts";
import { RingJson, RingText } from "../debug/ring-lines.ts";
import { RingNames } from "../debug/ring-names.ts";
import { RingSummary } from "../debug/ring-summary.ts";
import { RingTracer } from "../debug/ring-trace.ts";
import { SymbolError, SymbolTable } from "../debug/symbols.ts";
import type { Machine, StopReason } from "../machine/machine.ts";
import { UserError } from "./errors.ts";
import { Expectation } from "./expect.ts";
import { openOutputs, readInput } from "./files.ts";
import { loadMachine, readRunFiles } from "./load-machine.ts";
import { type OpenDrives, withDrives } from "./open-drives.ts";
import { type Cause, outcome } from "./outcome.ts";
import { LineWriter, StreamOutput, writeError } from "./output.ts";
import type { RunOptions } from "./run-options.ts";
import { Terminal } from "./terminal.ts";

export interface TraceOptions extends RunOptions {
  readonly symbols: readonly string[];
  /** File for the transitions. */
  readonly output: string | undefined;
  readonly perfetto: string | undefined;
  readonly summary: boolean;
  readonly json: boolean;
  /** The guest's console goes to standard error as it is. */
  readonly console: boolean;
}

const STDOUT = 1;
/** A console line without an end is told of in pieces. */
const LONGEST_LINE = 200;

/** @returns the process's exit code. @throws UserError for what cannot be used */
export function runTrace(options: TraceOptions): Promise<number> {
  return withDrives(options.drives, (drives) => new TraceSession(options, drives));
}

/** Symbols of the files that were named, and of the image. Null if there are none. */
function loadSymbols(files: readonly string[], image: Uint8Array): SymbolTable | null {
  const tables: SymbolTable[] = [];
  for (const file of files) {
    try {
      tables.push(SymbolTable.load(readInput(file, "a file with symbols")));
    } catch (error) {
      if (error instanceof SymbolError) throw new UserError(`${file}: ${error.message}`);
      throw error;
    }
  }
  try {
    tables.push(SymbolTable.load(image));
  } catch (error) {
    // Most kernels are stripped or compressed.
    if (!(error instanceof SymbolError)) throw error;
  }
  return tables.length > 1 ? SymbolTable.merge(tables) : (tables[0] ?? null);
}

class TraceSession {
  readonly #options: TraceOptions;
  readonly #machine: Machine;
  readonly #names: RingNames;
  readonly #summary: RingSummary;
  readonly #writers: LineWriter[] = [];
  readonly #messages: StreamOutput;
  readonly #expectation: Expectation | null;
  readonly #terminal: Terminal;
  readonly #signals: [NodeJS.Signals, () => void][] = [];
  #tracer: RingTracer | null = null;
  #timer: NodeJS.Timeout | null = null;
  #cause: Cause | null = null;
  #failure: UserError | null = null;
  /** The console's line under way. */
  #line = "";
  readonly #decoder = new TextDecoder();

  constructor(options: TraceOptions, drives: OpenDrives) {
    this.#options = options;
    const files = readRunFiles(options);
    const symbols = loadSymbols(options.symbols, files.image);
    this.#names = new RingNames(symbols, symbols && ProgramCode.find(files.image, symbols));
    this.#messages = new StreamOutput(process.stderr, () => {});
    this.#expectation = options.expect ? new Expectation(options.expect) : null;
    this.#machine = loadMachine(options, files, drives.drives, {
      onConsole: (byte) => this.#consoleByte(byte),
      onUnknown: (message) => this.#say(`unknown: ${message}`),
    });
    drives.onFailure = (message) => this.#say(message);
    this.#summary = new RingSummary(this.#names, this.#machine.timing.name);
    this.#terminal = new Terminal(process.stdin, {
      type: (bytes) => this.#machine.type(bytes),
      command: () => {},
      end: () => {},
    });
  }

  /** Transitions go to standard output, unless a file is named for them or something else is wanted of them. */
  #sinks(): RingSink[] {
    const { output, perfetto, summary, json } = this.#options;
    const paths = [output, perfetto].filter((path) => path !== undefined);
    const descriptors = openOutputs(paths);
    const writer = (fd: number, name: string): LineWriter => {
      const lines = new LineWriter(fd, "\n", (error) => this.#closed(name, error));
      this.#writers.push(lines);
      return lines;
    };
    const sinks: RingSink[] = [this.#summary];
    const withCycles = this.#machine.timing.name !== "none";
    const cpus = this.#machine.states.length;
    if (output !== undefined || (!summary && perfetto === undefined)) {
      const fd = output === undefined ? STDOUT : descriptors.shift()!;
      const { line } = writer(fd, output ?? "standard output");
      sinks.push(
        json ? new RingJson(line, withCycles, cpus) : new RingText(line, this.#names, withCycles, cpus),
      );
    }
    if (perfetto !== undefined) {
      sinks.push(new PerfettoTrace(writer(descriptors.shift()!, perfetto).line, this.#names));
    }
    return sinks;
  }

  #closed(name: string, error: unknown): void {
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") this.#failure ??= writeError(name, error);
    this.#stop("closed");
  }

  #consoleByte(byte: number): void {
    if (this.#options.console) this.#messages.byte(byte);
    else {
      const text = this.#decoder.decode(Uint8Array.of(byte), { stream: true });
      if (text === "\n" || this.#line.length >= LONGEST_LINE) this.#consoleLine();
      if (text !== "\n" && text !== "\r") this.#line += text;
    }
    if (this.#expectation?.byte(byte) === true) this.#stop("expect");
  }

  #consoleLine(): void {
    this.#tracer?.console(this.#line);
    this.#line = "";
  }

  #say(text: string): void {
    for (const byte of Buffer.from(`ukl-emu: ${text}\n`)) this.#messages.byte(byte);
  }

  #stop(cause: Cause): void {
    this.#cause ??= cause;
    this.#machine.stop();
    this.#terminal.wake();
  }

  async run(): Promise<number> {
    const { timeout, maxInstructions } = this.#options;
    const machine = this.#machine;
    const tracer = new RingTracer(machine, this.#names, this.#sinks());
    this.#tracer = tracer;
    if (this.#names.symbols === null) {
      this.#say(
        `${this.#options.image} has no symbols: addresses are shown as numbers; --symbols FILE names them`,
      );
    }
    machine.observer = tracer;
    if (this.#names.hasApplication) {
      new ApplicationWatch(machine, this.#names, tracer, await loadBranchScanner());
    }
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      const handler = () => this.#stop(signal);
      process.on(signal, handler);
      this.#signals.push([signal, handler]);
    }
    if (timeout !== undefined) this.#timer = setTimeout(() => this.#stop("timeout"), timeout);
    // What is typed at a terminal would be mixed with the trace: only pipes and files are the guest's input.
    if (!this.#terminal.interactive) this.#terminal.start();
    const reason = await machine.run({
      ...(maxInstructions === undefined ? {} : { maxInstructions }),
      onYield: () => this.#yield(),
      onIdle: (nanoseconds) => this.#idle(nanoseconds),
    });
    return this.#finish(reason);
  }

  #yield(): Promise<void> | undefined {
    for (const writer of this.#writers) writer.flush();
    return this.#messages.flush();
  }

  /** Idle time is skipped; a machine that only input can wake waits for it as long as there may be any. */
  async #idle(nanoseconds: number): Promise<number> {
    if (nanoseconds !== Number.POSITIVE_INFINITY) return nanoseconds;
    if (this.#terminal.interactive || !this.#terminal.open) return nanoseconds;
    this.#yield();
    await this.#terminal.input(nanoseconds);
    return 0;
  }

  async #finish(reason: StopReason): Promise<number> {
    const machine = this.#machine;
    if (this.#expectation && this.#cause === null && this.#expectation.end()) this.#cause = "expect";
    const end = outcome(reason, this.#cause, this.#expectation !== null, machine);
    if (this.#line !== "") this.#consoleLine();
    this.#tracer!.end();
    this.close();
    if (this.#options.summary) await this.#writeSummary();
    if (end.message !== null) this.#say(end.message);
    await this.#messages.end();
    if (this.#failure !== null) throw this.#failure;
    return end.exitCode;
  }

  async #writeSummary(): Promise<void> {
    const text = this.#options.json
      ? JSON.stringify(this.#summary.report(), null, 2)
      : (await this.#summary.lines()).join("\n");
    const stdout = new StreamOutput(process.stdout, (error) => this.#closed("standard output", error));
    for (const byte of Buffer.from(`${text}\n`)) stdout.byte(byte);
    await stdout.end();
  }

  /** May be called more than once. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const [signal, handler] of this.#signals) process.off(signal, handler);
    this.#signals.length = 0;
    for (const writer of this.#writers) writer.flush();
    if (!this.#terminal.interactive) this.#terminal.stop();
  }
}
