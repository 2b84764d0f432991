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
import { readInput } from "./files.ts";
import { type GuestWorld, withGuestWorld } from "./guest-world.ts";
import { loadMachine } from "./load-machine.ts";
import { LineWriter, StreamOutput } from "./output.ts";
import { RunControl } from "./run-control.ts";
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
  return withGuestWorld(options, (world) => new TraceSession(options, world));
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
  readonly #world: GuestWorld;
  readonly #control: RunControl;
  readonly #machine: Machine;
  readonly #names: RingNames;
  readonly #summary: RingSummary;
  readonly #writers: LineWriter[] = [];
  readonly #terminal: Terminal;
  /** Open files for the world's outputs. */
  #descriptors: readonly number[] = [];
  #tracer: RingTracer | null = null;
  /** The console's line under way. */
  #line = "";
  readonly #decoder = new TextDecoder();

  constructor(options: TraceOptions, world: GuestWorld) {
    this.#options = options;
    this.#world = world;
    this.#control = new RunControl(options, world);
    const { files } = world;
    const symbols = loadSymbols(options.symbols, files.image);
    this.#names = new RingNames(symbols, symbols && ProgramCode.find(files.image, symbols));
    this.#machine = loadMachine(options, files, world.devices, {
      onConsole: (byte) => this.#consoleByte(byte),
      onUnknown: (message) => this.#control.say(`unknown: ${message}`),
    });
    this.#summary = new RingSummary(this.#names, this.#machine.timing.name);
    const { outside } = this.#machine;
    this.#terminal = new Terminal(process.stdin, {
      type: (bytes) => outside.type(bytes),
      command: () => {},
      end: () => {
        outside.mayType = false;
        outside.wake();
      },
    });
  }

  /** Transitions go to standard output, unless a file is named for them or something else is wanted of them. */
  #sinks(): RingSink[] {
    const { output, perfetto, summary, json } = this.#options;
    const paths = [output, perfetto].filter((path) => path !== undefined);
    const { descriptors, own } = this.#world.openOutputs(paths);
    this.#descriptors = own;
    const writer = (fd: number, name: string): LineWriter => {
      const lines = new LineWriter(fd, "\n", (error) => this.#control.closed(name, error));
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

  #consoleByte(byte: number): void {
    if (this.#options.console) this.#control.messages.byte(byte);
    else {
      const text = this.#decoder.decode(Uint8Array.of(byte), { stream: true });
      if (text === "\n" || this.#line.length >= LONGEST_LINE) this.#consoleLine();
      if (text !== "\n" && text !== "\r") this.#line += text;
    }
    this.#control.consoleByte(byte);
  }

  #consoleLine(): void {
    this.#tracer?.console(this.#line);
    this.#line = "";
  }

  async run(): Promise<number> {
    const { maxInstructions } = this.#options;
    const machine = this.#machine;
    const tracer = new RingTracer(machine, this.#names, this.#sinks());
    this.#tracer = tracer;
    if (this.#names.symbols === null) {
      this.#control.say(
        `${this.#options.image} has no symbols: addresses are shown as numbers; --symbols FILE names them`,
      );
    }
    machine.observer = tracer;
    if (this.#names.hasApplication) {
      new ApplicationWatch(machine, this.#names, tracer, await loadBranchScanner());
    }
    this.#control.begin(machine, this.#descriptors);
    // What is typed at a terminal would be mixed with the trace: only pipes and files are the guest's input.
    if (!this.#terminal.interactive) {
      machine.outside.mayType = true;
      this.#terminal.start();
    }
    const pacing = this.#world.pacing("virtual");
    const reason = await machine.run({
      ...(maxInstructions === undefined ? {} : { maxInstructions }),
      ...(pacing === undefined ? {} : { pacing }),
      onYield: () => this.#yield(),
    });
    return this.#finish(reason);
  }

  #yield(): Promise<void> | undefined {
    this.#control.yield();
    for (const writer of this.#writers) writer.flush();
    return this.#control.messages.flush();
  }

  async #finish(reason: StopReason): Promise<number> {
    const end = this.#control.end(reason);
    if (this.#line !== "") this.#consoleLine();
    this.#tracer!.end();
    this.close();
    if (this.#options.summary) await this.#writeSummary();
    if (end.message !== null) this.#control.say(end.message);
    await this.#control.messages.end();
    this.#control.check();
    return end.exitCode;
  }

  async #writeSummary(): Promise<void> {
    const text = this.#options.json
      ? JSON.stringify(this.#summary.report(), null, 2)
      : (await this.#summary.lines()).join("\n");
    const stdout = new StreamOutput(process.stdout, (error) =>
      this.#control.closed("standard output", error),
    );
    for (const byte of Buffer.from(`${text}\n`)) stdout.byte(byte);
    await stdout.end();
  }

  /** May be called more than once. */
  close(): void {
    this.#control.close();
    for (const writer of this.#writers) writer.flush();
    if (!this.#terminal.interactive) this.#terminal.stop();
  }
}
