/** One run of `ukl-emu boot`: files, console, terminal, limits, traces, and what is said at the end. */
import type { SystemObserver } from "../cpu/core.ts";
import { branchEvents, branchHistory, formatBranches } from "../debug/branch-history.ts";
import { codeBits } from "../debug/disassemble.ts";
import { combineObservers } from "../debug/observers.ts";
import { registerDump } from "../debug/registers.ts";
import type { Traces } from "../debug/trace.ts";
import type { Machine, StopReason } from "../machine/machine.ts";
import { Console } from "./console.ts";
import type { UserError } from "./errors.ts";
import { Expectation } from "./expect.ts";
import { openOutputs } from "./files.ts";
import { loadMachine, readRunFiles } from "./load-machine.ts";
import { type OpenDrives, withDrives } from "./open-drives.ts";
import type { SerialTarget, TraceOption } from "./options.ts";
import { type Cause, outcome } from "./outcome.ts";
import { FileOutput, LineWriter, nullOutput, type Output, StreamOutput, writeError } from "./output.ts";
import { jsonReport } from "./report.ts";
import type { RunOptions } from "./run-options.ts";
import { formatStatistics, RunStatistics } from "./statistics.ts";

export interface SessionOptions extends RunOptions {
  readonly serial: SerialTarget;
  readonly traces: readonly TraceOption[];
  readonly stats: boolean;
  readonly json: boolean;
}

const STDERR = 2;

/** Runs the session. @returns the process's exit code. @throws UserError for what cannot be used */
export function runSession(options: SessionOptions): Promise<number> {
  return withDrives(options.drives, (drives) => new Session(options, drives));
}

class Session {
  readonly #options: SessionOptions;
  readonly #machine: Machine;
  readonly #statistics = new RunStatistics();
  readonly #expectation: Expectation | null;
  readonly #output: Output;
  readonly #messages: StreamOutput;
  readonly #traceWriters: LineWriter[] = [];
  readonly #console: Console | null;
  readonly #signals: [NodeJS.Signals, () => void][] = [];
  #traces: Traces | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** Why this session asked the machine to stop: the first reason counts. */
  #cause: Cause | null = null;
  /** An output that failed. */
  #failure: UserError | null = null;

  constructor(options: SessionOptions, drives: OpenDrives) {
    this.#options = options;
    const files = readRunFiles(options);
    this.#messages = new StreamOutput(process.stderr, () => {});
    this.#expectation = options.expect ? new Expectation(options.expect) : null;
    this.#machine = loadMachine(options, files, drives.drives, {
      onConsole: (byte) => this.#consoleByte(byte),
      onDebugByte: (byte) => this.#messages.byte(byte),
      onUnknown: (message) => this.#unknown(message),
    });
    drives.onFailure = (message) => this.#say(message);
    this.#output = this.#openOutputs();
    this.#console = options.serial === "stdio" ? this.#openConsole() : null;
  }

  /** The console's output, and trace files. Nothing is created unless everything can be. */
  #openOutputs(): Output {
    const { serial, traces, json } = this.#options;
    const paths = [
      ...traces.flatMap(({ file }) => file ?? []),
      ...(typeof serial === "object" ? [serial.file] : []),
    ];
    const descriptors = openOutputs(paths);
    const raw = serial === "stdio" && process.stdin.isTTY && process.stderr.isTTY;
    for (const { file } of traces) {
      const fd = file === undefined ? STDERR : descriptors.shift()!;
      const lineEnd = fd === STDERR && raw ? "\r\n" : "\n";
      this.#traceWriters.push(
        new LineWriter(fd, lineEnd, (error) => this.#closed(file ?? "standard error", error)),
      );
    }
    if (typeof serial === "object") return new FileOutput(serial.file, descriptors[0]!);
    if (serial === "none") return nullOutput;
    // The JSON object has standard output for itself.
    if (json) return this.#messages;
    return new StreamOutput(process.stdout, (error) => this.#closed("standard output", error));
  }

  /** An output is gone. A reader that has left wants no more; anything else is an error, told at the end. */
  #closed(name: string, error: unknown): void {
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") this.#failure ??= writeError(name, error);
    this.#stop("closed");
  }

  #openConsole(): Console {
    return new Console(this.#machine, this.#output, {
      quit: () => this.#stop("quit"),
      statistics: () => formatStatistics(this.#statistics.report(this.#machine)),
    });
  }

  #consoleByte(byte: number): void {
    this.#statistics.consoleBytes++;
    this.#output.byte(byte);
    if (this.#expectation?.byte(byte) === true) this.#stop("expect");
  }

  /** The unknown is loud, but does not break into what a terminal shows: there it waits for the end. */
  #unknown(message: string): void {
    if (this.#console?.interactive !== true) this.#say(`unknown: ${message}`);
  }

  #say(text: string): void {
    for (const byte of Buffer.from(`ukl-emu: ${text}\n`)) this.#messages.byte(byte);
  }

  #stop(cause: Cause): void {
    this.#cause ??= cause;
    this.#machine.stop();
    this.#console?.wake();
  }

  async run(): Promise<number> {
    const { timeout, maxInstructions } = this.#options;
    const machine = this.#machine;
    await this.#startTraces();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      const handler = () => this.#stop(signal);
      process.on(signal, handler);
      this.#signals.push([signal, handler]);
    }
    if (timeout !== undefined) this.#timer = setTimeout(() => this.#stop("timeout"), timeout);
    this.#console?.start();
    this.#statistics.begin(machine);
    const reason = await machine.run({
      ...(maxInstructions === undefined ? {} : { maxInstructions }),
      onYield: () => this.#yield(),
      ...(this.#console ? { onIdle: this.#console.onIdle } : {}),
    });
    return this.#finish(reason);
  }

  async #startTraces(): Promise<void> {
    const observers: SystemObserver[] = [this.#statistics.events, branchEvents(this.#machine)];
    if (this.#options.traces.length === 0) {
      this.#machine.observer = combineObservers(observers);
      return;
    }
    const { startTraces } = await import("../debug/trace.ts");
    const requests = this.#options.traces.map(({ kinds }, i) => ({
      kinds,
      sink: this.#traceWriters[i]!.line,
    }));
    this.#traces = await startTraces(this.#machine, requests);
    this.#machine.observer = combineObservers([...observers, ...this.#traces.observers]);
  }

  /** Between slices: output goes out; the guest waits for a slow reader, or for `continue`. */
  #yield(): Promise<void> | undefined {
    for (const writer of this.#traceWriters) writer.flush();
    const waits = [this.#output.flush(), this.#messages.flush(), this.#console?.held()].filter(
      (wait) => wait !== undefined,
    );
    if (waits.length === 0) return undefined;
    return Promise.all(waits).then(() => {});
  }

  /** Gives the terminal back, says how it ended, and waits until all output has arrived. */
  async #finish(reason: StopReason): Promise<number> {
    const machine = this.#machine;
    const statistics = this.#statistics.report(machine);
    if (this.#expectation && this.#cause === null && this.#expectation.end()) this.#cause = "expect";
    const end = outcome(reason, this.#cause, this.#expectation !== null, machine);
    await this.#output.end();
    this.close();
    if (end.message !== null) this.#say(end.message);
    if (end.isCrash) for (const line of await this.#crashReport()) this.#messageLine(line);
    const unknown = Object.keys(statistics.unknown).length;
    if (this.#console?.interactive && unknown > 0 && !this.#options.stats) {
      this.#say(`${unknown} kinds of accesses unknown to this machine: --stats lists them`);
    }
    if (this.#options.stats || end.isInterrupted) {
      for (const line of await formatStatistics(statistics)) this.#messageLine(line);
    }
    await this.#messages.end();
    if (this.#failure !== null) throw this.#failure;
    if (this.#options.json) {
      const report = jsonReport(this.#options.image, end, statistics, machine);
      const stdout = new StreamOutput(process.stdout, (error) => this.#closed("standard output", error));
      for (const byte of Buffer.from(`${JSON.stringify(report, null, 2)}\n`)) stdout.byte(byte);
      await stdout.end();
      if (this.#failure !== null) throw this.#failure;
    }
    return end.exitCode;
  }

  #messageLine(line: string): void {
    for (const byte of Buffer.from(`${line}\n`)) this.#messages.byte(byte);
  }

  async #crashReport(): Promise<string[]> {
    const { codeAround } = await import("../debug/code-around.ts");
    const cpu = this.#machine.current;
    const branches = branchHistory(this.#machine, cpu);
    return [
      ...(this.#machine.states.length > 1 ? [`Processor ${cpu.index}`] : []),
      ...registerDump(cpu),
      ...formatBranches(branches, codeBits(cpu) / 4),
      ...(await codeAround(this.#machine, cpu)),
    ];
  }

  /** May be called more than once. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const [signal, handler] of this.#signals) process.off(signal, handler);
    this.#signals.length = 0;
    this.#traces?.finish();
    this.#traces = null;
    for (const writer of this.#traceWriters) writer.flush();
    this.#console?.stop();
  }
}
