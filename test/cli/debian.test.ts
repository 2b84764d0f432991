/**
 * Debian's stock kernels, from power-on through a shell script to power-off. Needs `images/fetch-debian.ts` to have
 * run; without its files these tests are skipped.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { payload, reachedInit } from "../../images/initramfs.ts";
import { useCli } from "./run-cli.ts";

const cache = join(import.meta.dirname, "..", "..", "images", "cache");
const image = (name: string): string => join(cache, name);
const available = existsSync(image("vmlinuz-cloud")) && existsSync(image("initrd-script.gz"));
const MINUTES = 60_000;

const cli = useCli();

/** Boots a kernel with an initramfs; the console is in `console`, the JSON report in `report`. */
async function boot(kernel: string, initrd: string, ...args: string[]) {
  const command = ["boot", image(`vmlinuz-${kernel}`), "--initrd", image(`initrd-${initrd}.gz`)];
  const options = ["--append", "console=ttyS0", "--timeout", "10m", "--json"];
  const { code, stdout, stderr } = await cli.run([...command, ...options, ...args]);
  const lines = stderr.replaceAll("\r", "").split("\n");
  return {
    code,
    report: JSON.parse(stdout),
    console: lines.filter((line) => !line.startsWith("ukl-emu: unknown: ")),
  };
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Signs of a kernel that is not content with its machine. */
const COMPLAINTS =
  /WARNING|BUG:|Oops|Call Trace|unchecked MSR|panic|segfault|lockup|stall|TSC warp|\[Firmware (Bug|Warn)/i;

describe.skipIf(!available).each(["cloud", "generic"])("Debian's %s kernel", (kernel) => {
  let run: Awaited<ReturnType<typeof boot>>;
  beforeAll(async () => {
    run = await boot(kernel, "script");
  }, 10 * MINUTES);

  test("reaches /init and powers off", () => {
    expect(run.console).toContain(reachedInit);
    expect(run.report.reason).toBe("power-off");
    expect(run.code).toBe(0);
  });

  test("complains about nothing", () => {
    expect(run.console.filter((line) => COMPLAINTS.test(line))).toEqual([]);
  });

  test("asks for nothing that the machine does not know", () => {
    expect(run.report.unknown).toEqual({});
  });

  test("runs programs that compute, copy, hash, compress and sort as the host does", () => {
    const harmonic = Array.from({ length: 1000 }, (_, i) => 1 / (i + 1)).reduce((sum, x) => sum + x, 0);
    const squares = (1000 * 1001 * 2001) / 6;
    const ratio = (squares / harmonic).toExponential(6);
    const expected = [
      "256+0 records in",
      "256+0 records out",
      `${sha256(new Uint8Array(256 * 4096))}  /tmp/zeros`,
      "copy: same",
      `${sha256(payload())}  /data/payload`,
      `awk: ${squares} ${harmonic.toFixed(12)} ${ratio.replace(/e\+(\d)$/, "e+0$1")}`,
      `${sha256(payload())}  -`,
      "2000",
      "1999",
      "1998",
    ];
    const start = run.console.indexOf("script: begin");
    const end = run.console.indexOf("script: end");
    const script = run.console.slice(start, end);
    expect(script).toEqual(expect.arrayContaining(expected));
    expect(script.filter((line) => expected.includes(line))).toEqual(expected);
    expect(script).toContain("model name\t: ukl-emu x86-64-v2 processor");
    expect(script).toContain("proc on /proc type proc (rw,relatime)");
  });
});

describe.skipIf(!available)("Debian's cloud kernel", () => {
  test("boots to the same console bytes and instruction count twice", { timeout: 10 * MINUTES }, async () => {
    const [first, second] = [await boot("cloud", "init"), await boot("cloud", "init")];
    expect(second.console).toEqual(first.console);
    expect(second.report.instructions).toBe(first.report.instructions);
    expect(second.report.registers).toEqual(first.report.registers);
  });

  describe("with four processors", () => {
    let runs: Awaited<ReturnType<typeof boot>>[];
    beforeAll(async () => {
      runs = [await boot("cloud", "script", "--cpus", "4"), await boot("cloud", "script", "--cpus", "4")];
    }, 20 * MINUTES);

    test("starts all of them and powers off", () => {
      const [{ console: lines, report }] = runs as [(typeof runs)[0]];
      expect(lines.filter((line) => line.includes("smp: Brought up 1 node, 4 CPUs"))).toHaveLength(1);
      expect(lines.filter((line) => /^processor\t: /.test(line))).toHaveLength(4);
      expect(lines).toContain("script: end");
      expect(report.reason).toBe("power-off");
    });

    test("complains about nothing", () => {
      expect(runs[0]!.console.filter((line) => COMPLAINTS.test(line))).toEqual([]);
      expect(runs[0]!.report.unknown).toEqual({});
    });

    test("uses each of them", () => {
      const { processors, instructions } = runs[0]!.report;
      const counts: number[] = processors.map(
        (processor: { instructions: number }) => processor.instructions,
      );
      expect(counts).toHaveLength(4);
      expect(Math.min(...counts)).toBeGreaterThan(1e6);
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(instructions);
    });

    test("does the same a second time, byte for byte and instruction for instruction", () => {
      const [first, second] = runs as [(typeof runs)[0], (typeof runs)[0]];
      expect(second.console).toEqual(first.console);
      expect(second.report.processors).toEqual(first.report.processors);
      expect(second.report.registers).toEqual(first.report.registers);
    });
  });

  test("reaches every processor from a shell", { timeout: 10 * MINUTES }, async () => {
    const command = [
      "boot",
      image("vmlinuz-cloud"),
      "--initrd",
      image("initrd-shell.gz"),
      "--timeout",
      "10m",
    ];
    // Field 39 of /proc/PID/stat: the processor that the task last ran on.
    const input = `for i in 0 1 2; do taskset $((1 << i)) sh -c 'echo on $(cut -d" " -f39 /proc/self/stat)'; done\nexit\n`;
    const options = ["--cpus", "3", "--append", "console=ttyS0 quiet"];
    const { code, stdout } = await cli.run([...command, ...options], { input });
    expect(stdout.match(/^on \d+/gm)).toEqual(["on 0", "on 1", "on 2"]);
    expect(code).toBe(0);
  });

  test("takes a shell's commands from standard input", { timeout: 10 * MINUTES }, async () => {
    const command = [
      "boot",
      image("vmlinuz-cloud"),
      "--initrd",
      image("initrd-shell.gz"),
      "--timeout",
      "10m",
    ];
    const input = "echo $((6 * 7)) answers\nexit\n";
    const { code, stdout } = await cli.run([...command, "--append", "console=ttyS0 quiet"], { input });
    expect(stdout).toContain("\n42 answers\r\n");
    expect(code).toBe(0);
  });

  const boots: readonly { how: string; kernel: string; args: readonly string[]; append: string }[] = [
    { how: "the ELF kernel by its PVH note", kernel: "vmlinux-cloud", args: [], append: "" },
    { how: "without SMEP and SMAP", kernel: "vmlinuz-cloud", args: ["--cpu", "qemu64"], append: "" },
    { how: "with 5-level paging", kernel: "vmlinuz-cloud", args: ["--cpu", "max"], append: "" },
    {
      how: "with the 8259 pair and the 8254 alone",
      kernel: "vmlinuz-cloud",
      args: [],
      append: "acpi=off noapic nolapic pci=off",
    },
  ];
  test.each(boots.filter(({ kernel }) => existsSync(image(kernel))))(
    "reaches /init: $how",
    { timeout: 10 * MINUTES },
    async ({ kernel, args, append }) => {
      const command = ["boot", image(kernel), "--initrd", image("initrd-init.gz"), "--expect", reachedInit];
      const result = await cli.run([
        ...command,
        "--timeout",
        "5m",
        ...args,
        "--append",
        `console=ttyS0 ${append}`,
      ]);
      expect(result.stdout).toContain(reachedInit);
      expect(result.code).toBe(0);
      expect(result.stdout.split("\r\n").filter((line) => COMPLAINTS.test(line))).toEqual([]);
    },
  );
});
