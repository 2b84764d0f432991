/**
 * Runs an image and counts what happens in its regions: between the markers of a program made for it
 * (`measure_begin(name, payload)` and `measure_end()`, as ringcost.c has them), or between any two symbols.
 * What lies outside runs at full speed.
 */
import { GPR } from "../cpu/layout.ts";
import type { CpuState } from "../cpu/state.ts";
import { peekLinear } from "../debug/peek.ts";
import type { Sym, SymbolTable } from "../debug/symbols.ts";
import { Machine, type MachineOptions, type StopReason } from "../machine/machine.ts";
import { timingModel } from "../timing/index.ts";
import type { PhaseCounts } from "./counts.ts";
import type { EffectsDecoder } from "./instruction-effects.ts";
import { Meter } from "./meter.ts";
import { TlbModel } from "./tlb-model.ts";

const RSP = 4;
const RSI = 6;
const RDI = 7;
const LONGEST_NAME = 64;
/** A region that goes on for longer has no end. */
const LONGEST_REGION = 50_000_000;
/** Models without TLBs of their own borrow these. */
const DEFAULT_TLB_MODEL = "skylake";

/** One passage through a region. */
export interface Round {
  readonly call: string;
  /** Bytes, or whatever the marker was given. */
  readonly payload: number;
  readonly phases: PhaseCounts;
  /** Figures of the timing model that no source gives and that this round cost. */
  readonly assumed: readonly string[];
}

export interface Run {
  readonly rounds: readonly Round[];
  readonly stop: StopReason;
  /** What the guest wrote to its console. */
  readonly console: string;
  readonly instructions: number;
}

export interface RunRequest {
  readonly image: Uint8Array;
  readonly symbols: SymbolTable;
  readonly decode: EffectsDecoder;
  readonly machine: Pick<MachineOptions, "memory" | "cpu" | "timing">;
  readonly commandLine?: string;
  readonly initrd?: Uint8Array;
  readonly maxInstructions?: number;
  /** Absent: the markers. */
  readonly between?: readonly [Sym, Sym];
  /** Ends the run after so many rounds. */
  readonly count?: number;
  /** Regions for which it says no are not counted, and cost no time. Not asked for `between`. */
  readonly wanted?: (call: string, payload: number) => boolean;
  readonly onRound?: (round: Round) => void;
}

/** The image has no markers: one line that says which were looked for. */
export class MarkerError extends Error {
  override readonly name = "MarkerError";
}

/** @throws MarkerError; MeterError for a region without an end */
export async function runRegions(request: RunRequest): Promise<Run> {
  const text: string[] = [];
  const machine = new Machine({
    ...request.machine,
    onConsole: (byte) => text.push(String.fromCharCode(byte)),
  });
  const regions = new Regions(machine, request);
  machine.load({
    image: request.image,
    ...(request.commandLine === undefined ? {} : { commandLine: request.commandLine }),
    ...(request.initrd === undefined ? {} : { initrd: request.initrd }),
  });
  const stop = await machine.run(
    request.maxInstructions === undefined ? {} : { maxInstructions: request.maxInstructions },
  );
  if (regions.failure !== null) throw regions.failure;
  return { rounds: regions.rounds, stop, console: text.join(""), instructions: machine.instructions };
}

/** A region went on without end. */
export class MeterError extends Error {
  override readonly name = "MeterError";
}

/** The two markers. @throws MarkerError */
export function markers(symbols: SymbolTable): { begin: Sym; end: Sym } {
  const [begin, end] = ["measure_begin", "measure_end"].map((name) => symbols.byName(name));
  if (begin === undefined || end === undefined) {
    throw new MarkerError(
      "expected the symbols measure_begin and measure_end in the image, or --between SYMBOL,SYMBOL",
    );
  }
  return { begin, end };
}

class Regions {
  readonly rounds: Round[] = [];
  failure: MeterError | null = null;
  readonly #machine: Machine;
  readonly #request: RunRequest;
  readonly #meter: Meter;
  readonly #end: bigint;
  #steps = 0;

  constructor(machine: Machine, request: RunRequest) {
    this.#machine = machine;
    this.#request = request;
    const tlb = machine.timing.tlb ?? timingModel(DEFAULT_TLB_MODEL).tlb!;
    this.#meter = new Meter(machine, request.symbols, request.decode, new TlbModel(tlb));
    const { processor } = machine;
    if (request.between) {
      const [begin, end] = request.between;
      this.#end = end.address;
      const name = `${begin.name} to ${end.name}`;
      processor.watch(begin.address, () => {
        if (processor.onStep === null) this.#begin(name, 0);
      });
    } else {
      const { begin, end } = markers(request.symbols);
      this.#end = end.address;
      processor.watch(begin.address, (cpu) => this.#marker(cpu));
    }
  }

  /** At the first instruction of measure_begin: the region begins where it returns to. */
  #marker(cpu: CpuState): void {
    const call = this.#string(cpu, cpu.gpr(RDI));
    const payload = Number(cpu.u64(GPR + RSI * 8));
    const { wanted } = this.#request;
    if (wanted && !wanted(call, payload)) return;
    const stack = cpu.gpr(RSP);
    const bytes = peekLinear(this.#machine.mmu, cpu, stack, 8);
    if (bytes.length < 8) return;
    const back = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
    const { processor } = this.#machine;
    processor.onStep = (now) => {
      if (now.rip === back && now.gpr(RSP) === stack + 8n) this.#begin(call, payload, now);
    };
  }

  /** Counts from the next instruction on; with `cpu`, from the one that it is about to execute. */
  #begin(call: string, payload: number, cpu?: CpuState): void {
    const machine = this.#machine;
    const { processor } = machine;
    const outer = processor.observer;
    this.#steps = 0;
    this.#meter.begin();
    const step = (now: CpuState): void => {
      if (now.rip === this.#end && this.#steps > 0) {
        processor.onStep = null;
        processor.observer = outer;
        this.#finish(now, call, payload);
        return;
      }
      this.#steps++;
      if (this.#steps > LONGEST_REGION) {
        this.failure = new MeterError(
          `${call}: expected its end within ${LONGEST_REGION} instructions, found none`,
        );
        processor.onStep = null;
        machine.stop();
        return;
      }
      this.#meter.step(now);
    };
    processor.onStep = step;
    processor.observer = this.#meter;
    if (cpu) step(cpu);
  }

  #finish(cpu: CpuState, call: string, payload: number): void {
    const phases = this.#meter.end(cpu);
    const assumed = this.#machine.assumedUsed.map(({ name }) => name);
    const round = { call, payload, phases, assumed };
    this.rounds.push(round);
    this.#request.onRound?.(round);
    if (this.rounds.length === this.#request.count) this.#machine.stop();
  }

  #string(cpu: CpuState, address: bigint): string {
    const bytes = peekLinear(this.#machine.mmu, cpu, address, LONGEST_NAME);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  }
}
