/**
 * A ring trace in the Chrome trace event format, which ui.perfetto.dev opens: one process for each processor, one
 * track for each of its rings. On a track slices nest: a program, in it a stay in ring 3, or a system call, in that page
 * faults and interrupts. Written as it comes, since a boot has millions of them.
 *
 * Events: "Trace Event Format", duration events (B, E) and metadata (M). Times are microseconds.
 */
import { Gpr } from "../cpu/registers.ts";
import {
  executedBetween,
  type Frame,
  type Moment,
  type Place,
  type RingSink,
  type Transition,
} from "./ring-events.ts";
import type { RingNames, Side } from "./ring-names.ts";
import { symbolText } from "./symbols.ts";

interface Slice {
  /** What has been entered, for slices that a return ends. */
  readonly frame: Frame | null;
}

/** What is shown of one processor. */
interface ProcessorTracks {
  readonly tracks: Map<Side, Slice[]>;
  /** The address space of the program that runs. */
  space: bigint | null;
}

const TRACKS: readonly Side[] = ["3", "0 app", "2", "1", "0"];

const hexText = (value: bigint): string => `0x${value.toString(16)}`;

export class PerfettoTrace implements RingSink {
  readonly #line: (text: string) => void;
  readonly #names: RingNames;
  readonly #processors = new Map<number, ProcessorTracks>();
  /** Programs by address space, numbered as they appear. */
  readonly #programs = new Map<bigint, number>();
  /** Without a comma yet: the last event has none. */
  #held = "";

  constructor(line: (text: string) => void, names: RingNames) {
    this.#line = line;
    this.#names = names;
    line('{"displayTimeUnit":"ns","traceEvents":[');
    this.#of(0);
  }

  /** Processors appear with their first transition. */
  #of(processor: number): ProcessorTracks {
    let tracks = this.#processors.get(processor);
    if (tracks === undefined) {
      tracks = { tracks: new Map(), space: null };
      this.#processors.set(processor, tracks);
      const args = { name: `CPU ${processor}` };
      this.#event({ ph: "M", name: "process_name", pid: processor, tid: 0, args });
    }
    return tracks;
  }

  #event(event: object): void {
    if (this.#held !== "") this.#line(`${this.#held},`);
    this.#held = JSON.stringify(event);
  }

  #track(pid: number, side: Side): Slice[] {
    const { tracks } = this.#of(pid);
    let slices = tracks.get(side);
    if (slices === undefined) {
      slices = [];
      tracks.set(side, slices);
      const tid = TRACKS.indexOf(side);
      const name =
        side === "0 app"
          ? "ring 0 application"
          : side === "0" && this.#names.hasApplication
            ? "ring 0 kernel"
            : `ring ${side}`;
      this.#event({ ph: "M", name: "thread_name", pid, tid, args: { name } });
      this.#event({ ph: "M", name: "thread_sort_index", pid, tid, args: { sort_index: tid } });
    }
    return slices;
  }

  #begin(side: Side, moment: Moment, name: string, args: object, frame: Frame | null = null): void {
    const pid = moment.processor;
    const slices = this.#track(pid, side);
    this.#event({
      ...{ ph: "B", name, pid, tid: TRACKS.indexOf(side), ts: moment.time / 1000 },
      args,
    });
    slices.push({ frame });
  }

  #finish(side: Side, moment: Moment, args: object = {}): void {
    const pid = moment.processor;
    this.#track(pid, side).pop();
    const ts = moment.time / 1000;
    this.#event({ ph: "E", pid, tid: TRACKS.indexOf(side), ts, args });
  }

  /** Ends the slices of a track down to `depth`; the one of `frame`, if it is among them, with `args`. */
  #unwind(side: Side, depth: number, moment: Moment, frame: Frame | null = null, args: object = {}): void {
    const slices = this.#track(moment.processor, side);
    while (slices.length > depth) {
      this.#finish(side, moment, frame !== null && slices.at(-1)!.frame === frame ? args : {});
    }
  }

  transition(t: Transition): void {
    const { moment, from, to, enters, leaves } = t;
    const left = leaves === null ? {} : this.#resultArguments(leaves, t);
    if (enters !== null) {
      // What ran stops, but for its program; within a side the new slice lies in the one that is interrupted.
      if (from.side !== to.side) this.#unwind(from.side, this.#floor(moment), moment);
      this.#ensureProgram(to.side, moment);
      this.#begin(to.side, moment, enters.name, this.#entryArguments(enters, t), enters);
    } else if (from.side === to.side) {
      const depth =
        leaves === null
          ? -1
          : this.#track(moment.processor, to.side).findLastIndex(({ frame }) => frame === leaves);
      if (depth >= 0) this.#unwind(to.side, depth, moment, leaves, left);
    } else {
      this.#unwind(from.side, this.#floor(moment), moment, leaves, left);
      this.#arrive(t);
    }
  }

  /** Control returns to a program: another one if the address space is another. */
  #arrive({ moment, to, space, cause }: Transition): void {
    const isProgram = to.side === "3" || to.side === "0 app";
    const processor = this.#of(moment.processor);
    if (isProgram && space !== processor.space) {
      for (const side of processor.tracks.keys()) this.#unwind(side, 0, moment);
      processor.space = space;
      if (!this.#programs.has(space)) this.#programs.set(space, this.#programs.size + 1);
      for (const side of processor.tracks.keys()) this.#ensureProgram(side, moment);
    }
    this.#ensureProgram(to.side, moment);
    const name = to.symbol?.symbol.name ?? (to.rip === null ? to.side : hexText(to.rip));
    this.#begin(to.side, moment, name, { ...this.#placeArguments("RIP", to), by: cause });
  }

  /** The first slice of a track is the program's, also where the track appears while the program runs. */
  #ensureProgram(side: Side, moment: Moment): void {
    const { space } = this.#of(moment.processor);
    if (space === null || this.#track(moment.processor, side).length > 0) return;
    const name = `program ${this.#programs.get(space)}`;
    this.#begin(side, moment, name, { CR3: hexText(space) });
  }

  /** How many slices of each track are the program's. */
  #floor({ processor }: Moment): number {
    return this.#of(processor).space === null ? 0 : 1;
  }

  #placeArguments(name: string, { rip, symbol }: Place): Record<string, string> {
    if (rip === null) return {};
    return { [name]: symbol === null ? hexText(rip) : `${hexText(rip)} ${symbolText(symbol)}` };
  }

  #entryArguments(frame: Frame, { from, to, cpu, call, cause }: Transition): object {
    const registers = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"].map((name, i) => [
      name,
      hexText(cpu.gpr(i)),
    ]);
    return {
      ...(call === null ? {} : { call: call() }),
      ...(frame.detail === "" ? {} : { detail: frame.detail }),
      by: cause,
      ...this.#placeArguments("from", from),
      ...this.#placeArguments("to", to),
      ...Object.fromEntries(registers),
      RSP: hexText(cpu.gpr(Gpr.RSP)),
    };
  }

  #resultArguments(frame: Frame, { moment, answer }: Transition): object {
    const executed = executedBetween(frame.start, moment);
    return {
      ...(frame.kind === "event" ? {} : { result: answer }),
      instructions: executed.instructions,
      cycles: Math.round(executed.cycles),
    };
  }

  end(moments: readonly Moment[]): void {
    for (const moment of moments) {
      for (const side of this.#of(moment.processor).tracks.keys()) this.#unwind(side, 0, moment);
    }
    this.#line(this.#held);
    this.#line("]}");
  }
}
