/**
 * Guest tests: each `NAME.S` here runs to its end under this emulator and, where it is installed, under QEMU;
 * each of its checks is a test of its own. See README.md.
 */
import { afterAll, describe, expect, test } from "vitest";
import { GuestBuilder, guestNames, missingTools } from "./build.ts";
import { QEMU_CANNOT_RUN, QEMU_DIFFERENCES } from "./qemu-differences.ts";
import { COMPLETE, qemuVersion, type Report, runInEmulator, runInQemu } from "./run.ts";

/** Everything that either can do; SYSCALL and SYSENTER differ by vendor, the tests state Intel's rules. */
const EMULATOR_CPU = "max";
const QEMU_CPU = "max,vendor=GenuineIntel";

/** Guests that end otherwise than by isa-debug-exit. */
const ENDS: Readonly<Record<string, string>> = { "triple-fault": "triple-fault" };

const absent = missingTools();
const qemu = qemuVersion();

function reportChecks(
  checks: readonly string[],
  report: Report,
  differences: Readonly<Record<string, string>>,
): void {
  for (const name of checks) {
    const verdict = report.verdicts.get(name);
    const difference = differences[name];
    if (difference !== undefined) test.skip(`${name} [QEMU differs: ${difference}]`, () => {});
    else if (verdict?.kind === "skip") test.skip(`${name} [${verdict.reason}]`, () => {});
    else {
      test(name, () => {
        expect(verdict === undefined ? "not reached" : verdict.kind === "not ok" ? verdict.line : "ok").toBe(
          "ok",
        );
      });
    }
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
    for (const check of guest.checks) known.add(check);
    describe(name, () => {
      describe("under this emulator", () => {
        const report = runInEmulator(guest, EMULATOR_CPU);
        test(`ends by ${end}`, () => expect([report.end, ...report.other]).toEqual([end]));
        reportChecks(guest.checks, report, {});
      });
      describe.skipIf(qemu === null)("under QEMU (skipped where it is not installed)", () => {
        const reason = QEMU_CANNOT_RUN[name];
        if (reason !== undefined) test.skip(`cannot run: ${reason}`, () => {});
        if (qemu === null || reason !== undefined) return;
        const report = runInQemu(guest, QEMU_CPU);
        test(`ends by ${end}`, () => expect([report.end, ...report.other]).toEqual([end]));
        reportChecks(guest.checks, report, QEMU_DIFFERENCES);
      });
    });
  }
  test("QEMU's differences are differences of checks that exist", () => {
    expect(Object.keys(QEMU_DIFFERENCES).filter((name) => !known.has(name))).toEqual([]);
  });
}
