/** Values of options. */
import { describe, expect, test } from "vitest";
import { UserError } from "../../src/cli/errors.ts";
import {
  parseCount,
  parseDuration,
  parseProcessors,
  parseQuantum,
  parseRegex,
  parseSeed,
  parseSerial,
  parseSize,
  parseTraces,
} from "../../src/cli/options.ts";

/** The parser gives these values, and refuses these texts with one line that names option and text. */
function cases<T>(parse: (option: string, text: string) => T, good: [string, T][], bad: string[]): void {
  test.each(good)("%j is taken", (text, value) => {
    expect(parse("--option", text)).toEqual(value);
  });
  test.each(bad)("%j is refused", (text) => {
    expect(() => parse("--option", text)).toThrow(UserError);
    expect(() => parse("--option", text)).toThrow(/^--option: expected [^\n]+, found [^\n]+$/);
  });
}

describe("sizes", () => {
  const good: [string, number][] = [
    ["512M", 512 << 20],
    ["1G", 1 << 30],
    ["1.5G", 1.5 * 2 ** 30],
    ["64k", 65536],
    ["64KiB", 65536],
    ["8MB", 8 << 20],
  ];
  cases(parseSize, good, ["", "512", "M", "1T", "1e3M", " 1M", "0x10M", "1.23456789K", "99999999999999G"]);
});

describe("times", () => {
  const good: [string, number][] = [
    ["60s", 60_000],
    ["60", 60_000],
    ["500ms", 500],
    ["2m", 120_000],
    ["1.5h", 5_400_000],
  ];
  cases(parseDuration, good, ["", "0", "0s", "-1s", "soon", "1d", "1000h", "1 s"]);
});

describe("counts", () => {
  const good: [string, number][] = [
    ["1", 1],
    ["1000000", 1_000_000],
    ["1e9", 1e9],
    ["20M", 20e6],
    ["1.5G", 1.5e9],
  ];
  cases(parseCount, good, ["", "0", "1.5", "-1", "1e99", "ten", "1MiB"]);
});

describe("numbers of processors", () => {
  const good: [string, number][] = [
    ["1", 1],
    ["4", 4],
    ["16", 16],
  ];
  cases(parseProcessors, good, ["", "0", "17", "-1", "2.5", "four", "1e1", "99999"]);
});

describe("quanta", () => {
  const good: [string, number][] = [
    ["10us", 10_000],
    ["1.5us", 1500],
    ["2000ns", 2000],
    ["1ms", 1e6],
  ];
  cases(parseQuantum, good, ["", "10", "10s", "999ns", "2ms", "0us", "-5us", "1.0005us"]);
});

describe("seeds", () => {
  test.each([
    ["0", "0"],
    ["0xFF", "255"],
    ["18446744073709551615", "18446744073709551615"],
  ])("%s is %s", (text, value) => {
    expect(String(parseSeed("--seed", text))).toBe(value);
  });
  cases(parseSeed, [], ["", "-1", "18446744073709551616", "1.0", "FF"]);
});

describe("serial targets", () => {
  const good: [string, ReturnType<typeof parseSerial>][] = [
    ["stdio", "stdio"],
    ["none", "none"],
    ["file:a:b", { file: "a:b" }],
  ];
  cases(parseSerial, good, ["", "file:", "tcp:1", "Stdio"]);
});

describe("regular expressions", () => {
  test("are those of JavaScript with Unicode", () => {
    expect(parseRegex("--option", "^a.b$").test("a\u{1f600}b")).toBe(true);
  });
  cases(parseRegex, [], ["", "(", "[b-a]", "\\"]);
});

describe("traces", () => {
  test("the kinds of one list share its file", () => {
    expect(parseTraces("--trace", ["int,io:a.txt", "insn"])).toEqual([
      { kinds: ["int", "io"], file: "a.txt" },
      { kinds: ["insn"] },
    ]);
  });
  test("a file name may hold commas and colons", () => {
    expect(parseTraces("--trace", ["mmu:a,b:c"])).toEqual([{ kinds: ["mmu"], file: "a,b:c" }]);
  });
  test.each([[[""]], [["int,"]], [["int:"]], [["cpu"]], [["int", "int"]], [["io,io:x"]]])(
    "%j is refused",
    (texts) => {
      expect(() => parseTraces("--trace", texts)).toThrow(/^--trace: expected [^\n]+, found [^\n]+$/);
    },
  );
});
