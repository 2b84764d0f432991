/** What cannot be used: one line, exit code 2, nothing left behind, never a stack trace. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { StructWriter } from "../../src/boot/bytes.ts";
import { makeBzImage, makeElf } from "../boot/images.ts";
import { type CliResult, hello, useCli } from "./run-cli.ts";

const cli = useCli();

const machines = { i386: 3, arm64: 183 };
const elfFor = (machine: number, bits: 32 | 64) =>
  makeElf({ machine, bits, segments: [{ physical: 0x10_0000, data: new Uint8Array(64) }] });

/** Pseudo-random bytes without a signature. */
function noise(length: number): Uint8Array {
  let state = 7;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 16;
  });
}

const files: Record<string, Uint8Array> = {
  empty: new Uint8Array(0),
  noise: noise(10_000),
  "one-byte": Uint8Array.of(0x7f),
  "truncated-setup": makeBzImage().subarray(0, 0x210),
  "truncated-payload": makeBzImage({ payloadLength: 0x4000 }).subarray(0, 0x1000),
  "truncated-elf": elfFor(62, 64).subarray(0, 100),
  "arm64-elf": elfFor(machines.arm64, 64),
  "i386-elf": elfFor(machines.i386, 32),
  "arm64-image": new StructWriter(4096).ascii(0x38, "ARMd").bytes,
  "gzip-data": Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3),
  "large-initrd": new Uint8Array(24 << 20),
  "empty-initrd": new Uint8Array(0),
};

function expectOneLine(result: CliResult, subject: string, text: RegExp): void {
  expect(result.stdout).toBe("");
  expect(result.stderr).toMatch(/^ukl-emu: [^\n]+\n$/);
  expect(result.stderr.startsWith(`ukl-emu: ${subject}: `), result.stderr).toBe(true);
  expect(result.stderr).toMatch(text);
  expect(result.code).toBe(2);
}

describe("files", () => {
  const cases: [file: string, says: RegExp][] = [
    ["empty", /found an empty file/],
    ["noise", /without a known signature/],
    ["one-byte", /expected a bzImage.*found 1 byte/],
    ["truncated-setup", /expected .*found/],
    ["truncated-payload", /expected .*found/],
    ["truncated-elf", /expected .*found/],
    ["arm64-elf", /expected .*found/],
    ["i386-elf", /32-bit ELF/],
    ["arm64-image", /found an arm64 kernel Image.*this machine is x86-64/],
    ["gzip-data", /found gzip-compressed data.*decompress it first/],
  ];
  for (const command of ["boot", "info"]) {
    test.each(cases)(`${command} refuses the file "%s"`, async (name, says) => {
      const path = join(cli.work, name);
      writeFileSync(path, files[name]!);
      const before = cli.files();
      expectOneLine(await cli.run([command, path]), path, says);
      expect(cli.files()).toEqual(before);
    });

    test(`${command} refuses a directory`, async () => {
      const path = join(cli.work, "directory");
      mkdirSync(path, { recursive: true });
      expectOneLine(await cli.run([command, path]), path, /expected a kernel image, found a directory/);
    });

    test(`${command} refuses a file that is not there`, async () => {
      expectOneLine(await cli.run([command, "nowhere"]), "nowhere", /found no such file/);
    });

    test(`${command} refuses a device`, async () => {
      expectOneLine(await cli.run([command, "/dev/zero"]), "/dev/zero", /found a special file/);
    });
  }

  test("a line end in a file's name does not break the message into two lines", async () => {
    const { code, stderr } = await cli.run(["boot", "two\nlines"]);
    expect(stderr).toBe("ukl-emu: two lines: expected a kernel image, found no such file\n");
    expect(code).toBe(2);
  });

  test("an initrd that does not fit is refused", async () => {
    const initrd = join(cli.work, "large-initrd");
    writeFileSync(initrd, files["large-initrd"]!);
    const kernel = join(cli.work, "kernel");
    writeFileSync(kernel, makeBzImage());
    const result = await cli.run(["boot", kernel, "--initrd", initrd, "--memory", "20M"]);
    expectOneLine(result, kernel, /initrd/);
  });

  test("an empty initrd is refused", async () => {
    const initrd = join(cli.work, "empty-initrd");
    writeFileSync(initrd, files["empty-initrd"]!);
    expectOneLine(await cli.run(["boot", hello, "--initrd", initrd]), hello, /initrd is empty/);
  });

  test("an initrd that is not there is refused", async () => {
    const result = await cli.run(["boot", hello, "--initrd", "nowhere"]);
    expectOneLine(result, "nowhere", /expected an initial RAM disk, found no such file/);
  });

  test("a kernel that does not fit into memory is refused", async () => {
    const kernel = join(cli.work, "kernel");
    writeFileSync(kernel, makeBzImage({ initSize: 64 << 20 }));
    expectOneLine(await cli.run(["boot", kernel, "--memory", "32M"]), kernel, /memory|RAM/);
  });
});

describe("options", () => {
  const cases: [args: string[], subject: string, says: RegExp][] = [
    [["--memory", "512"], "--memory", /expected a size such as 512M/],
    [["--memory", "1M"], "--memory", /2M to/],
    [["--memory", "64G"], "--memory", /2M to/],
    [["--memory", "1.3K"], "--memory", /expected/],
    [["--memory=-1M"], "--memory", /expected/],
    [["--memory", "1G", "--memory", "2G"], "--memory", /expected one value, found "1G" and "2G"/],
    [["--cpus", "17"], "--cpus", /expected a whole number from 1 to 16, found "17"/],
    [["--cpus", "2", "--quantum", "10"], "--quantum", /expected a time from 1us to 1ms/],
    [["--cpu", "pentium"], "--cpu", /known models are x86-64-v2/],
    [["--cpu", "x86-64-v2,+nothing"], "--cpu", /unknown CPU feature "nothing"/],
    [["--timeout", "soon"], "--timeout", /expected a time/],
    [["--timeout", "0"], "--timeout", /expected a time/],
    [["--max-instructions", "many"], "--max-instructions", /expected a positive whole number/],
    [["--max-instructions", "0"], "--max-instructions", /expected a positive whole number/],
    [["--expect", "("], "--expect", /Unterminated group/],
    [["--serial", "vc"], "--serial", /expected stdio, none or file:FILE/],
    [["--trace", "int,all"], "--trace", /expected a list of int, mmu, io, insn/],
    [["--trace", "int", "--trace", "int:x"], "--trace", /found int twice/],
    [["--seed", "-1"], "--seed", /expected a number from 0/],
  ];
  test.each(cases)("%j is refused", async (args, subject, says) => {
    const before = cli.files();
    expectOneLine(await cli.run(["boot", hello, ...args]), subject, says);
    expect(cli.files()).toEqual(before);
  });

  test.each([
    [[]],
    [["boot"]],
    [["bogus"]],
    [["boot", hello, "extra"]],
    [["boot", hello, "--bogus"]],
    [["info"]],
  ])("the command line %j is refused with a hint at --help", async (args) => {
    const { code, stdout, stderr } = await cli.run(args);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^ukl-emu: [^\n]+: see ukl-emu( boot| info)? --help\n$/);
    expect(code).toBe(2);
  });

  test("a trace file that cannot be written leaves no other file behind", async () => {
    const before = cli.files();
    const good = join(cli.work, "good-trace");
    const result = await cli.run(["boot", hello, "--trace", `int:${good}`, "--trace", "io:/nowhere/trace"]);
    expectOneLine(result, "/nowhere/trace", /expected a file to write to/);
    expect(cli.files()).toEqual(before);
  });

  test.skipIf(!existsSync("/dev/full"))("a full disk under the console or a trace is told", async () => {
    const says = /cannot be written to: no space left on the device/;
    expectOneLine(await cli.run(["boot", hello, "--serial", "file:/dev/full"]), "/dev/full", says);
    const traced = await cli.run(["boot", hello, "--serial", "none", "--trace", "io:/dev/full"]);
    expectOneLine(traced, "/dev/full", says);
  });

  test("a bad image leaves no console file behind", async () => {
    const path = join(cli.work, "empty");
    writeFileSync(path, files["empty"]!);
    const before = cli.files();
    const log = join(cli.work, "console-log");
    expectOneLine(await cli.run(["boot", path, "--serial", `file:${log}`]), path, /an empty file/);
    expect(cli.files()).toEqual(before);
  });
});
