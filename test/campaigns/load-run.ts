/** Guests with servers, and loads run against them one after the other. `load.ts` is the command line. */
import { createHash, randomFillSync } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { PORTS } from "../../images/debian-root.ts";
import { findProgram } from "../../images/host-programs.ts";
import { ask, debianSpec, diskFile, logIn, waitForLogin } from "./debian-guest.ts";
import { freePort } from "./free-port.ts";
import { COMPLAINTS, GuestProcess } from "./guest-process.ts";
import type { MachineReport } from "./load-report.ts";
import { LOADS, type LoadContext, type LoadFigure, program } from "./loads.ts";
import { type GuestSpec, type MachineName, machineCommand } from "./machine-command.ts";
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
export const debianGuest: LoadGuest = {
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
export const imageGuest = (image: string, ready: RegExp, ports: Record<string, number>): LoadGuest => ({
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

/** Loads that a guest can have, and of these the ones whose programs are there. */
export function possibleLoads(kind: LoadGuest): { served: string[]; installed: string[] } {
  const served = Object.keys(LOADS).filter((name) => LOADS[name]!.server in kind.ports);
  const installed = served.filter((name) =>
    LOADS[name]!.programs.every((one) => findProgram(one) !== undefined),
  );
  return { served, installed };
}

/** A file of bytes that do not repeat. */
export function makeFile(path: string, mebibytes: number): LoadContext["file"] {
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

export interface LoadOptions {
  readonly entry: string;
  readonly work: string;
  readonly loads: readonly string[];
  readonly requests: number;
  readonly file: LoadContext["file"];
  readonly timeout: number;
  /** Seconds over which the idle guest is watched. */
  readonly idle: number;
  readonly onLine?: (line: string) => void;
  readonly onProgress?: (text: string) => void;
}

export async function runLoads(
  machine: MachineName,
  kind: LoadGuest,
  options: LoadOptions,
): Promise<MachineReport> {
  const progress = options.onProgress ?? (() => {});
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
    progress(`${machine} is ready after ${guest.seconds.toFixed(1)} s`);
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
      progress(`${machine}: ${name}`);
      try {
        Object.assign(figures, await LOADS[name]!.run(context));
      } catch (error) {
        faults.push(`${name}: ${error instanceof Error ? error.message : error}`);
        progress(`${machine}: ${faults.at(-1)}`);
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
