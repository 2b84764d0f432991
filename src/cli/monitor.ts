/** The monitor behind Ctrl-A c: a line at a time, while the guest goes on unless it is stopped. */

/** What the monitor can do to the run. */
export interface MonitorActions {
  /** Lines to show. */
  registers(): readonly string[];
  code(): Promise<readonly string[]>;
  statistics(): Promise<readonly string[]>;
  quit(): void;
  pause(): void;
  resume(): void;
  readonly paused: boolean;
}

interface Command {
  readonly words: readonly string[];
  readonly help: string;
  /** Lines to show. */
  run(actions: MonitorActions): readonly string[] | Promise<readonly string[]>;
}

/** For commands that show nothing. */
function silently(act: (actions: MonitorActions) => void): Command["run"] {
  return (actions) => {
    act(actions);
    return [];
  };
}

export const COMMANDS: readonly Command[] = [
  { words: ["help", "?"], help: "this list", run: () => helpLines() },
  { words: ["info registers", "ir"], help: "the processor's registers", run: (a) => a.registers() },
  { words: ["info code", "ic"], help: "the instructions around RIP", run: (a) => a.code() },
  { words: ["stats", "info stats"], help: "what --stats prints, so far", run: (a) => a.statistics() },
  { words: ["stop", "s"], help: "hold the guest", run: silently((a) => a.pause()) },
  { words: ["continue", "cont", "c"], help: "let the guest go on", run: silently((a) => a.resume()) },
  { words: ["quit", "q"], help: "leave the emulator", run: silently((a) => a.quit()) },
];

function helpLines(): string[] {
  return COMMANDS.map(({ words, help }) => `${words.join(", ").padEnd(24)} ${help}`);
}

const PROMPT = "(ukl-emu) ";
const BACKSPACE = "\b \b";
const KEY = { CTRL_C: 0x03, BACKSPACE: 0x08, LF: 0x0a, CR: 0x0d, CTRL_U: 0x15, DELETE: 0x7f } as const;

export class Monitor {
  readonly #actions: MonitorActions;
  readonly #write: (text: string) => void;
  #line = "";

  /** @param write text to the terminal, which is in raw mode */
  constructor(actions: MonitorActions, write: (text: string) => void) {
    this.#actions = actions;
    this.#write = write;
  }

  /** The keyboard now belongs to the monitor. */
  enter(): void {
    const state = this.#actions.paused ? "The guest is stopped." : "The guest goes on.";
    this.#write(`\r\nukl-emu monitor. ${state} "help" lists commands; Ctrl-A c goes back.\r\n${PROMPT}`);
  }

  /** The keyboard belongs to the console again. */
  leave(): void {
    this.#line = "";
    this.#write("\r\n");
  }

  async type(bytes: Uint8Array): Promise<void> {
    for (const byte of bytes) {
      if (byte === KEY.CR || byte === KEY.LF) {
        this.#write("\r\n");
        const line = this.#line.trim().replace(/\s+/g, " ");
        this.#line = "";
        await this.#execute(line);
        this.#write(PROMPT);
      } else if (byte === KEY.BACKSPACE || byte === KEY.DELETE) {
        if (this.#line !== "") this.#write(BACKSPACE);
        this.#line = this.#line.slice(0, -1);
      } else if (byte === KEY.CTRL_U || byte === KEY.CTRL_C) {
        this.#write(BACKSPACE.repeat(this.#line.length));
        this.#line = "";
      } else if (byte >= 0x20 && byte < 0x7f) {
        this.#line += String.fromCharCode(byte);
        this.#write(String.fromCharCode(byte));
      }
    }
  }

  async #execute(line: string): Promise<void> {
    if (line === "") return;
    const command = COMMANDS.find(({ words }) => words.includes(line));
    const lines = command
      ? await command.run(this.#actions)
      : [`unknown command "${line}": "help" lists those there are`];
    for (const text of lines) this.#write(`${text}\r\n`);
  }
}
