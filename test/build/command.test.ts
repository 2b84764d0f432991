import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { useCli } from "../cli/run-cli.ts";
import { apps } from "../ukl-kernel/run-image.ts";
import { hasTools } from "./assemble.ts";

describe.skipIf(!hasTools)("the command (needs gcc)", () => {
  const cli = useCli();

  test.each<[string, string[], RegExp]>([
    ["no output", ["a.c", "--link", "ukl"], /expected -o IMAGE/],
    ["no mode", ["a.c", "-o", "a.bin"], /expected --link with ring3, kml, zpoline, ukl, ukl-byp, shortcut/],
    [
      "an unknown mode",
      ["a.c", "-o", "a.bin", "--link", "ring2"],
      /--link: expected ring3, .* or shortcut, found "ring2"/,
    ],
    ["two modes", ["a.c", "-o", "a.bin", "--link", "ukl", "--link", "kml"], /--link: expected one value/],
    [
      "a word for a switch",
      ["a.c", "-o", "a.bin", "--link", "ukl", "--stack-switch", "yes"],
      /expected on or off, found "yes"/,
    ],
    [
      "half a file",
      ["a.c", "-o", "a.bin", "--link", "ukl", "--with", "=x"],
      /--with: expected FILE or FILE=PATH/,
    ],
  ])("%s: one line and exit code 2", async (_, args, says) => {
    const { code, stdout, stderr } = await cli.run(["build", ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toMatch(says);
  });

  test("a compile error: gcc's lines, then one of ours; no file is written", async () => {
    mkdirSync(join(cli.work, "sources"));
    writeFileSync(join(cli.work, "sources", "wrong.c"), "int main(void) { return undeclared; }\n");
    const { code, stderr } = await cli.run(["build", "sources/wrong.c", "-o", "a.bin", "--link", "kml"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^sources\/wrong\.c: In function/);
    expect(stderr.trimEnd().split("\n").at(-1)).toMatch(
      /^ukl-emu: sources\/wrong\.c: expected C that gcc compiles/,
    );
    expect(cli.files()).toEqual(["sources"]);
  });

  test("builds an image that boots, and says what it did", async () => {
    const args = ["build", join(apps, "hello.c"), "-o", "hello.bin", "--link", "zpoline"];
    const { code, stdout, stderr } = await cli.run(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(
      /^hello\.bin: [\d,]+ bytes, zpoline, \d+ SYSCALL instructions replaced, initial file/,
    );
    const json = JSON.parse((await cli.run([...args, "--json"])).stdout);
    const size = readFileSync(join(cli.work, "hello.bin")).length;
    expect(json).toMatchObject({ output: "hello.bin", size, link: "zpoline", missingCalls: [] });
    const boot = await cli.run(["boot", "hello.bin"]);
    expect(boot).toMatchObject({ code: 0, stdout: expect.stringContaining("Hello from ring 0") });
  });

  test("--with, --append and --keep: files, arguments, what the linker made", async () => {
    writeFileSync(
      join(cli.work, "cat.c"),
      '#include <stdio.h>\nint main(int n, char **v) { char s[9] = ""; FILE *f = fopen(v[n - 1], "r");\n' +
        'puts(f && fgets(s, 9, f) ? s : "no file"); return 0; }\n',
    );
    writeFileSync(join(cli.work, "text"), "inside");
    const { code } = await cli.run([
      ...["build", "cat.c", "-o", "cat.bin", "--link", "ukl", "--with", "text=/a/b/text"],
      ...["--append=-- /a/b/text", "--keep", "kept"],
    ]);
    expect(code).toBe(0);
    expect((await cli.run(["boot", "cat.bin"])).stdout).toContain("inside");
    expect(readFileSync(join(cli.work, "kept", "image.elf.map"), "utf8")).toContain("ukl_stubs_start");
  });

  test("an output that cannot be written", async () => {
    const args = ["build", join(apps, "hello.c"), "-o", "no/where.bin", "--link", "ukl"];
    const { code, stderr } = await cli.run(args);
    expect(stderr).toMatch(/^ukl-emu: no\/where\.bin: expected a file to write to, found no such file/);
    expect(code).toBe(2);
  });
});
