/** Options within an option: `name=value,flag,...`. */
import { UserError } from "./errors.ts";

/** Splits at commas; two of them stand for one that belongs to a value. */
export function splitAtCommas(text: string): string[] {
  const found = [""];
  for (const piece of text.match(/,,|,|[^,]+/g) ?? []) {
    if (piece === ",") found.push("");
    else found[found.length - 1] += piece === ",," ? "," : piece;
  }
  return found;
}

/** Its methods throw `UserError`. */
export class Suboptions {
  readonly #option: string;
  readonly #form: string;
  readonly #text: string;
  readonly #given = new Map<string, (string | true)[]>();

  /**
   * @param form what is expected, for messages
   * @param text what was found, for messages
   * @param words the options in it
   */
  constructor(option: string, form: string, text: string, words: readonly string[] = splitAtCommas(text)) {
    this.#option = option;
    this.#form = form;
    this.#text = text;
    for (const word of words) {
      const equals = word.indexOf("=");
      const key = equals < 0 ? word : word.slice(0, equals);
      const values = this.#given.get(key) ?? [];
      values.push(equals < 0 ? true : word.slice(equals + 1));
      this.#given.set(key, values);
    }
  }

  /** What is wrong with a value. */
  wrong(key: string, expected: string, found: string): UserError {
    return new UserError(`${this.#option}: expected ${key}=${expected}, found "${key}=${found}"`);
  }

  /** All values of an option that may be given again. */
  values(key: string): string[] {
    const found = this.#given.get(key) ?? [];
    this.#given.delete(key);
    return found.map((value) => {
      if (value !== true && value !== "") return value;
      throw new UserError(`${this.#option}: expected a value behind ${key}=, found none in "${this.#text}"`);
    });
  }

  value(key: string): string | undefined {
    const values = this.values(key);
    if (values.length > 1) throw this.#repeated(key);
    return values[0];
  }

  #repeated(key: string): UserError {
    return new UserError(`${this.#option}: expected ${key} once, found it twice in "${this.#text}"`);
  }

  /** An option that has to be there. */
  required(key: string): string {
    const value = this.value(key);
    if (value !== undefined) return value;
    throw new UserError(`${this.#option}: expected ${this.#form}, found "${this.#text}"`);
  }

  /** One of several words, or undefined. */
  choice<const T extends string>(key: string, words: readonly T[]): T | undefined {
    const text = this.value(key);
    const word = words.find((word) => word === text);
    if (text === undefined || word !== undefined) return word;
    throw this.wrong(key, words.join(` or ${key}=`), text);
  }

  /** A whole number. */
  number(key: string, least: number, most: number): number | undefined {
    const text = this.value(key);
    if (text === undefined) return undefined;
    const number = /^\d{1,9}$/.test(text) ? Number(text) : -1;
    if (number >= least && number <= most) return number;
    throw this.wrong(key, `a whole number from ${least} to ${most}`, text);
  }

  /** `key`, `key=on` or `key=off`. */
  flag(key: string): boolean {
    const values = this.#given.get(key) ?? ["off"];
    this.#given.delete(key);
    const [value] = values;
    if (values.length > 1) throw this.#repeated(key);
    if (value === true || value === "on") return true;
    if (value === "off") return false;
    throw new UserError(`${this.#option}: expected ${key}, ${key}=on or ${key}=off, found "${key}=${value}"`);
  }

  /** Everything has been asked for. */
  end(): void {
    const [unknown] = this.#given.keys();
    if (unknown === undefined) return;
    throw new UserError(`${this.#option}: expected ${this.#form}, found "${unknown}"`);
  }
}
