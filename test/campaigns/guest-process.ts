/** A running guest: its console as text to wait for and to type at. */
import { type ChildProcess, spawn } from "node:child_process";

/** A guest that did not say what was expected. */
export class GuestError extends Error {}

interface Waiter {
  readonly pattern: RegExp;
  readonly resolve: (match: RegExpExecArray) => void;
  readonly reject: (error: Error) => void;
}

export class GuestProcess {
  readonly #child: ChildProcess;
  readonly #started = performance.now();
  #console = "";
  #messages = "";
  /** Where the next expectation begins to look. */
  #seen = 0;
  #skipped = "";
  #waiter: Waiter | null = null;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  #over = false;
  /** Called with each complete line of the console. */
  onLine: (line: string) => void = () => {};
  #line = "";

  /** @param niceness added to the process's, so that long campaigns leave the machine to others */
  constructor(command: readonly string[], niceness = 0) {
    const [program, ...args] = niceness > 0 ? ["nice", "-n", String(niceness), ...command] : command;
    this.#child = spawn(program!, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdout!.setEncoding("latin1").on("data", (text: string) => this.#receive(text));
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#messages += text;
    });
    this.#child.stdin!.on("error", () => {});
    this.ended = new Promise((resolve, reject) => {
      this.#child.on("error", reject).on("close", (code, signal) => {
        this.#over = true;
        this.#settle();
        resolve(code ?? signal ?? -1);
      });
    });
  }

  #receive(text: string): void {
    this.#console += text;
    const lines = (this.#line + text).split("\n");
    this.#line = lines.pop()!;
    for (const line of lines) this.onLine(line.replace(/\r+$/, ""));
    this.#settle();
  }

  #settle(): void {
    const waiter = this.#waiter;
    if (waiter === null) return;
    const match = waiter.pattern.exec(this.#console.slice(this.#seen));
    if (match) {
      this.#waiter = null;
      this.#skipped = this.#console.slice(this.#seen, this.#seen + match.index).replaceAll("\r", "");
      this.#seen += match.index + match[0].length;
      waiter.resolve(match);
    } else if (this.#over) {
      this.#waiter = null;
      waiter.reject(new GuestError(`ended before ${waiter.pattern}: ${this.tail()}`));
    }
  }

  /**
   * Waits until the console says something, behind what the last expectation matched.
   * @param seconds of wall time
   * @throws GuestError if it does not, or the guest ends
   */
  async expect(pattern: RegExp, seconds: number): Promise<RegExpExecArray> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.#waiter = { pattern, resolve, reject };
        timer = setTimeout(() => {
          this.#waiter = null;
          reject(new GuestError(`no ${pattern} within ${seconds} s: ${this.tail()}`));
        }, seconds * 1000);
        this.#settle();
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** What stood before the match of the last expectation, from the one before it on. */
  get skipped(): string {
    return this.#skipped;
  }

  /** Types at the console. */
  type(text: string): void {
    this.#child.stdin!.write(text);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Wall seconds since the start. */
  get seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** All that the console has said, without carriage returns. */
  get console(): string {
    return this.#console.replaceAll("\r", "");
  }

  /** What the machine itself has said. */
  get messages(): string {
    return this.#messages;
  }

  /** The last lines, for errors. */
  tail(lines = 8): string {
    const all = `${this.console}\n${this.#messages}`.split("\n").filter(Boolean);
    return all.slice(-lines).join(" | ");
  }
}

/** Signs of a kernel that is not content with its machine. */
export const COMPLAINTS =
  /WARNING|BUG:|\bOops|Call Trace|unchecked MSR|panic|segfault|lockup|stall|TSC warp|hung_task|blocked for more than|I\/O error|EXT4-fs error|\[Firmware (Bug|Warn)/i;
