/** One run of `ukl-emu boot`: files, console, terminal, limits, traces, and what is said at the end. */
import type { SystemObserver } from "../cpu/core.ts";
import { branchEvents, branchHistory, formatBranches } from "../debug/branch-history.ts";
import { codeBits } from "../debug/disassemble.ts";
import { combineObservers } from "../debug/observers.ts";
import { registerDump } from "../debug/registers.ts";
import type { Traces } from "../debug/trace.ts";
import type { Machine, StopReason } from "../machine/machine.ts";
import { type Pacing, SleepIdle } from "../machine/pacing.ts";
import { Console } from "./console.ts";
import { type GuestWorld, withGuestWorld } from "./guest-world.ts";
import { loadMachine } from "./load-machine.ts";
import type { SerialTarget, TraceOption } from "./options.ts";
import { FileOutput, LineWriter, nullOutput, type Output, StreamOutput } from "./output.ts";
import { jsonReport } from "./report.ts";
import { RunControl } from "./run-control.ts";
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
  return withGuestWorld(options, (world) => new Session(options, world));
}

class Session {
  readonly #options: SessionOptions;
  readonly #world: GuestWorld;
  readonly #control: RunControl;
  readonly #machine: Machine;
  readonly #statistics = new RunStatistics();
  readonly #output: Output;
  readonly #traceWriters: LineWriter[] = [];
  readonly #console: Console | null;
  /** Open files for the world's outputs. */
  #descriptors: readonly number[] = [];
  #traces: Traces | null = null;

  constructor(options: SessionOptions, world: GuestWorld) {
    this.#options = options;
    this.#world = world;
    this.#control = new RunControl(options, world);
    this.#machine = loadMachine(options, world.files, world.devices, {
      onConsole: (byte) => this.#consoleByte(byte),
      onDebugByte: (byte) => this.#control.messages.byte(byte),
      onUnknown: (message) => this.#unknown(message),
    });
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
    const { descriptors, own } = this.#world.openOutputs(paths);
    this.#descriptors = own;
    const raw = serial === "stdio" && process.stdin.isTTY && process.stderr.isTTY;
    for (const { file } of traces) {
      const fd = file === undefined ? STDERR : descriptors.shift()!;
      const lineEnd = fd === STDERR && raw ? "\r\n" : "\n";
      this.#traceWriters.push(
        new LineWriter(fd, lineEnd, (error) => this.#control.closed(file ?? "standard error", error)),
      );
    }
    if (typeof serial === "object") return new FileOutput(serial.file, descriptors[0]!);
    if (serial === "none") return nullOutput;
    // The JSON object has standard output for itself.
    if (json) return this.#control.messages;
    return new StreamOutput(process.stdout, (error) => this.#control.closed("standard output", error));
  }

  #openConsole(): Console {
    return new Console(this.#machine, this.#output, {
      quit: () => this.#control.stop("quit"),
      statistics: () => formatStatistics(this.#statistics.report(this.#machine)),
    });
  }

  #consoleByte(byte: number): void {
    this.#statistics.consoleBytes++;
    this.#output.byte(byte);
    this.#control.consoleByte(byte);
  }

  /** The unknown is loud, but does not break into what a terminal shows: there it waits for the end. */
  #unknown(message: string): void {
    if (this.#console?.interactive !== true) this.#control.say(`unknown: ${message}`);
  }

  async run(): Promise<number> {
    const { maxInstructions } = this.#options;
    const machine = this.#machine;
    await this.#startTraces();
    this.#control.begin(machine, this.#descriptors);
    this.#control.onStop = () => this.#console?.wake();
    this.#console?.start();
    this.#statistics.begin(machine);
    const pacing = this.#pacing();
    const reason = await machine.run({
      ...(maxInstructions === undefined ? {} : { maxInstructions }),
      ...(pacing === undefined ? {} : { pacing }),
      onYield: () => this.#yield(),
    });
    return this.#finish(reason);
  }

  /** A network's other end lives by the host's clock, and so does a person. */
  #pacing(): Pacing | undefined {
    const { networks, clock, replay } = this.#options;
    const pacing = this.#world.pacing(networks.length > 0 ? "host" : "virtual");
    if (pacing !== undefined || clock === "virtual" || replay !== undefined) return pacing;
    return this.#console?.interactive === true ? new SleepIdle() : undefined;
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
    this.#control.yield();
    for (const writer of this.#traceWriters) writer.flush();
    const waits = [this.#output.flush(), this.#control.messages.flush(), this.#console?.held()].filter(
      (wait) => wait !== undefined,
    );
    if (waits.length === 0) return undefined;
    return Promise.all(waits).then(() => {});
  }

  /** Gives the terminal back, says how it ended, and waits until all output has arrived. */
  async #finish(reason: StopReason): Promise<number> {
    const machine = this.#machine;
    const statistics = this.#statistics.report(machine);
    const end = this.#control.end(reason);
    await this.#output.end();
    this.close();
    if (end.message !== null) this.#control.say(end.message);
    if (end.isCrash) for (const line of await this.#crashReport()) this.#control.line(line);
    const unknown = Object.keys(statistics.unknown).length;
    if (this.#console?.interactive && unknown > 0 && !this.#options.stats) {
      this.#control.say(`${unknown} kinds of accesses unknown to this machine: --stats lists them`);
    }
    if (this.#options.stats || end.isInterrupted) {
      for (const line of await formatStatistics(statistics)) this.#control.line(line);
    }
    await this.#control.messages.end();
    this.#control.check();
    if (this.#options.json) {
      const report = jsonReport(this.#options.image, end, statistics, machine);
      const stdout = new StreamOutput(process.stdout, (error) =>
        this.#control.closed("standard output", error),
      );
      for (const byte of Buffer.from(`${JSON.stringify(report, null, 2)}\n`)) stdout.byte(byte);
      await stdout.end();
      this.#control.check();
    }
    return end.exitCode;
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
    this.#control.close();
    this.#traces?.finish();
    this.#traces = null;
    for (const writer of this.#traceWriters) writer.flush();
    this.#console?.stop();
  }
}
