// `npm test`, and all that continuous integration runs: the build, lint, types, the test suite, and the loaders'
// fuzzer in a small dose. Ends with the line "N passed, N failed"; each step that is not the test suite counts
// as one test. Exit code 1 if anything failed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const work = mkdtempSync(join(tmpdir(), "ukl-emu-test-"));
const vitestResults = join(work, "vitest.json");

const steps = [
  { name: "build", command: ["node", "scripts/build.mjs"] },
  { name: "lint", command: ["biome", "check", "."] },
  { name: "types", command: ["tsc", "--noEmit"] },
  {
    name: "tests",
    command: ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${vitestResults}`],
    count: vitestCount,
  },
  { name: "loader fuzzing", command: ["node", "scripts/fuzz-loaders.ts", "--cases", "2000"] },
];

/** What vitest's JSON report counts; a file that could not be loaded counts as one failure. */
function vitestCount(status) {
  let report;
  try {
    report = JSON.parse(readFileSync(vitestResults, "utf8"));
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const empty = report.testResults.filter((f) => f.status === "failed" && f.assertionResults.length === 0);
  const failed = report.numFailedTests + empty.length;
  return {
    passed: report.numPassedTests,
    // Errors outside of any test fail the run too.
    failed: status !== 0 && failed === 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
for (const { name, command, count } of steps) {
  console.log(`\n--- ${name}: ${command.slice(0, 4).join(" ")}`);
  const [program, ...args] = command;
  const { status } = spawnSync(program, args, { stdio: "inherit" });
  const ok = status === 0;
  const counted = count?.(status) ?? { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
  for (const key of Object.keys(total)) total[key] += counted[key];
  if (counted.failed > 0) failures.push(name);
}
rmSync(work, { recursive: true, force: true });

console.log("");
if (failures.length > 0) console.log(`failed: ${failures.join(", ")}`);
if (total.skipped > 0) console.log(`${total.skipped} skipped`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed === 0 ? 0 : 1);
