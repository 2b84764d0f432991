/** The mechanisms image on the model of Skylake beside the published figures; and that measuring repeats. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { buildMechanisms } from "../../images/build-mechanisms.ts";
import { SymbolTable } from "../../src/debug/symbols.ts";
import { total } from "../../src/measure/counts.ts";
import { loadEffectsDecoder } from "../../src/measure/instruction-effects.ts";
import { PUBLISHED_CR3_PLUS, PUBLISHED_MECHANISMS } from "../../src/measure/published.ts";
import { type Run, runRegions } from "../../src/measure/regions.ts";
import { mechanismComparisons } from "../../src/measure/report.ts";
import { type Row, rowsOf } from "../../src/measure/statistics.ts";

const file = join(import.meta.dirname, "..", "..", "images", "mechanisms.bin");
const image = readFileSync(file);

async function measure(timing: string): Promise<Run> {
  const decode = await loadEffectsDecoder();
  return runRegions({
    image,
    symbols: SymbolTable.load(image),
    decode,
    machine: { memory: 16 << 20, timing },
  });
}

describe("on skylake", () => {
  let run: Run;
  let rows: Row[];
  beforeAll(async () => {
    run = await measure("skylake");
    rows = rowsOf(run.rounds);
  });
  const row = (call: string, writes: number): Row =>
    rows.find((one) => one.call === call && one.payload === writes)!;

  test("the image runs to its end", () => {
    expect(run.stop).toEqual({ kind: "power-off" });
    expect(run.console).toMatch(/mechanisms: done\r?\n$/);
  });

  test.each(Object.entries(PUBLISHED_MECHANISMS))(
    "%s takes %d cycles, within 10 %%",
    (mechanism, published) => {
      const { cycles } = row(mechanism, 0).total;
      expect(Math.abs(cycles / published - 1), `${cycles} cycles`).toBeLessThanOrEqual(0.1);
    },
  );

  test.each([1, 2])("%d CR3 writes add what is published, within 15 %%", (writes) => {
    const found = mechanismComparisons(rows).find(({ mechanism }) => mechanism === "SYSCALL/SYSRET")!;
    const plus = found.plus[writes - 1]!;
    const published = PUBLISHED_CR3_PLUS[writes]!;
    expect(Math.abs(plus / published - 1), `${plus} cycles`).toBeLessThanOrEqual(0.15);
  });

  test("PCID saves the walks: each write costs less, and nothing misses", () => {
    for (const writes of [1, 2]) {
      expect(row("SYSCALL/SYSRET PCID", writes).total.cycles).toBeLessThan(
        row("SYSCALL/SYSRET", writes).total.cycles,
      );
      expect(row("SYSCALL/SYSRET PCID", writes).total).toMatchObject({
        dataTlbMisses: 0,
        instructionTlbMisses: 0,
      });
      expect(row("SYSCALL/SYSRET", writes).total.instructionTlbMisses).toBe(writes);
    }
  });

  test.each([
    ["CALL/RET", { instructions: 2, ringTransitions: 0, stackSwitches: 0, reads: 1, writes: 1 }],
    // Gate, CS descriptor, TSS; the frame of five words; two descriptors and the frame back.
    ["INT/IRET", { instructions: 2, ringTransitions: 2, stackSwitches: 2, reads: 10, writes: 5 }],
    // The pointer, the gate, CS's descriptor, the TSS; four words there and back; two descriptors.
    ["call gate/RETF", { instructions: 2, ringTransitions: 2, stackSwitches: 2, reads: 10, writes: 4 }],
    // Ring 3 hands over where to return to, in two instructions; SYSENTER loads RSP, SYSEXIT too.
    ["SYSENTER/SYSEXIT", { instructions: 4, ringTransitions: 2, stackSwitches: 2, reads: 0, writes: 0 }],
    ["SYSCALL/SYSRET", { instructions: 2, ringTransitions: 2, stackSwitches: 0, reads: 0, writes: 0 }],
  ])("%s: what it does is counted exactly", (mechanism, expected) => {
    expect(row(mechanism, 0).total).toMatchObject(expected);
    for (const writes of [1, 2]) {
      expect(row(mechanism, writes).total).toMatchObject({
        ...expected,
        instructions: expected.instructions + writes,
        cr3Writes: writes,
      });
    }
  });

  test("the way in is entry, the way back is exit", () => {
    const { phases } = row("SYSCALL/SYSRET", 2);
    expect(phases.entry).toMatchObject({ instructions: 2, cr3Writes: 1, ringTransitions: 1 });
    expect(phases.exit).toMatchObject({ instructions: 2, cr3Writes: 1, ringTransitions: 1 });
    expect(phases.app.instructions).toBe(0);
  });

  test("rows name the assumed figures that they rest on", () => {
    expect(row("SYSCALL/SYSRET", 0).assumed).toEqual([]);
    expect(row("SYSCALL/SYSRET PCID", 1).assumed).toContain("cr3.keep");
  });

  test("a measurement repeats exactly", async () => {
    expect(await measure("skylake")).toEqual(run);
  });

  test("without a model, cycles are instructions and the counts are the same", async () => {
    const plain = await measure("none");
    expect(plain.rounds.length).toBe(run.rounds.length);
    plain.rounds.forEach((round, i) => {
      const { cycles, ...counts } = total(round.phases);
      const { cycles: _, ...modelled } = total(run.rounds[i]!.phases);
      expect(counts).toEqual(modelled);
      expect(cycles).toBe(counts.instructions);
    });
  });
});

/** First line of `gcc --version` of the compiler behind the committed image: Debian 12's. */
const toolchain = "gcc (Debian 12.2.0-14+deb12u1) 12.2.0";
const gcc = spawnSync("gcc", ["--version"], { encoding: "utf8" });
const found = gcc.error === undefined ? gcc.stdout.split("\n")[0]! : "no gcc";

test.skipIf(found !== toolchain)(
  `building the image again gives the committed bytes (needs ${toolchain}, here: ${found})`,
  () => {
    const work = mkdtempSync(join(tmpdir(), "ukl-emu-test-"));
    try {
      const output = join(work, "mechanisms.bin");
      buildMechanisms(output);
      expect(readFileSync(output).equals(image)).toBe(true);
    } finally {
      rmSync(work, { recursive: true });
    }
  },
);

test.skipIf(spawnSync("qemu-system-x86_64", ["--version"]).error !== undefined)(
  "runs under QEMU too, with the same lines but for the numbers (skipped where it is not installed)",
  async () => {
    const args = ["-accel", "tcg", "-cpu", "qemu64,vendor=GenuineIntel", "-no-reboot", "-display", "none"];
    const qemu = spawnSync("qemu-system-x86_64", [...args, "-serial", "stdio", "-kernel", file], {
      encoding: "utf8",
      timeout: 60_000,
    });
    const names = (text: string) =>
      [
        ...text.matchAll(/^(?:.*\b)?([A-Z][A-Z/]+|call gate\/RETF|nothing) +([0-2]) +\d+ +\d+ +\d+\r?$/gm),
      ].map(([, name, writes]) => `${name} ${writes}`);
    const run = await measure("none");
    // QEMU has no PCID: those rows are missing there.
    const here = names(run.console.replaceAll(/^.* PCID [^\n]*\n/gm, ""));
    expect(here.length).toBe(16);
    expect(names(qemu.stdout)).toEqual(here);
  },
  90_000,
);
