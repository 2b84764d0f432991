/** The guest's serial console on standard input and output, with the monitor behind it. */
import { codeAround } from "../debug/code-around.ts";
import { registerDump } from "../debug/registers.ts";
import type { Machine } from "../machine/machine.ts";
import { ESCAPE_HELP, type EscapeCommand } from "./escape-keys.ts";
import { Monitor } from "./monitor.ts";
import type { Output } from "./output.ts";
import { Terminal } from "./terminal.ts";

export interface ConsoleActions {
  quit(): void;
  statistics(): Promise<readonly string[]>;
}

/** Idle time shorter than this is not slept but owed: timers of the host are no finer. */
const SHORTEST_SLEEP = 2e6;

export class Console {
  readonly #machine: Machine;
  readonly #output: Output;
  readonly #terminal: Terminal;
  readonly #monitor: Monitor;
  #inMonitor = false;
  /** While the monitor holds the guest. */
  #held: Promise<void> | undefined;
  #release: (() => void) | null = null;
  /** Idle nanoseconds that have been skipped in virtual time and not yet slept. */
  #owed = 0;

  constructor(machine: Machine, output: Output, actions: ConsoleActions) {
    this.#machine = machine;
    this.#output = output;
    const console = this;
    this.#monitor = new Monitor(
      {
        registers: () =>
          machine.states.flatMap((cpu) => [
            ...(machine.states.length > 1 ? [`Processor ${cpu.index}`] : []),
            ...registerDump(cpu, true),
          ]),
        code: () => codeAround(machine, machine.current),
        statistics: () => actions.statistics(),
        quit: () => actions.quit(),
        pause: () => this.#pause(),
        resume: () => this.#resume(),
        get paused() {
          return console.#held !== undefined;
        },
      },
      (text) => this.#write(text),
    );
    this.#terminal = new Terminal(process.stdin, {
      type: (bytes) => {
        if (this.#inMonitor) void this.#monitor.type(bytes);
        else machine.type(bytes);
      },
      command: (command) => this.#command(command, actions),
      end: () => {},
    });
  }

  /** Whether a person sits at it. */
  get interactive(): boolean {
    return this.#terminal.interactive;
  }

  start(): void {
    this.#terminal.start();
  }

  stop(): void {
    this.#resume();
    this.#terminal.stop();
  }

  /** Ends any waiting. */
  wake(): void {
    this.#resume();
    this.#terminal.wake();
  }

  /** What the guest has to wait for. */
  held(): Promise<void> | undefined {
    return this.#held;
  }

  /**
   * For `RunOptions.onIdle`. With a person at the terminal an idle second lasts a second; otherwise idle time
   * is skipped, and only a machine that nothing but input can wake waits for it.
   */
  readonly onIdle = async (nanoseconds: number): Promise<number> => {
    if (nanoseconds === Number.POSITIVE_INFINITY) {
      if (!this.#terminal.open) return nanoseconds;
      await this.#flushed();
      await this.#terminal.input(nanoseconds);
      return 0;
    }
    if (!this.interactive) return nanoseconds;
    this.#owed += nanoseconds;
    if (this.#owed < SHORTEST_SLEEP) return nanoseconds;
    await this.#flushed();
    const start = performance.now();
    await this.#terminal.input(this.#owed / 1e6);
    this.#owed -= Math.round((performance.now() - start) * 1e6);
    // Woken by a key: what is still owed has not passed, and the key comes at this earlier time.
    const passed = Math.min(nanoseconds, Math.max(0, nanoseconds - this.#owed));
    this.#owed = Math.min(0, this.#owed);
    return passed;
  };

  async #flushed(): Promise<void> {
    await this.#output.flush();
  }

  #command(command: EscapeCommand, actions: ConsoleActions): void {
    switch (command) {
      case "quit":
        actions.quit();
        break;
      case "break":
        this.#machine.platform.console.receiveBreak();
        break;
      case "help":
        this.#write(["", ...ESCAPE_HELP, ""].join("\r\n"));
        break;
      case "monitor":
        this.#inMonitor = !this.#inMonitor;
        if (this.#inMonitor) this.#monitor.enter();
        else this.#monitor.leave();
        break;
    }
  }

  #pause(): void {
    this.#held ??= new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  #resume(): void {
    this.#held = undefined;
    this.#release?.();
    this.#release = null;
  }

  /** To the terminal, between the guest's bytes. */
  #write(text: string): void {
    for (const byte of Buffer.from(text)) this.#output.byte(byte);
    void this.#output.flush();
  }
}
