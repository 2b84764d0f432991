/**
 * A ring trace in the Chrome trace event format, which ui.perfetto.dev opens: one process for the processor, one
 * track for each ring. On a track slices nest: a program, in it a stay in ring 3, or a system call, in that page
 * faults and interrupts. Written as it comes, since a boot has millions of them.
 *
 * Events: "Trace Event Format", duration events (B, E) and metadata (M). Times are microseconds.
 */
import { Gpr } from "../cpu/registers.ts";
import type { Frame, Moment, Place, RingSink, Transition } from "./ring-events.ts";
import type { RingNames, Side } from "./ring-names.ts";
import { symbolText } from "./symbols.ts";

interface Slice {
  /** What has been entered, for slices that a return ends. */
  readonly frame: Frame | null;
}

const PROCESSOR = 0;
const TRACKS: readonly Side[] = ["3", "0 app", "2", "1", "0"];

const hexText = (value: bigint): string => `0x${value.toString(16)}`;

export class PerfettoTrace implements RingSink {
  readonly #line: (text: string) => void;
  readonly #names: RingNames;
  readonly #tracks = new Map<Side, Slice[]>();
  /** Programs by address space, numbered as they appear. */
  readonly #programs = new Map<bigint, number>();
  #space: bigint | null = null;
  /** Without a comma yet: the last event has none. */
  #held = "";

  constructor(line: (text: string) => void, names: RingNames) {
    this.#line = line;
    this.#names = names;
    line('{"displayTimeUnit":"ns","traceEvents":[');
    this.#event({ ph: "M", name: "process_name", pid: PROCESSOR, tid: 0, args: { name: "CPU 0" } });
  }

  #event(event: object): void {
    if (this.#held !== "") this.#line(`${this.#held},`);
    this.#held = JSON.stringify(event);
  }

  #track(side: Side): Slice[] {
    let slices = this.#tracks.get(side);
    if (slices === undefined) {
      slices = [];
      this.#tracks.set(side, slices);
      const tid = TRACKS.indexOf(side);
      const name =
        side === "0 app"
          ? "ring 0 application"
          : side === "0" && this.#names.hasApplication
            ? "ring 0 kernel"
            : `ring ${side}`;
      this.#event({ ph: "M", name: "thread_name", pid: PROCESSOR, tid, args: { name } });
      this.#event({ ph: "M", name: "thread_sort_index", pid: PROCESSOR, tid, args: { sort_index: tid } });
    }
    return slices;
  }

  #begin(side: Side, moment: Moment, name: string, args: object, frame: Frame | null = null): void {
    const slices = this.#track(side);
    this.#event({
      ...{ ph: "B", name, pid: PROCESSOR, tid: TRACKS.indexOf(side), ts: moment.time / 1000 },
      args,
    });
    slices.push({ frame });
  }

  #finish(side: Side, moment: Moment, args: object = {}): void {
    this.#track(side).pop();
    const ts = moment.time / 1000;
    this.#event({ ph: "E", pid: PROCESSOR, tid: TRACKS.indexOf(side), ts, args });
  }

  /** Ends the slices of a track down to `depth`; the one of `frame`, if it is among them, with `args`. */
  #unwind(side: Side, depth: number, moment: Moment, frame: Frame | null = null, args: object = {}): void {
    const slices = this.#track(side);
    while (slices.length > depth) {
      this.#finish(side, moment, frame !== null && slices.at(-1)!.frame === frame ? args : {});
    }
  }

  transition(t: Transition): void {
    const { moment, from, to, enters, leaves } = t;
    const left = leaves === null ? {} : this.#resultArguments(leaves, t);
    if (enters !== null) {
      // What ran stops, but for its program; within a side the new slice lies in the one that is interrupted.
      if (from.side !== to.side) this.#unwind(from.side, this.#floor(), moment);
      this.#ensureProgram(to.side, moment);
      this.#begin(to.side, moment, enters.name, this.#entryArguments(enters, t), enters);
    } else if (from.side === to.side) {
      const depth =
        leaves === null ? -1 : this.#track(to.side).findLastIndex(({ frame }) => frame === leaves);
      if (depth >= 0) this.#unwind(to.side, depth, moment, leaves, left);
    } else {
      this.#unwind(from.side, this.#floor(), moment, leaves, left);
      this.#arrive(t);
    }
  }

  /** Control returns to a program: another one if the address space is another. */
  #arrive({ moment, to, space, cause }: Transition): void {
    const isProgram = to.side === "3" || to.side === "0 app";
    if (isProgram && space !== this.#space) {
      for (const side of this.#tracks.keys()) this.#unwind(side, 0, moment);
      this.#space = space;
      if (!this.#programs.has(space)) this.#programs.set(space, this.#programs.size + 1);
      for (const side of this.#tracks.keys()) this.#ensureProgram(side, moment);
    }
    this.#ensureProgram(to.side, moment);
    const name = to.symbol?.symbol.name ?? (to.rip === null ? to.side : hexText(to.rip));
    this.#begin(to.side, moment, name, { ...this.#placeArguments("RIP", to), by: cause });
  }

  /** The first slice of a track is the program's, also where the track appears while the program runs. */
  #ensureProgram(side: Side, moment: Moment): void {
    if (this.#space === null || this.#track(side).length > 0) return;
    const name = `program ${this.#programs.get(this.#space)}`;
    this.#begin(side, moment, name, { CR3: hexText(this.#space) });
  }

  /** How many slices of each track are the program's. */
  #floor(): number {
    return this.#space === null ? 0 : 1;
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
    return {
      ...(frame.kind === "event" ? {} : { result: answer }),
      instructions: moment.instructions - frame.start.instructions,
      cycles: Math.round(moment.cycles - frame.start.cycles),
    };
  }

  end(moment: Moment): void {
    for (const side of this.#tracks.keys()) this.#unwind(side, 0, moment);
    this.#line(this.#held);
    this.#line("]}");
  }
}
