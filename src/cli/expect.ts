/**
 * `--expect`: finds a pattern in console output as it streams by. Lines are matched one by one, without
 * their CR and LF; the line under way is matched with every byte, since a prompt is never finished.
 */

/** A line longer than this is matched in pieces that overlap by half. */
const LONGEST = 8192;

export class Expectation {
  readonly #pattern: RegExp;
  /** `$` asks for the end of a line: such patterns wait for it. */
  readonly #wholeLines: boolean;
  readonly #decoder = new TextDecoder();
  #line = "";
  met = false;

  constructor(pattern: RegExp) {
    this.#pattern = pattern;
    this.#wholeLines = hasEndAnchor(pattern.source);
  }

  /** One byte of output. @returns whether this byte completes the match */
  byte(byte: number): boolean {
    if (this.met) return false;
    if (byte === 0x0a) {
      this.#line += this.#decoder.decode();
      this.met = this.#matches(this.#line.replace(/\r+$/, ""));
      this.#line = "";
      return this.met;
    }
    const text = this.#decoder.decode(Uint8Array.of(byte), { stream: true });
    if (text === "") return false;
    this.#line += text;
    if (!this.#wholeLines) this.met = this.#matches(this.#line);
    if (this.#line.length > LONGEST) this.#line = this.#line.slice(-LONGEST / 2);
    return this.met;
  }

  /** The output is over: a last line without LF counts. */
  end(): boolean {
    if (!this.met && this.#line !== "") this.met = this.#matches(this.#line.replace(/\r+$/, ""));
    return this.met;
  }

  #matches(line: string): boolean {
    return this.#pattern.test(line);
  }
}

/** Whether an unescaped `$` stands outside of a character class. */
export function hasEndAnchor(source: string): boolean {
  let inClass = false;
  for (let i = 0; i < source.length; i++) {
    const character = source[i];
    if (character === "\\") i++;
    else if (character === "[") inClass = true;
    else if (character === "]") inClass = false;
    else if (character === "$" && !inClass) return true;
  }
  return false;
}
