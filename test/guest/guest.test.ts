/**
 * Guest tests: each `NAME.S` here runs to its end under this emulator and, where it is installed, under QEMU;
 * each of its checks is a test of its own. See README.md.
 */
import { afterAll, describe, expect, test } from "vitest";
import { GuestBuilder, guestNames, missingTools, processorsOf } from "./build.ts";
import { QEMU_CANNOT_RUN, QEMU_DIFFERENCES } from "./qemu-differences.ts";
import { COMPLETE, qemuVersion, type Report, runInEmulator, runInQemu, type Verdict } from "./run.ts";

/** Everything that either can do; SYSCALL and SYSENTER differ by vendor, the tests state Intel's rules. */
const EMULATOR_CPU = "max";
const QEMU_CPU = "max,vendor=GenuineIntel";
/** Guests about a smaller processor: this emulator's model and QEMU's. */
const CPUS: Readonly<Record<string, readonly [string, string]>> = {
  "cpuid-gating-refused-64": ["qemu64", "qemu64"],
  "cpuid-gating-64": ["qemu64", "qemu64,vendor=GenuineIntel,-abm,-popcnt"],
};

/** Quanta from the shortest to the longest, ns: where processors take turns must not matter to these guests. */
const QUANTA = [1000, 1777, 50_000, 1_000_000];

/** Guests that end otherwise than by isa-debug-exit. */
const ENDS: Readonly<Record<string, string>> = {
  "triple-fault": "triple-fault",
  "triple-fault-processors-64": "triple-fault",
};

const absent = missingTools();
const qemu = qemuVersion();

function wordsOf(verdict: Verdict | undefined): string {
  if (verdict === undefined) return "not reached";
  if (verdict.kind === "skip") return `skipped: ${verdict.reason}`;
  return verdict.kind === "ok" ? "ok" : verdict.line;
}

/** This emulator has everything, so that a check which finds something missing there is a failure. */
function checksInEmulator(checks: readonly string[], report: Report): void {
  for (const name of checks) test(name, () => expect(wordsOf(report.verdicts.get(name))).toBe("ok"));
}

function checksInQemu(checks: readonly string[], report: Report): void {
  for (const name of checks) {
    const verdict = report.verdicts.get(name);
    const difference = QEMU_DIFFERENCES[name];
    if (difference !== undefined) test.skip(`${name} [QEMU differs: ${difference}]`, () => {});
    else if (verdict?.kind === "skip") test.skip(`${name} [${verdict.reason}]`, () => {});
    else test(name, () => expect(wordsOf(verdict)).toBe("ok"));
  }
}

if (absent !== null) test.skip(`guest tests: ${absent}`, () => {});
else {
  const builder = new GuestBuilder();
  afterAll(() => builder.dispose());
  const known = new Set<string>();
  for (const name of guestNames()) {
    const guest = builder.build(name);
    const end = ENDS[name] ?? COMPLETE;
    const [cpu, qemuCpu] = CPUS[name] ?? [EMULATOR_CPU, QEMU_CPU];
    const cpus = processorsOf(name);
    for (const check of guest.checks) known.add(check);
    describe(name, () => {
      describe("under this emulator", () => {
        const report = runInEmulator(guest, cpu, { cpus });
        test(`ends by ${end}`, () => expect([report.end, ...report.other]).toEqual([end]));
        test("executed one instruction at a time it reports the same", () => {
          const { verdicts, other, end } = runInEmulator(guest, cpu, { cpus, stepped: true });
          expect({ verdicts, other, end }).toEqual({
            verdicts: report.verdicts,
            other: report.other,
            end: report.end,
          });
        });
        if (cpus > 1) {
          const ways = [...QUANTA.map((quantum) => ({ quantum })), { timing: "skylake" }];
          test.each(ways)("with %j it reports the same", (way) => {
            const { verdicts, other, end } = runInEmulator(guest, cpu, { cpus, ...way });
            expect({ verdicts, other, end }).toEqual({
              verdicts: report.verdicts,
              other: report.other,
              end: report.end,
            });
          });
        }
        checksInEmulator(guest.checks, report);
      });
      describe.skipIf(qemu === null)("under QEMU (skipped where it is not installed)", () => {
        const reason = QEMU_CANNOT_RUN[name];
        if (reason !== undefined) test.skip(`cannot run: ${reason}`, () => {});
        if (qemu === null || reason !== undefined) return;
        const report = runInQemu(guest, qemuCpu, cpus);
        test(`ends by ${end}`, () => expect([report.end, ...report.other]).toEqual([end]));
        checksInQemu(guest.checks, report);
      });
    });
  }
  test("QEMU's differences are differences of checks that exist", () => {
    expect(Object.keys(QEMU_DIFFERENCES).filter((name) => !known.has(name))).toEqual([]);
  });
}
