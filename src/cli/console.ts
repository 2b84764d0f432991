/** The guest's console on standard input and output, with the monitor behind it. */
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

export class Console {
  readonly #machine: Machine;
  readonly #output: Output;
  readonly #terminal: Terminal;
  readonly #monitor: Monitor;
  #inMonitor = false;
  /** While the monitor holds the guest. */
  #held: Promise<void> | undefined;
  #release: (() => void) | null = null;

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
      end: () => {
        machine.outside.mayType = false;
        machine.outside.wake();
      },
    });
  }

  /** Whether a person sits at it. */
  get interactive(): boolean {
    return this.#terminal.interactive;
  }

  start(): void {
    this.#machine.outside.mayType = true;
    this.#terminal.start();
  }

  stop(): void {
    this.#resume();
    this.#terminal.stop();
  }

  /** Ends any waiting for the monitor. */
  wake(): void {
    this.#resume();
  }

  /** What the guest has to wait for. */
  held(): Promise<void> | undefined {
    return this.#held;
  }

  #command(command: EscapeCommand, actions: ConsoleActions): void {
    switch (command) {
      case "quit":
        actions.quit();
        break;
      case "break":
        this.#machine.outside.sendBreak();
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
