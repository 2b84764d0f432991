/**
 * Real clients of the host against real servers in a guest, through forwarded ports of a user network; beside QEMU's TCG with
 * its own in the same run. Nothing may be lost or wrong.
 *
 *     node test/campaigns/load.ts [--machine ukl-emu|qemu|both] [--loads redis,http,...] [--requests 100000]
 *                                 [--file 1024] [--json]
 *     node test/campaigns/load.ts --image server.bin --ready "listening" --ports http=80,redis=6379
 *
 * The first form boots the disk of `images/debian-disk.ts`; the second an image with servers of its own, such as the
 * kernel of this project. Needs redis-tools, libmemcached-tools, apache2-utils, wrk, curl, sshpass, iperf3: a load whose program is
 * missing is left out, and said so.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { missingForDebian } from "./debian-guest.ts";
import { loadTable, type MachineReport } from "./load-report.ts";
import { debianGuest, imageGuest, makeFile, possibleLoads, runLoads } from "./load-run.ts";
import { LOADS } from "./loads.ts";
import { bundleEmulator, type MachineName } from "./machine-command.ts";

/** "http=80,redis=6379" */
const parsePorts = (text: string): Record<string, number> =>
  Object.fromEntries(text.split(",").map((pair) => [pair.split("=")[0]!, Number(pair.split("=")[1])]));

function fail(message: string): never {
  console.error(`load: ${message}`);
  process.exit(2);
}

const given = await yargs(hideBin(process.argv))
  .usage("load [options]: clients of the host against servers in a guest")
  .option("machine", { choices: ["ukl-emu", "qemu", "both"] as const, default: "both" as const })
  .option("loads", {
    type: "string",
    describe: `of ${Object.keys(LOADS).join(",")}; all that the guest serves`,
  })
  .option("requests", { type: "number", default: 100_000 })
  .option("file", { type: "number", default: 1024, describe: "MiB of the file sent both ways" })
  .option("idle", {
    type: "number",
    default: 10,
    describe: "seconds over which the idle guest is watched; 0 for none",
  })
  .option("timeout", { type: "number", default: 1800, describe: "seconds for each program" })
  .option("image", { type: "string", describe: "a kernel image with servers, instead of the Debian disk" })
  .option("ready", {
    type: "string",
    default: "listening",
    describe: "what its console says when they listen",
  })
  .option("ports", { type: "string", describe: "its ports, e.g. http=80,redis=6379" })
  .option("emulator", { type: "string", describe: "entry point of another build" })
  .option("verbose", { type: "boolean", default: false, describe: "the guests' consoles" })
  .option("json", { type: "boolean", default: false })
  .strict()
  .parseAsync();

const reason = given.image === undefined ? missingForDebian("cloud") : null;
if (reason !== null) fail(reason);
if (given.image !== undefined && given.ports === undefined) fail("expected --ports with --image");
const kind =
  given.image === undefined
    ? debianGuest
    : imageGuest(given.image, new RegExp(given.ready), parsePorts(given.ports!));
const { served, installed } = possibleLoads(kind);
const wanted =
  given.loads?.split(",") ?? (given.image === undefined ? served : served.filter((name) => name !== "file"));
for (const name of wanted) {
  if (!served.includes(name)) fail(`expected loads of ${served.join(",")}, found "${name}"`);
}
const loads = wanted.filter((name) => installed.includes(name));
for (const name of wanted) {
  if (installed.includes(name)) continue;
  console.error(`load: ${name} is left out: it needs ${LOADS[name]!.programs.join(", ")}`);
}

const work = mkdtempSync(join(tmpdir(), "ukl-emu-load-"));
try {
  const machines: MachineName[] = given.machine === "both" ? ["ukl-emu", "qemu"] : [given.machine];
  const entry = given.emulator ?? (machines.includes("ukl-emu") ? bundleEmulator(join(work, "bundle")) : "");
  const file = makeFile(join(work, "sent"), loads.includes("file") ? given.file : 0);
  const reports: MachineReport[] = [];
  for (const machine of machines) {
    const onLine = given.verbose ? { onLine: (line: string) => console.error(line) } : {};
    const onProgress = (text: string): void => console.error(`load: ${text}`);
    reports.push(
      await runLoads(machine, kind, { ...given, loads, entry, work, file, onProgress, ...onLine }),
    );
  }
  console.log(given.json ? JSON.stringify(reports, null, 2) : loadTable(reports));
  process.exitCode = reports.some(({ faults }) => faults.length > 0) ? 1 : 0;
} finally {
  rmSync(work, { recursive: true, force: true });
}
