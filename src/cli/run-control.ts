/**
 * What runs of a guest have in common, whatever is shown of them: messages, signals, the time limit, what is expected of
 * the console, the reason for the end, and the world outside the guest.
 */
import type { Machine, StopReason } from "../machine/machine.ts";
import type { UserError } from "./errors.ts";
import { Expectation } from "./expect.ts";
import type { GuestWorld } from "./guest-world.ts";
import { type Cause, type Outcome, outcome } from "./outcome.ts";
import { StreamOutput, writeError } from "./output.ts";
import type { RunOptions } from "./run-options.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** A signal that comes later than this after the first ends the process; until then it may be the same one twice, ms. */
const AGAIN_MS = 500;

export class RunControl {
  /** Standard error. */
  readonly messages = new StreamOutput(process.stderr, () => {});
  readonly expectation: Expectation | null;
  /** The machine was asked to stop. */
  onStop: () => void = () => {};

  readonly #options: RunOptions;
  readonly #world: GuestWorld;
  readonly #signals: [NodeJS.Signals, () => void][] = [];
  /** When the first signal came, ms. */
  #signalled: number | null = null;
  #machine: Machine | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** Why the machine was asked to stop: the first reason counts. */
  #cause: Cause | null = null;
  /** An output that failed. */
  #failure: UserError | null = null;

  constructor(options: RunOptions, world: GuestWorld) {
    this.#options = options;
    this.#world = world;
    this.expectation = options.expect ? new Expectation(options.expect) : null;
    world.onFailure = (message) => this.say(message);
    world.onClosed = this.closed;
  }

  /** The run is about to begin. @param descriptors of the world's outputs */
  begin(machine: Machine, descriptors: readonly number[]): void {
    this.#machine = machine;
    this.#world.begin(machine, descriptors);
    for (const signal of SIGNALS) {
      const handler = () => this.#signal(signal);
      process.on(signal, handler);
      this.#signals.push([signal, handler]);
    }
    const { timeout } = this.#options;
    if (timeout !== undefined) this.#timer = setTimeout(() => this.stop("timeout"), timeout);
  }

  /** The run ends in order, which takes as long as readers of its output do; whoever does not want to wait asks again. */
  #signal(signal: (typeof SIGNALS)[number]): void {
    const now = performance.now();
    this.#signalled ??= now;
    if (now - this.#signalled > AGAIN_MS) {
      this.close();
      process.kill(process.pid, signal);
    }
    this.stop(signal);
  }

  readonly stop = (cause: Cause): void => {
    this.#cause ??= cause;
    this.#machine?.stop();
    this.onStop();
  };

  /** An output is gone. A reader that has left wants no more; anything else is an error, told at the end. */
  readonly closed = (name: string, error: unknown): void => {
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") this.#failure ??= writeError(name, error);
    this.stop("closed");
  };

  /** The guest has written to the console. */
  consoleByte(byte: number): void {
    const { recording } = this.#world;
    const isOver = recording.consoleByte(byte);
    if (this.expectation?.byte(byte) === true) {
      recording.stoppedByConsole();
      this.stop("expect");
    } else if (isOver) this.stop("replayed");
  }

  /** What the world has to do between slices. */
  yield(): void {
    this.#world.yield();
  }

  say(text: string): void {
    this.line(`ukl-emu: ${text}`);
  }

  line(text: string): void {
    for (const byte of Buffer.from(`${text}\n`)) this.messages.byte(byte);
  }

  /** The run is over. */
  end(reason: StopReason): Outcome {
    const machine = this.#machine!;
    if (this.expectation && this.#cause === null && this.expectation.end()) this.#cause = "expect";
    const divergence = this.#world.recording.end(machine, reason, this.#cause);
    return outcome(reason, this.#cause, this.expectation !== null, divergence, machine);
  }

  /** @throws UserError if an output has failed */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** May be called more than once. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const [signal, handler] of this.#signals) process.off(signal, handler);
    this.#signals.length = 0;
  }
}
