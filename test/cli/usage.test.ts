/** What is said of options that there are not: one line that names the word as it was written. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hello, useCli } from "./run-cli.ts";

const cli = useCli();

test.each([
  [
    ["boot", hello, "-m", "512"],
    "-m: expected --memory SIZE, found an option of QEMU's: see ukl-emu boot --help",
  ],
  [
    ["boot", hello, "-smp", "4"],
    "-smp: expected --cpus N, found an option of QEMU's: see ukl-emu boot --help",
  ],
  [
    ["boot", "-kernel", hello, "--net", "user"],
    "-kernel: expected the image by itself, found an option of QEMU's: see ukl-emu boot --help",
  ],
  [
    ["boot", hello, "--netdev", "user"],
    "--netdev: expected --net, found an option of QEMU's: see ukl-emu boot --help",
  ],
  [["boot", hello, "--drives", "x", "--net", "user"], "Unknown argument: drives: see ukl-emu boot --help"],
  [["trace", "--net", "user"], "expected a file, found none: see ukl-emu trace --help"],
  [["bot"], "Unknown argument: bot: see ukl-emu --help"],
])("%j", async (args, says) => {
  expect(await cli.run(args)).toEqual({ code: 2, stdout: "", stderr: `ukl-emu: ${says}\n` });
});

test("a stream to a file that is no socket says so", async () => {
  writeFileSync(join(cli.work, "plain"), "");
  const { code, stderr } = await cli.run(["boot", hello, "--net", "stream:plain"]);
  expect(stderr).toBe(
    "ukl-emu: --net: stream:plain: expected a socket that someone listens at, found a file that is not a socket\n",
  );
  expect(code).toBe(2);
});

test("help of boot has examples of disks, networks and recordings", async () => {
  const { stdout } = await cli.run(["boot", "--help"]);
  for (const option of ["--drive", "--overlay", "--net", "--record"]) {
    expect(stdout.slice(stdout.indexOf("Examples:"))).toContain(`${option}`);
  }
});
