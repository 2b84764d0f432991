/**
 * The Debian disk with systemd, to a login prompt and to power-off: no unit failed, no complaint of the kernel. Beside QEMU's
 * TCG in the same run.
 *
 *     node test/campaigns/login.ts [--machine ukl-emu|qemu|both] [--kernel cloud|generic] [--format raw|qcow2] [--cpus N]
 *
 * Needs `images/debian-disk.ts` to have run.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Table from "cli-table3";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import type { KernelLabel } from "../../images/debian-cache.ts";
import { ask, debianSpec, logIn, missingForDebian, must, waitForLogin } from "./debian-guest.ts";
import { COMPLAINTS, GuestProcess } from "./guest-process.ts";
import { bundleEmulator, type MachineName, machineCommand } from "./machine-command.ts";

export interface LoginResult {
  readonly machine: MachineName;
  /** Wall seconds from the start to the login prompt. */
  readonly toPrompt: number;
  /** Wall seconds until the shell took commands. */
  readonly toShell: number;
  /** Wall seconds until power-off. */
  readonly toEnd: number;
  /** Of this emulator; its only measure that does not depend on the host. */
  readonly instructions: number | null;
  /** What was wrong. */
  readonly faults: readonly string[];
  /** Longest starters of the boot, as systemd-analyze names them. */
  readonly blame: string;
}

export interface LoginOptions {
  readonly machine: MachineName;
  readonly kernel: KernelLabel;
  readonly format: "raw" | "qcow2";
  readonly cpus: number;
  readonly entry: string;
  readonly extra?: readonly string[];
  readonly onLine?: (line: string) => void;
}

const SERVERS = ["redis-server", "memcached", "nginx", "ssh", "iperf3", "systemd-networkd"] as const;
const MINUTES = 60;

export async function login(options: LoginOptions): Promise<LoginResult> {
  const { machine, kernel, format, cpus, entry, extra = [] } = options;
  const spec = debianSpec(kernel, format, { cpus, extra: { "ukl-emu": ["--stats", ...extra] } });
  const guest = new GuestProcess(machineCommand(machine, entry, spec));
  if (options.onLine) guest.onLine = options.onLine;
  const faults: string[] = [];
  try {
    await waitForLogin(guest, 10 * MINUTES);
    const toPrompt = guest.seconds;
    await logIn(guest, 5 * MINUTES);
    const toShell = guest.seconds;
    // The prompt comes before the last units have started.
    const state = await ask(guest, "systemctl is-system-running --wait", 10 * MINUTES);
    if (state.text !== "running") faults.push(`the system is ${state.text}`);
    const failed = await must(guest, "systemctl --failed --no-legend --plain", 2 * MINUTES);
    if (failed !== "") faults.push(`failed units: ${failed}`);
    for (const name of SERVERS) {
      const { text } = await ask(guest, `systemctl is-active ${name}`, 2 * MINUTES);
      if (text !== "active") faults.push(`${name} is ${text}`);
    }
    const warnings = await must(guest, "dmesg --level=emerg,alert,crit,err", 2 * MINUTES);
    if (warnings !== "") faults.push(...warnings.split("\n"));
    const blame = await must(guest, "systemd-analyze; systemd-analyze blame | head -n 12", 2 * MINUTES);
    guest.type("poweroff\n");
    const code = await guest.ended;
    if (code !== 0) faults.push(`the machine ended with ${code}`);
    if (options.onLine) for (const line of guest.messages.split("\n")) options.onLine(line);
    faults.push(...guest.console.split("\n").filter((line) => COMPLAINTS.test(line)));
    const counted = /^Instructions\s+([\d,]+)/m.exec(guest.messages)?.[1];
    const instructions = counted === undefined ? null : Number(counted.replaceAll(",", ""));
    return { machine, toPrompt, toShell, toEnd: guest.seconds, instructions, faults, blame };
  } finally {
    guest.kill("SIGKILL");
  }
}

if (import.meta.main) {
  const given = await yargs(hideBin(process.argv))
    .usage("login [options]: boots the Debian disk to its login prompt")
    .option("machine", { choices: ["ukl-emu", "qemu", "both"] as const, default: "both" as const })
    .option("kernel", { choices: ["cloud", "generic"] as const, default: "cloud" as KernelLabel })
    .option("format", { choices: ["raw", "qcow2"] as const, default: "raw" as const })
    .option("cpus", { type: "number", default: 1 })
    .option("verbose", { type: "boolean", default: false, describe: "the guests' consoles" })
    .option("json", { type: "boolean", default: false })
    .strict()
    .parseAsync();
  const reason = missingForDebian(given.kernel, given.format);
  if (reason !== null) {
    console.error(`login: ${reason}`);
    process.exit(2);
  }
  const work = mkdtempSync(join(tmpdir(), "ukl-emu-login-"));
  try {
    const entry = bundleEmulator(work);
    const machines: MachineName[] = given.machine === "both" ? ["ukl-emu", "qemu"] : [given.machine];
    const results: LoginResult[] = [];
    for (const machine of machines) {
      const onLine = given.verbose ? { onLine: (line: string) => console.error(line) } : {};
      results.push(await login({ ...given, machine, entry, ...onLine }));
    }
    if (given.json) console.log(JSON.stringify(results, null, 2));
    else {
      const table = new Table({
        head: ["machine", "login prompt", "shell", "power-off", "instructions", "faults"],
        style: { head: [], border: [] },
      });
      for (const { machine, toPrompt, toShell, toEnd, instructions, faults } of results) {
        const times = [toPrompt, toShell, toEnd].map((seconds) => `${seconds.toFixed(1)} s`);
        table.push([
          machine,
          ...times,
          instructions?.toLocaleString("en") ?? "",
          faults.join("\n") || "none",
        ]);
      }
      console.log(table.toString());
      console.log(results[0]!.blame);
      const [ours, theirs] = results;
      if (theirs)
        console.log(`to the login prompt: ${(ours!.toPrompt / theirs.toPrompt).toFixed(2)} times QEMU's TCG`);
    }
    process.exitCode = results.some(({ faults }) => faults.length > 0) ? 1 : 0;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
