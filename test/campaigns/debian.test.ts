/**
 * The Debian disk with systemd, and real clients against its servers. Needs `images/debian-disk.ts` to have run; without its
 * files these tests are skipped.
 */
import { describe, expect, test } from "vitest";
import { RUN_OPTIONS } from "../../src/cli/run-options.ts";
import { useCli } from "../cli/run-cli.ts";
import { missingForDebian } from "./debian-guest.ts";
import { debianGuest, makeFile, possibleLoads, runLoads } from "./load-run.ts";
import { login } from "./login.ts";

const MINUTES = 60_000;
const missing = missingForDebian("cloud");

const cli = useCli();

describe.skipIf(missing !== null)("a Debian system with systemd", () => {
  test("boots to a login prompt, logs root in, has no failed unit, powers off", {
    timeout: 30 * MINUTES,
  }, async () => {
    const result = await login({
      machine: "ukl-emu",
      kernel: "cloud",
      format: "raw",
      cpus: 1,
      entry: cli.entry,
    });
    expect(result.faults).toEqual([]);
    expect(result.instructions).toBeGreaterThan(1e9);
  });

  test.skipIf(!("net" in RUN_OPTIONS))(
    "answers the host's clients through forwarded ports",
    { timeout: 60 * MINUTES },
    async () => {
      const { installed } = possibleLoads(debianGuest);
      const report = await runLoads("ukl-emu", debianGuest, {
        entry: cli.entry,
        work: cli.work,
        // Its length is given in time, not in requests.
        loads: installed.filter((name) => name !== "iperf3"),
        requests: 320,
        file: makeFile(`${cli.work}/sent`, 8),
        timeout: 600,
        idle: 0,
      });
      expect(report.faults).toEqual([]);
      expect(Object.keys(report.figures).length).toBeGreaterThanOrEqual(installed.length - 1);
    },
  );
});
