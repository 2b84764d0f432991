/** Builds applications for a link mode and runs the images, here and under QEMU. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BuildOptions, buildImage } from "../../src/build/index.ts";
import { Machine, type MachineOptions, type StopReason } from "../../src/machine/machine.ts";

export const root = join(import.meta.dirname, "..", "..");
export const apps = join(root, "src", "ukl-kernel", "apps");

const has = (tool: string): boolean => spawnSync(tool, ["--version"]).error === undefined;
export const hasTools = has("gcc") && has("ld");
export const hasQemu = has("qemu-system-x86_64");

const built = new Map<string, Promise<Uint8Array>>();

/** An application of src/ukl-kernel/apps, by name; each image of a test file is built once. */
export function build(name: string, options: Omit<BuildOptions, "inputs">): Promise<Uint8Array> {
  const key = JSON.stringify([name, options]);
  let image = built.get(key);
  if (image === undefined) {
    image = buildImage({ inputs: [join(apps, `${name}.c`)], ...options }).then((result) => result.image);
    built.set(key, image);
  }
  return image;
}

export interface Run {
  readonly stop: StopReason;
  /** Everything on the console, line ends as \n. */
  readonly console: string;
  readonly instructions: number;
}

export interface RunRequest extends MachineOptions {
  readonly commandLine?: string;
  readonly maxInstructions?: number;
  /** Stop when the console shows this. */
  readonly until?: string;
}

/** Boots in the emulator, until the guest ends. */
export function runHere(image: Uint8Array, request: RunRequest = {}): Run {
  const { commandLine = "", maxInstructions = 300_000_000, until, ...options } = request;
  let console = "";
  const machine = new Machine({
    memory: 64 << 20,
    ...options,
    onConsole: (byte) => {
      console += String.fromCharCode(byte);
      if (until !== undefined && console.endsWith(until)) machine.stop();
    },
  });
  machine.load({ image, commandLine });
  const stop = machine.runSync({ maxInstructions });
  return { stop, console: console.replaceAll("\r\n", "\n"), instructions: machine.instructions };
}

/**
 * Boots in QEMU without KVM, until the guest ends.
 * @param more options, which may name the accelerator again
 * @returns the console, line ends as \n, and the exit status
 */
export function runQemu(
  image: Uint8Array,
  commandLine = "",
  memory = "64M",
  more: readonly string[] = [],
  timeout = 120_000,
): { readonly console: string; readonly status: number | null } {
  const work = mkdtempSync(join(tmpdir(), "ukl-emu-test-"));
  try {
    const path = join(work, "image.bin");
    writeFileSync(path, image);
    const { stdout, status } = spawnSync(
      "qemu-system-x86_64",
      [
        ...[
          "-M",
          "q35",
          ...(more.includes("-accel") ? [] : ["-accel", "tcg"]),
          "-m",
          memory,
          "-nodefaults",
          "-display",
          "none",
          "-no-reboot",
        ],
        ...["-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"],
        ...["-kernel", path, ...(commandLine === "" ? [] : ["-append", commandLine])],
        ...more,
      ],
      { encoding: "latin1", timeout, stdio: ["ignore", "pipe", "pipe"] },
    );
    return { console: stdout.replaceAll("\r\n", "\n"), status };
  } finally {
    rmSync(work, { recursive: true });
  }
}
