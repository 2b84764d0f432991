/** `ukl-emu trace`: what goes where, and bad input. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { buildRingGuest, hasTools } from "../debug/rings.ts";
import * as g from "./guests.ts";
import { useCli } from "./run-cli.ts";

const cli = useCli();

function write(name: string, contents: Uint8Array | string): string {
  const path = join(cli.work, name);
  writeFileSync(path, contents);
  return path;
}

describe.skipIf(!hasTools)("a trace", () => {
  let image: string;
  let plain: string;
  let elf: string;
  beforeAll(() => {
    const guest = buildRingGuest();
    image = write("rings.bin", guest.image);
    plain = write("plain.bin", guest.plain);
    elf = write("rings.elf", guest.elf);
  });

  test("is on standard output, one line for each transition", async () => {
    const { code, stdout, stderr } = await cli.run(["trace", image]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(18);
    expect(lines[0]).toMatch(/^# +seconds +instructions +ring +by +from +to +what$/);
    expect(lines[2]).toMatch(/ 3 > 0 +SYSCALL +program\+0x\w+ +-> entry_syscall +write\(1, "Text /);
  });

  test("takes names from a file, and says so when there are none", async () => {
    const without = await cli.run(["trace", plain]);
    expect(without.code).toBe(0);
    expect(without.stderr).toMatch(/^ukl-emu: .*plain\.bin has no symbols: .*--symbols FILE names them\n$/);
    expect(without.stdout).not.toContain("entry_syscall");
    const named = await cli.run(["trace", plain, "--symbols", elf]);
    expect(named.stderr).toBe("");
    expect(named.stdout).toMatch(/ 3 > 0 +SYSCALL +program\+0x\w+ +-> entry_syscall /);
  });

  test("with --summary is tables instead, or one JSON object", async () => {
    const { stdout } = await cli.run(["trace", image, "--summary"]);
    expect(stdout).toMatch(/^Ring +Arrivals +Instructions +Time +of it idle +Share\nring 3 +5 /);
    expect(stdout).toMatch(/^write +1 +0 +1 /m);
    expect(stdout).not.toContain("->");
    const json = await cli.run(["trace", image, "--summary", "--json"]);
    expect(JSON.parse(json.stdout).systemCalls.write).toMatchObject({ count: 1, ended: 1 });
  });

  test("as JSON is one object a line", async () => {
    const { stdout } = await cli.run(["trace", image, "--json"]);
    const objects = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(objects).toHaveLength(17);
    expect(objects.filter(({ enters }) => enters?.kind === "system call")).toHaveLength(4);
  });

  test("goes to files, beside the summary", async () => {
    const output = join(cli.work, "lines.txt");
    const perfetto = join(cli.work, "perfetto.json");
    const { stdout } = await cli.run([
      ...["trace", image, "--summary", "--output", output, "--perfetto", perfetto],
    ]);
    expect(stdout).toMatch(/^Ring /);
    expect(readFileSync(output, "utf8")).toBe((await cli.run(["trace", image])).stdout);
    const { traceEvents } = JSON.parse(readFileSync(perfetto, "utf8"));
    const count = (ph: string) => traceEvents.filter((event: { ph: string }) => event.ph === ph).length;
    expect(count("B")).toBeGreaterThan(10);
    expect(count("E")).toBe(count("B"));
  });

  test("shows cycles of a timing model", async () => {
    const { stdout } = await cli.run(["trace", image, "--timing", "skylake"]);
    expect(stdout).toMatch(/^# +seconds +cycles /);
    expect(stdout).toMatch(/write = 9 <\d+ ns, \d+ cycles>$/m);
  });

  test("is complete when the run is cut short", async () => {
    const perfetto = join(cli.work, "cut.json");
    const result = await cli.run(["trace", image, "--max-instructions", "3660", "--perfetto", perfetto]);
    expect(result.code).toBe(124);
    expect(result.stdout).toBe("");
    const { traceEvents } = JSON.parse(readFileSync(perfetto, "utf8"));
    expect(traceEvents.at(-1).ph).toBe("E");
  });

  test("two runs are the same", async () => {
    const [first, second] = [await cli.run(["trace", image]), await cli.run(["trace", image])];
    expect(second).toEqual(first);
  });
});

describe("the guest's console", () => {
  test("is lines of the trace, the last one too", async () => {
    const image = write("console", g.guest(g.print('one\r\n"two"'), g.powerOff, g.forever));
    const { code, stdout } = await cli.run(["trace", image]);
    expect(code).toBe(0);
    expect(
      stdout
        .split("\n")
        .slice(1)
        .map((line) => line.trim().replace(/ +/g, " ").split(" ").slice(2).join(" ")),
    ).toEqual(['console "one"', 'console "\\"two\\""', ""]);
  });

  test("goes to standard error with --console, and is matched by --expect", async () => {
    const image = write("expect", g.guest(g.print("login: "), g.forever));
    const { code, stdout, stderr } = await cli.run(["trace", image, "--console", "--expect", "login:"]);
    expect(code).toBe(0);
    expect(stdout).not.toContain("console");
    expect(stderr).toContain("login:");
  });

  test("takes standard input", async () => {
    const image = write("echo", g.guest(g.echo, g.powerOff, g.forever));
    const { code, stdout } = await cli.run(["trace", image], { input: "abcq" });
    expect(code).toBe(0);
    expect(stdout).toMatch(/console +"abcq"$/m);
  });
});

describe("what cannot be used is one line and exit code 2", () => {
  test.each([
    [["--symbols", "none"], /^ukl-emu: none: expected a file with symbols, found no such file$/],
    [["--timing", "z80"], /^ukl-emu: --timing: expected a timing model, one of none, .*, found "z80"$/],
    [
      ["--output", "/nowhere/file"],
      /^ukl-emu: \/nowhere\/file: expected a file to write to, found no such file$/,
    ],
    [["--max-instructions", "many"], /^ukl-emu: --max-instructions: expected /],
    [["--summary", "--perfetto="], /^ukl-emu: --perfetto: expected a file name, found nothing$/],
  ])("%j", async (options, message) => {
    const image = write("guest", g.guest(g.powerOff, g.forever));
    const { code, stdout, stderr } = await cli.run(["trace", image, ...options]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.trimEnd()).toMatch(message);
  });

  test("a file that has no symbols", async () => {
    const image = write("guest2", g.guest(g.powerOff, g.forever));
    const { code, stderr } = await cli.run(["trace", image, "--symbols", write("text", "nothing")]);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /text: expected an ELF file with symbols, a System\.map or an image of ukl-emu build/,
    );
  });
});
