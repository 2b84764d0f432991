/** Ctrl-A and a letter, as QEMU's `-nographic` has them. */

export type EscapeCommand = "quit" | "monitor" | "help" | "break";

const CTRL_A = 0x01;

const COMMANDS: Readonly<Record<string, EscapeCommand>> = {
  x: "quit",
  c: "monitor",
  h: "help",
  "?": "help",
  b: "break",
};

export const ESCAPE_HELP = [
  "Ctrl-A h      this help",
  "Ctrl-A x      leave the emulator",
  "Ctrl-A b      send a break",
  "Ctrl-A c      switch between the console and the monitor",
  "Ctrl-A Ctrl-A send Ctrl-A",
] as const;

/** Finds escape commands in what is typed. Other letters after Ctrl-A are dropped with it. */
export class EscapeKeys {
  #escaped = false;

  /** What was typed, in order: bytes for whoever has the keyboard, and commands. */
  parse(bytes: Uint8Array): (Uint8Array | EscapeCommand)[] {
    const parts: (Uint8Array | EscapeCommand)[] = [];
    let plain: number[] = [];
    const cut = () => {
      if (plain.length > 0) parts.push(Uint8Array.from(plain));
      plain = [];
    };
    for (const byte of bytes) {
      if (!this.#escaped) {
        if (byte === CTRL_A) this.#escaped = true;
        else plain.push(byte);
        continue;
      }
      this.#escaped = false;
      if (byte === CTRL_A) plain.push(byte);
      const command = COMMANDS[String.fromCharCode(byte)];
      if (command === undefined) continue;
      cut();
      parts.push(command);
    }
    cut();
    return parts;
  }
}
