/** `ukl-emu measure` as a process. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Report } from "../../src/measure/report.ts";
import * as guests from "./guests.ts";
import { type CliResult, useCli } from "./run-cli.ts";

const cli = useCli();
const mechanisms = join(import.meta.dirname, "..", "..", "images", "mechanisms.bin");

/** A file in the working directory. */
function file(name: string, contents: Uint8Array | string): string {
  writeFileSync(join(cli.work, name), contents);
  return name;
}

test("the mechanisms as a table, with progress on standard error", async () => {
  const { code, stdout, stderr } = await cli.run(["measure", "--calls", "mechanisms"]);
  expect(code).toBe(0);
  expect(stderr).toMatch(/^ukl-emu: measured mechanisms: 25 rows in [\d.]+ s \(1 of 1 images\)\n$/);
  expect(stdout).toMatch(/^SYSCALL\/SYSRET +76 +76 +\+0\.0 % +\+82 +\+152 /m);
  expect(stdout).toMatch(/^ {2}cr3\.keep = \d+ /m);
});

test("one mode and one call: the function call it is compared with comes along", async () => {
  const { code, stdout } = await cli.run(["measure", "--link", "ring3", "--calls", "empty", "--json"]);
  expect(code).toBe(0);
  const { images, mechanisms: none, command, model } = JSON.parse(stdout) as Report;
  expect(none).toBeNull();
  expect(command).toBe("ukl-emu measure --link ring3 --calls empty --json");
  expect(model).toMatchObject({ name: "skylake", frequencyHz: 3.6e9 });
  expect(images.map(({ mode, rows }) => [mode, rows.map(({ call }) => call)])).toEqual([
    ["ring3", ["function", "empty"]],
  ]);
});

test("the same command gives the same bytes, as CSV and as a page", async () => {
  const run = async (page: string) => {
    const args = ["measure", "--link", "ring3,ukl-byp", "--calls", "read", "--payload", "1", "--csv"];
    const { code, stdout } = await cli.run([...args, "--html", "page.html"]);
    expect(code).toBe(0);
    const html = readFileSync(join(cli.work, "page.html"), "utf8");
    writeFileSync(join(cli.work, page), html);
    return stdout + html;
  };
  const first = await run("first.html");
  expect(await run("second.html")).toBe(first);
  expect(first).toMatch(/ring3,read,1,8,all,\d+/);
  expect(first).toContain("<!doctype html>");
});

describe("any image", () => {
  test("between two symbols of the image, so many times", async () => {
    const args = [
      "measure",
      "--image",
      mechanisms,
      "--between",
      "way_int_0,measure_end",
      "--count",
      "3",
      "--json",
    ];
    const { code, stdout } = await cli.run(args);
    expect(code).toBe(0);
    const { images } = JSON.parse(stdout) as Report;
    expect(images[0]!.rows).toMatchObject([{ call: "way_int_0 to measure_end", rounds: 3 }]);
    // Two moves, the marker's call, its six instructions, INT, IRET, and the call of measure_end.
    expect(images[0]!.rows[0]!.total).toMatchObject({ instructions: 11, ringTransitions: 2 });
  });

  test("by its markers, and with symbols from a System.map", async () => {
    const map = "0000000000100021 T first\n0000000000100023 T second\n";
    const image = file("guest.bin", guests.guest([0x90, 0x90, 0x90, 0x90], guests.powerOff));
    const args = [
      "measure",
      "--image",
      image,
      "--symbols",
      file("guest.map", map),
      "--between",
      "first,second",
    ];
    const { code, stdout } = await cli.run([...args, "--model", "none"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^first to second +0 +2 /m);
    const own = await cli.run(["measure", "--image", mechanisms, "--json"]);
    expect((JSON.parse(own.stdout) as Report).images[0]!.rows.length).toBe(25);
  });
});

describe("what cannot be measured is told in one line, exit code 2", () => {
  const one = (result: CliResult, text: RegExp) => {
    expect(result.stdout).toBe("");
    expect(result.stderr).toMatch(/^ukl-emu: [^\n]+\n$/);
    expect(result.stderr).toMatch(text);
    expect(result.code).toBe(2);
  };

  const cases: [name: string, args: string[], says: RegExp][] = [
    [
      "a link mode without an image",
      ["--link", "ring4"],
      /--link: expected some of .*ring3.*, found "ring4"/,
    ],
    ["a call", ["--link", "ring3", "--calls", "raed"], /--calls: expected some of .*read.*, found "raed"/],
    [
      "a payload",
      ["--link", "ring3", "--payload", "3"],
      /--payload: expected some of 1, 256, 1024, 4096, 8192, found 3/,
    ],
    ["a payload that is no number", ["--payload", "1k"], /--payload: expected bytes .* found "1k"/],
    ["a model", ["--model", "i486"], /--model: expected a timing model, one of .*skylake.*, found "i486"/],
    ["one symbol", ["--image", mechanisms, "--between", "start"], /--between: expected two symbols, found 1/],
    ["--between without an image", ["--between", "a,b"], /--between: expected with --image FILE/],
    ["--link with an image", ["--image", mechanisms, "--link", "ukl"], /--link: expected without --image/],
    ["two formats", ["--json", "--csv"], /expected one of them/],
    [
      "an image that is not there",
      ["--image", "none.bin"],
      /none\.bin: expected a kernel image, found no such file/,
    ],
    [
      "a symbol, with its neighbours",
      ["--image", mechanisms, "--between", "way_syscal,measure_end"],
      /--between: expected a symbol of .*mechanisms\.bin, found no way_syscal among \d+; near it: way_syscall/,
    ],
    [
      "a symbol that is never reached",
      ["--image", mechanisms, "--between", "exception,power_off"],
      /expected it to reach exception and then power_off, found power-off after \d+ instructions/,
    ],
    [
      "a page that cannot be written",
      ["--html", "no/such/page.html"],
      /no\/such\/page\.html: expected a file to write to/,
    ],
  ];
  test.each(cases)("%s", async (_name, args, says) => one(await cli.run(["measure", ...args]), says));

  test("an image without symbols, and one without the markers", async () => {
    const image = file("plain.bin", guests.guest(guests.powerOff));
    one(await cli.run(["measure", "--image", image]), /plain\.bin: expected .*symbols.*--symbols/);
    const map = file("plain.map", "0000000000100020 T start\n");
    const result = await cli.run(["measure", "--image", image, "--symbols", map]);
    one(result, /plain\.bin: expected the symbols measure_begin and measure_end/);
  });

  test("nothing is left behind", async () => {
    one(await cli.run(["measure", "--link", "ring4", "--html", "left.html"]), /ring4/);
    expect(existsSync(join(cli.work, "left.html"))).toBe(false);
  });
});
test("a call without a payload that is named is measured beside --payload", async () => {
  const args = ["measure", "--link", "ukl-byp", "--calls", "getppid,read", "--payload", "256", "--json"];
  const { stdout } = await cli.run(args);
  const [image] = (JSON.parse(stdout) as { images: { rows: { call: string; payload: number }[] }[] }).images;
  expect(image!.rows.map(({ call, payload }) => `${call} ${payload}`)).toEqual(["getppid 0", "read 256"]);
});
