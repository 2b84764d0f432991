/** The Debian system of `images/debian-disk.ts`: what it needs, and logging in at its console. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cache, type KernelLabel, kernelFile } from "../../images/debian-cache.ts";
import { HOST_NAME, PASSWORD } from "../../images/debian-root.ts";
import { GuestError, type GuestProcess } from "./guest-process.ts";
import type { GuestSpec } from "./machine-command.ts";

export const diskFile = (format: "raw" | "qcow2"): string => join(cache, `debian-disk.${format}`);

/** Why the system cannot be booted here, or null. */
export function missingForDebian(kernel: KernelLabel, format: "raw" | "qcow2" = "raw"): string | null {
  if (!existsSync(kernelFile(kernel))) return "Debian's kernel is missing: run images/fetch-debian.ts";
  const files = [diskFile(format), join(cache, `initrd-root-${kernel}.gz`)];
  const missing = files.find((path) => !existsSync(path));
  return missing === undefined ? null : `${missing} is missing: run images/debian-disk.ts`;
}

/** The system on a snapshot of its disk. */
export const debianSpec = (
  kernel: KernelLabel,
  format: "raw" | "qcow2",
  spec: Partial<GuestSpec> = {},
): GuestSpec => ({
  kernel: kernelFile(kernel),
  initrd: join(cache, `initrd-root-${kernel}.gz`),
  append: "root=/dev/vda",
  memoryMiB: 1024,
  drives: [{ file: diskFile(format), format, snapshot: true }],
  ...spec,
});

/** What the shell prints before it takes a command: distinct from all that a boot prints. */
const PROMPT = "campaign> ";

/** Waits for the login prompt. @param seconds of wall time */
export async function waitForLogin(guest: GuestProcess, seconds: number): Promise<void> {
  await guest.expect(new RegExp(`${HOST_NAME} login: `), seconds);
}

/** Logs root in at the console. */
export async function logIn(guest: GuestProcess, seconds: number): Promise<void> {
  guest.type("root\n");
  await guest.expect(/Password: /, seconds);
  guest.type(`${PASSWORD}\n`);
  await guest.expect(/root@\S+# /, seconds);
  // No echo, no line editing, no colours: what comes is what the commands print.
  guest.type(
    `stty -echo; bind 'set enable-bracketed-paste off'; export TERM=dumb PAGER=cat PS1='campaign''> '\n`,
  );
  await guest.expect(new RegExp(PROMPT), seconds);
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Runs a command line at the prompt. */
export async function ask(guest: GuestProcess, command: string, seconds: number): Promise<Answer> {
  guest.type(`{ ${command}; } 2>&1; echo "status=$?"\n`);
  const [, status] = await guest.expect(/status=(\d+)\r?\n/, seconds);
  const text = guest.skipped.trim();
  await guest.expect(new RegExp(PROMPT), seconds);
  return { status: Number(status), text };
}

/** As `ask`, for commands that must succeed. @throws GuestError */
export async function must(guest: GuestProcess, command: string, seconds: number): Promise<string> {
  const { status, text } = await ask(guest, command, seconds);
  if (status !== 0) throw new GuestError(`${command}: status ${status}: ${text.slice(-400)}`);
  return text;
}
