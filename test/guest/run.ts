/** Runs a guest test to its end under this emulator or under QEMU and reads its report. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { Machine } from "../../src/machine/machine.ts";
import type { Guest } from "./build.ts";

export type Verdict =
  | { readonly kind: "ok" }
  | { readonly kind: "skip"; readonly reason: string }
  | { readonly kind: "not ok"; readonly line: string };

export interface Report {
  /** By the name of the check; a check that the run did not reach is absent. */
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** Lines that are no verdict. */
  readonly other: readonly string[];
  /** How the run ended: "exit N" with isa-debug-exit's status, "triple-fault", or the emulator's words. */
  readonly end: string;
}

/** Status of a run that came to its end: isa-debug-exit doubles 10H and adds 1. */
export const COMPLETE = "exit 33";

function readVerdict(word: string, rest: string, line: string): [string, Verdict] {
  if (word === "ok") return [rest, { kind: "ok" }];
  if (word === "skip") {
    const [, name = rest, reason = ""] = /^(.*): (.*)$/.exec(rest) ?? [];
    return [name, { kind: "skip", reason }];
  }
  const [, name = rest] = /^(.*): got 0x[0-9a-f]+ expected 0x[0-9a-f]+$/.exec(rest) ?? [];
  return [name, { kind: "not ok", line }];
}

function readReport(guest: Guest, console: string, end: string): Report {
  const verdicts = new Map<string, Verdict>();
  const other: string[] = [];
  for (const line of console.split("\n").map((text) => text.replace(/\r$/, ""))) {
    const match = /^(ok|not ok|skip) (.*)$/.exec(line);
    if (match === null) {
      if (line !== "") other.push(line);
      continue;
    }
    const [name, verdict] = readVerdict(match[1]!, match[2]!, line);
    if (verdicts.has(name)) other.push(`reported twice: ${name}`);
    verdicts.set(name, verdict);
  }
  const all = verdicts.get("all");
  if (all) for (const name of guest.checks) if (!verdicts.has(name)) verdicts.set(name, all);
  return { verdicts, other, end };
}

/** Enough for every test here many times over; a test that hangs ends by it. */
const INSTRUCTION_LIMIT = 50_000_000;
const MEMORY_MIB = 64;

export interface EmulatorOptions {
  /** 1 unless given. */
  readonly cpus?: number;
  readonly quantum?: number;
  /** A timing model. */
  readonly timing?: string;
  /** Every instruction by itself, as for `--trace insn`, in place of whole blocks. */
  readonly stepped?: boolean;
}

export function runInEmulator(guest: Guest, cpu: string, options: EmulatorOptions = {}): Report {
  let console = "";
  const machine = new Machine({
    memory: MEMORY_MIB * 2 ** 20,
    cpu,
    cpus: options.cpus ?? 1,
    ...(options.quantum === undefined ? {} : { quantum: options.quantum }),
    ...(options.timing === undefined ? {} : { timing: options.timing }),
    onConsole: (byte) => {
      console += String.fromCharCode(byte);
    },
  });
  if (options.stepped) machine.processor.onStep = () => {};
  machine.load({ image: readFileSync(guest.image) });
  const stop = machine.runSync({ maxInstructions: INSTRUCTION_LIMIT });
  const end = stop.kind === "debug-exit" ? `exit ${stop.status}` : stop.kind;
  return readReport(guest, console, end);
}

export function qemuVersion(): string | null {
  const result = spawnSync("qemu-system-x86_64", ["--version"], { encoding: "utf8" });
  if (result.status !== 0) return null;
  return /version (\S+)/.exec(result.stdout)?.[1] ?? "unknown";
}

export function runInQemu(guest: Guest, cpu: string, cpus = 1): Report {
  const result = spawnSync(
    "qemu-system-x86_64",
    [
      // One thread: processors that wait for each other go on at PAUSE, not when the host has a core to spare.
      ...[
        "-accel",
        cpus === 1 ? "tcg" : "tcg,thread=single",
        "-cpu",
        cpu,
        "-m",
        `${MEMORY_MIB}M`,
        "-smp",
        String(cpus),
        "-nodefaults",
        "-display",
        "none",
      ],
      ...["-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-serial", "stdio"],
      ...["-kernel", guest.image],
    ],
    { encoding: "latin1", timeout: 10_000, stdio: ["ignore", "pipe", "pipe"] },
  );
  // A triple fault resets the machine, which -no-reboot turns into an ordinary end.
  const end = result.error
    ? result.error.message
    : result.status === 0
      ? "triple-fault"
      : `exit ${result.status}`;
  return readReport(guest, result.stdout, end);
}
