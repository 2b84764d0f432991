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
import { createHash, randomFillSync } from "node:crypto";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { PORTS } from "../../images/debian-root.ts";
import { findProgram } from "../../images/host-programs.ts";
import { ask, debianSpec, diskFile, logIn, missingForDebian, waitForLogin } from "./debian-guest.ts";
import { freePort } from "./free-port.ts";
import { COMPLAINTS, GuestProcess } from "./guest-process.ts";
import { loadTable, type MachineReport } from "./load-report.ts";
import { LOADS, type LoadContext, type LoadFigure, program } from "./loads.ts";
import { bundleEmulator, type GuestSpec, type MachineName, machineCommand } from "./machine-command.ts";
import { loadOf } from "./processor-time.ts";

/** What is booted, and how it says that its servers run. */
export interface LoadGuest {
  spec(work: string): Promise<GuestSpec>;
  /** Ports on which the guest listens, by server. */
  readonly ports: Readonly<Record<string, number>>;
  ready(guest: GuestProcess): Promise<void>;
  /** Ends it in its own way. @returns what it found wrong with itself */
  finish(guest: GuestProcess): Promise<string[]>;
}

const MINUTES = 60;

/** The Debian disk; each run has a copy, so that what it writes costs no memory. */
const debian: LoadGuest = {
  ports: PORTS,
  async spec(work) {
    const copy = join(work, "disk.raw");
    await program("cp", ["--sparse=always", diskFile("raw"), copy], 10 * MINUTES);
    return debianSpec("cloud", "raw", { drives: [{ file: copy, format: "raw" }] });
  },
  async ready(guest) {
    await waitForLogin(guest, 10 * MINUTES);
    await logIn(guest, 5 * MINUTES);
    const { text } = await ask(guest, "systemctl is-system-running --wait", 10 * MINUTES);
    if (text !== "running") throw new Error(`the guest is ${text}`);
  },
  async finish(guest) {
    const { text } = await ask(guest, "dmesg --level=emerg,alert,crit,err,warn | tail -n 20", 5 * MINUTES);
    guest.type("poweroff\n");
    const code = await guest.ended;
    const complaints = text.split("\n").filter((line) => COMPLAINTS.test(line));
    return code === 0 ? complaints : [...complaints, `the machine ended with ${code}`];
  },
};

/** An image that starts its servers by itself. */
const imageGuest = (image: string, ready: RegExp, ports: Record<string, number>): LoadGuest => ({
  ports,
  spec: async () => ({ kernel: image, append: "", memoryMiB: 512 }),
  ready: async (guest) => {
    await guest.expect(ready, 5 * MINUTES);
  },
  finish: async (guest) => {
    guest.kill("SIGTERM");
    await guest.ended;
    return guest.console.split("\n").filter((line) => COMPLAINTS.test(line));
  },
});

/** A file of bytes that do not repeat. */
function makeFile(path: string, mebibytes: number): LoadContext["file"] {
  const descriptor = openSync(path, "w");
  const hash = createHash("sha256");
  const part = new Uint8Array(1 << 20);
  for (let i = 0; i < mebibytes; i++) {
    randomFillSync(part);
    hash.update(part);
    writeSync(descriptor, part);
  }
  closeSync(descriptor);
  return { path, bytes: mebibytes << 20, sha256: hash.digest("hex") };
}

interface RunOptions {
  readonly entry: string;
  readonly work: string;
  readonly loads: readonly string[];
  readonly requests: number;
  readonly file: LoadContext["file"];
  readonly timeout: number;
  /** Seconds over which the idle guest is watched. */
  readonly idle: number;
  readonly onLine?: (line: string) => void;
}

async function runOn(machine: MachineName, kind: LoadGuest, options: RunOptions): Promise<MachineReport> {
  const ports: Record<string, number> = {};
  const forwards = [];
  for (const [name, port] of Object.entries(kind.ports)) {
    ports[name] = await freePort();
    forwards.push({ host: ports[name], guest: port });
  }
  const spec = await kind.spec(options.work);
  const guest = new GuestProcess(machineCommand(machine, options.entry, { ...spec, forwards }));
  if (options.onLine) guest.onLine = options.onLine;
  const figures: Record<string, LoadFigure> = {};
  const faults: string[] = [];
  try {
    await kind.ready(guest);
    console.error(`load: ${machine} is ready after ${guest.seconds.toFixed(1)} s`);
    const context = { ...options, ports, pid: guest.pid };
    if (options.idle > 0) {
      const percent = await loadOf(guest.pid, options.idle);
      figures["idle guest"] = {
        requests: 0,
        errors: 0,
        seconds: options.idle,
        rate: percent,
        unit: "% of a core",
      };
    }
    for (const name of options.loads) {
      console.error(`load: ${machine}: ${name}`);
      try {
        Object.assign(figures, await LOADS[name]!.run(context));
      } catch (error) {
        faults.push(`${name}: ${error instanceof Error ? error.message : error}`);
        console.error(`load: ${machine}: ${faults.at(-1)}`);
      }
    }
    faults.push(...(await kind.finish(guest)));
  } catch (error) {
    faults.push(error instanceof Error ? error.message : String(error));
  } finally {
    guest.kill("SIGKILL");
    await guest.ended;
  }
  for (const [name, { errors }] of Object.entries(figures)) {
    if (errors > 0) faults.push(`${name}: ${errors} lost or wrong`);
  }
  return { machine, figures, faults };
}

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
    ? debian
    : imageGuest(given.image, new RegExp(given.ready), parsePorts(given.ports!));
const served = Object.keys(LOADS).filter((name) => LOADS[name]!.server in kind.ports);
const wanted =
  given.loads?.split(",") ?? (given.image === undefined ? served : served.filter((name) => name !== "file"));
for (const name of wanted) {
  if (!served.includes(name)) fail(`expected loads of ${served.join(",")}, found "${name}"`);
}
const loads = wanted.filter((name) => {
  const missing = LOADS[name]!.programs.find((one) => findProgram(one) === undefined);
  if (missing !== undefined) console.error(`load: ${name} is left out: ${missing} is not installed`);
  return missing === undefined;
});

const work = mkdtempSync(join(tmpdir(), "ukl-emu-load-"));
try {
  const machines: MachineName[] = given.machine === "both" ? ["ukl-emu", "qemu"] : [given.machine];
  const entry = given.emulator ?? (machines.includes("ukl-emu") ? bundleEmulator(join(work, "bundle")) : "");
  const file = makeFile(join(work, "sent"), loads.includes("file") ? given.file : 0);
  const reports: MachineReport[] = [];
  for (const machine of machines) {
    const onLine = given.verbose ? { onLine: (line: string) => console.error(line) } : {};
    reports.push(await runOn(machine, kind, { ...given, loads, entry, work, file, ...onLine }));
  }
  console.log(given.json ? JSON.stringify(reports, null, 2) : loadTable(reports));
  process.exitCode = reports.some(({ faults }) => faults.length > 0) ? 1 : 0;
} finally {
  rmSync(work, { recursive: true, force: true });
}
