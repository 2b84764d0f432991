/** A ring trace as text, one aligned line for each transition, or as JSON, one object a line. */
import { hex } from "./hex.ts";
import {
  executedBetween,
  type Frame,
  type Moment,
  type Place,
  type RingSink,
  type Transition,
} from "./ring-events.ts";
import type { RingNames } from "./ring-names.ts";
import { symbolText } from "./symbols.ts";

type Line = (text: string) => void;

/** "1.234 us": three significant digits behind the point. */
export function duration(nanoseconds: number): string {
  if (nanoseconds < 1e3) return `${Math.round(nanoseconds)} ns`;
  const [divisor, unit] = nanoseconds < 1e6 ? [1e3, "us"] : nanoseconds < 1e9 ? [1e6, "ms"] : [1e9, "s"];
  return `${(nanoseconds / divisor).toFixed(3)} ${unit}`;
}

const seconds = (nanoseconds: number): string => (nanoseconds / 1e9).toFixed(9);

/** What a frame that has ended says of itself. */
function endText(frame: Frame, answer: string, moment: Moment, withCycles: boolean): string {
  const elapsed = duration(moment.time - frame.start.time);
  const cycles = withCycles ? `, ${Math.round(executedBetween(frame.start, moment).cycles)} cycles` : "";
  const took = `<${elapsed}${cycles}>`;
  if (frame.kind === "event") return `end of ${frame.name} ${took}`;
  return `${frame.name} = ${answer} ${took}`;
}

export class RingText implements RingSink {
  readonly #line: Line;
  readonly #withCycles: boolean;
  readonly #sideWidth: number;
  readonly #processors: number;

  /**
   * @param withCycles a timing model counts cycles: they are shown in place of instructions
   * @param processors of the machine: of several each line says which
   */
  constructor(line: Line, names: RingNames, withCycles: boolean, processors = 1) {
    this.#line = line;
    this.#processors = processors;
    this.#withCycles = withCycles;
    this.#sideWidth = names.hasApplication ? "0 app > 0 app".length : "3 > 0".length;
    const count = withCycles ? "cycles" : "instructions";
    const columns = ["ring".padEnd(this.#sideWidth), "by".padEnd(13), "from".padEnd(30), "   to".padEnd(33)];
    line(
      `#${"seconds".padStart(13)} ${count.padStart(13)}  ${this.#processor("cpu")}${columns.join("  ")}  what`,
    );
  }

  #start({ time, instructions, cycles, processor }: Moment): string {
    const count = this.#withCycles ? Math.round(cycles) : instructions;
    return `${seconds(time).padStart(14)} ${String(count).padStart(13)}  ${this.#processor(processor)}`;
  }

  #processor(text: string | number): string {
    return this.#processors === 1 ? "" : `${String(text).padStart(3)}  `;
  }

  #place({ rip, symbol }: Place): string {
    return (symbol !== null ? symbolText(symbol) : rip === null ? "?" : `0x${hex(rip)}`).padEnd(30);
  }

  transition(t: Transition): void {
    const sides = `${t.from.side} > ${t.to.side}`.padEnd(this.#sideWidth);
    const what: string[] = [];
    if (t.call !== null) what.push(t.call());
    else if (t.enters !== null) what.push(t.enters.detail);
    if (t.leaves !== null) what.push(endText(t.leaves, t.answer, t.moment, this.#withCycles));
    const text = `${sides}  ${t.cause.padEnd(13)}  ${this.#place(t.from)}  -> ${this.#place(t.to)}  ${what.join(" ")}`;
    this.#line(this.#start(t.moment) + text.trimEnd());
  }

  console(moment: Moment, text: string): void {
    this.#line(`${this.#start(moment)}${"".padEnd(this.#sideWidth)}  console        ${JSON.stringify(text)}`);
  }

  end(): void {}
}

export class RingJson implements RingSink {
  readonly #line: Line;
  readonly #withCycles: boolean;
  readonly #processors: number;

  /** @param processors of the machine: of several each object says which */
  constructor(line: Line, withCycles: boolean, processors = 1) {
    this.#line = line;
    this.#withCycles = withCycles;
    this.#processors = processors;
  }

  #moment({ time, instructions, cycles, processor }: Moment): object {
    const which = this.#processors === 1 ? {} : { processor };
    return { time, instructions, ...(this.#withCycles ? { cycles } : {}), ...which };
  }

  #place({ side, cpl, rip, symbol }: Place): object {
    const address = rip === null ? null : `0x${hex(rip)}`;
    return { side, cpl, rip: address, ...(symbol === null ? {} : { symbol: symbolText(symbol) }) };
  }

  transition(t: Transition): void {
    const { enters, leaves } = t;
    this.#line(
      JSON.stringify({
        type: "transition",
        ...this.#moment(t.moment),
        cause: t.cause,
        from: this.#place(t.from),
        to: this.#place(t.to),
        ...(enters === null ? {} : { enters: this.#entered(enters, t) }),
        ...(leaves === null ? {} : { leaves: this.#left(leaves, t) }),
      }),
    );
  }

  #entered({ kind, name, number, detail, registers }: Frame, { call }: Transition): object {
    return {
      ...{ kind, name },
      ...(detail === "" ? {} : { detail }),
      ...(number === null ? {} : { number, arguments: registers.map((r) => `0x${r.toString(16)}`) }),
      ...(call === null ? {} : { text: call() }),
    };
  }

  #left(frame: Frame, { moment, result, answer }: Transition): object {
    const { instructions, cycles } = executedBetween(frame.start, moment);
    return {
      ...{ kind: frame.kind, name: frame.name },
      ...(frame.kind === "event" ? {} : { result: `0x${result.toString(16)}`, text: answer }),
      elapsed: moment.time - frame.start.time,
      ...(this.#withCycles ? { elapsedCycles: cycles } : {}),
      elapsedInstructions: instructions,
    };
  }

  console(moment: Moment, text: string): void {
    this.#line(JSON.stringify({ type: "console", ...this.#moment(moment), text }));
  }

  end(): void {}
}
