/** What `ukl-emu boot` prints and how it ends. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { helloText } from "../ukl-kernel/hello-text.ts";
import * as g from "./guests.ts";
import { type CliOptions, type CliResult, hello, useCli } from "./run-cli.ts";

const cli = useCli();

let count = 0;
/** Writes a guest into a file of its own. */
function image(...parts: (readonly number[])[]): string {
  const path = join(cli.work, `guest-${count++}`);
  writeFileSync(path, g.guest(...parts));
  return path;
}

function boot(path: string, args: string[] = [], options: CliOptions = {}): Promise<CliResult> {
  return cli.run(["boot", path, ...args], options);
}

describe("hello.bin", () => {
  test("prints its text on standard output, nothing on standard error, and ends with 0", async () => {
    expect(await boot(hello)).toEqual({ code: 0, stdout: `${helloText}\r\n`, stderr: "" });
  });

  test("two runs give the same bytes and the same instruction count", async () => {
    const runs = [await boot(hello, ["--json"]), await boot(hello, ["--json"])];
    const [first, second] = runs.map(({ stdout, stderr }) => ({
      console: stderr,
      instructions: JSON.parse(stdout).instructions,
      registers: JSON.parse(stdout).registers,
    }));
    expect(first!.console).toBe(`${helloText}\r\n`);
    expect(first!.instructions).toBeGreaterThan(1000);
    expect(second).toEqual(first);
  });

  test("the console can go to a file", async () => {
    const log = join(cli.work, "console");
    expect(await boot(hello, ["--serial", `file:${log}`])).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(readFileSync(log, "latin1")).toBe(`${helloText}\r\n`);
  });

  test("the console can be left out", async () => {
    expect(await boot(hello, ["--serial", "none"])).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("info describes it", async () => {
    const { code, stdout } = await cli.run(["info", hello]);
    expect(stdout).toMatch(/^format +Linux bzImage$/m);
    expect(stdout).toMatch(/^booted by +Linux 64-bit boot protocol$/m);
    expect(code).toBe(0);
    const json = JSON.parse((await cli.run(["info", hello, "--json"])).stdout);
    expect(json).toMatchObject({ file: hello, format: "bzimage", entry: 0x10_0200 });
  });
});

describe("exit codes", () => {
  test("0 after power-off", async () => {
    expect(await boot(image(g.print("on"), g.powerOff, g.forever))).toMatchObject({ code: 0, stdout: "on" });
  });

  test.each([
    [0, 1],
    [1, 3],
    [0x21, 0x43],
    // A host keeps eight bits.
    [0xff, 0xff],
  ])("isa-debug-exit with code %i ends with status %i", async (code, status) => {
    expect((await boot(image(g.debugExit(code)))).code).toBe(status);
  });

  test("124 at the instruction limit, and no later than a block after it", async () => {
    const { code, stdout, stderr } = await boot(image(g.forever), ["--max-instructions", "1e6", "--json"]);
    expect(code).toBe(124);
    expect(stderr).toMatch(/^ukl-emu: stopped: --max-instructions reached after 1,000,00\d instructions\n$/);
    expect(JSON.parse(stdout)).toMatchObject({ reason: "instruction-limit", exitCode: 124 });
  });

  test("124 at the timeout", async () => {
    const start = performance.now();
    const { code, stderr } = await boot(image(g.forever), ["--timeout", "200ms"]);
    expect(code).toBe(124);
    expect(stderr).toMatch(/^ukl-emu: stopped: --timeout reached after [\d,]+ instructions\n$/);
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  test("3 after a reset", async () => {
    const { code, stderr } = await boot(image(g.reset, g.forever));
    expect(code).toBe(3);
    expect(stderr).toMatch(/the guest reset the machine through port CF9h/);
  });

  test("4 when nothing can wake the guest", async () => {
    const { code, stderr } = await boot(image(g.halt));
    expect(code).toBe(4);
    expect(stderr).toMatch(/the guest halted and nothing can wake it/);
  });

  test("70 on a triple fault of any processor, with the registers of that one", async () => {
    const options = ["--cpus", "2", "--trace", "int", "--stats"];
    const { code, stderr } = await boot(image(g.tripleFaultElsewhere), options);
    expect(code).toBe(70);
    expect(stderr).toMatch(/^int +\d+ cpu 1 +#UD at 0800:0*5 /m);
    expect(stderr).toMatch(/^Processor 1\nRAX=/m);
    expect(stderr).toMatch(/^CS *=0800 /m);
    expect(stderr).toMatch(/^Processor 1: instructions +\d$/m);
  });

  test("70 on a triple fault, with registers, CR2 and the code around RIP", async () => {
    const { code, stderr } = await boot(image(g.print("hello world!"), g.spin(10), g.tripleFault));
    expect(code).toBe(70);
    expect(stderr).toMatch(/^ukl-emu: triple fault after \d+ instructions\n/);
    expect(stderr).toMatch(/^RAX=/m);
    expect(stderr).toMatch(/CR2=/);
    expect(stderr).toMatch(/^ {3}0010007a: 75 fd +jne short 0x100079$/m);
    expect(stderr).toMatch(/^=> 0010007c: 0f 0b +ud2$/m);
  });
});

describe("--expect", () => {
  test("ends with 0 when the line under way matches", async () => {
    const path = image(g.print("first\r\nlogin: "), g.forever);
    expect(await boot(path, ["--expect", "^login: "])).toEqual({
      code: 0,
      stdout: "first\r\nlogin: ",
      stderr: "",
    });
  });

  test("with $ waits for the end of the line", async () => {
    const path = image(g.print("ready\r\nready steady\r\n"), g.forever);
    expect(await boot(path, ["--expect", "steady$"])).toMatchObject({
      code: 0,
      stdout: "ready\r\nready steady\r\n",
    });
  });

  test("matches a last line without an end", async () => {
    expect((await boot(image(g.print("done"), g.powerOff, g.forever), ["--expect", "^done$"])).code).toBe(0);
  });

  test("1 and one line when the guest powers off before", async () => {
    const { code, stderr } = await boot(image(g.print("no"), g.powerOff, g.forever), ["--expect", "yes"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ukl-emu: the guest powered off before its console matched --expect.*\n$/);
  });

  test("keeps the guest's own exit code, the limit's and the triple fault's", async () => {
    const expecting = ["--expect", "never", "--max-instructions", "100000"];
    expect((await boot(image(g.debugExit(5)), expecting)).code).toBe(11);
    expect((await boot(image(g.forever), expecting)).code).toBe(124);
    expect((await boot(image(g.tripleFault), expecting)).code).toBe(70);
  });
});

describe("standard input", () => {
  test("from a pipe goes to the guest's serial port", async () => {
    const path = image(g.echo, g.powerOff, g.forever);
    expect(await boot(path, [], { input: "typed\nq" })).toEqual({ code: 0, stdout: "typed\nq", stderr: "" });
  });
});

describe("--json", () => {
  test("is one object on standard output; the console goes to standard error", async () => {
    const path = image(g.print("text"), g.powerOff, g.forever);
    const { code, stdout, stderr } = await boot(path, ["--json"]);
    expect(code).toBe(0);
    expect(stderr).toBe("text");
    expect(JSON.parse(stdout)).toEqual({
      image: path,
      reason: "power-off",
      exitCode: 0,
      instructions: expect.any(Number),
      wallSeconds: expect.any(Number),
      mips: expect.any(Number),
      virtualSeconds: expect.any(Number),
      idleSeconds: 0,
      peakMemory: expect.any(Number),
      consoleBytes: 4,
      faults: {},
      interrupts: {},
      lines: expect.any(Object),
      softwareInterrupts: {},
      ringTransitions: {},
      mmu: expect.objectContaining({ pageFaults: 0 }),
      codeCache: expect.objectContaining({ flushes: expect.any(Number) }),
      unknown: {},
      registers: expect.objectContaining({ cr0: "0x11", cs: "0x10" }),
    });
  });

  test("names the exception that no handler took", async () => {
    const { stdout } = await boot(image(g.tripleFault), ["--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      reason: "triple-fault",
      exitCode: 70,
      faults: { "#UD": 1, "#DF": 1 },
      registers: { rip: `0x${g.ENTRY.toString(16)}` },
    });
  });
});

describe("what the machine does not know", () => {
  test("is said once for each kind of access, and counted", async () => {
    const path = image(g.unknownPort, g.unknownPort, g.powerOff, g.forever);
    const { stderr, stdout } = await boot(path, ["--json"]);
    expect(stderr.match(/^ukl-emu: unknown: .*0x1234.*$/gm)).toHaveLength(1);
    expect(JSON.parse(stdout).unknown).toEqual({ "bus: port 0x1234 write 1": 2 });
  });

  test("debug port E9H writes to standard error", async () => {
    expect(await boot(image(g.debugPrint("note\n"), g.powerOff, g.forever))).toMatchObject({
      stdout: "",
      stderr: "note\n",
    });
  });
});

describe("--stats", () => {
  test("lists counters on standard error", async () => {
    const { code, stdout, stderr } = await boot(image(g.spin(1000), g.powerOff, g.forever), ["--stats"]);
    expect(code).toBe(0);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^Instructions +2,00\d$/m);
    expect(stderr).toMatch(/^MIPS +\d/m);
    expect(stderr).toMatch(/^ {2}execute misses +\d/m);
  });
});
