/**
 * Assembles the guest tests with gcc and binutils: each `test/guest/NAME.S`, linked with `lib/*.S`, is one
 * multiboot kernel.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const directory = import.meta.dirname;
const library = join(directory, "lib");

export interface Guest {
  /** File name of the kernel: a 32-bit multiboot ELF. */
  readonly image: string;
  /** The names of all checks that the test makes, in the order of the source. */
  readonly checks: readonly string[];
}

/** Why the guests cannot be built here, or null. */
export function missingTools(): string | null {
  const missing = ["gcc", "ld", "objcopy"].filter(
    (tool) => spawnSync(tool, ["--version"], { stdio: "ignore" }).status !== 0,
  );
  return missing.length === 0 ? null : `needs ${missing.join(", ")}`;
}

export function guestNames(): string[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith(".S"))
    .map((file) => file.slice(0, -2))
    .sort();
}

/** Guests for several processors. */
const PROCESSORS: Readonly<Record<string, number>> = {
  "processors-64": 4,
  "triple-fault-processors-64": 2,
};

/** Processors of the machine that a guest is made for. */
export function processorsOf(name: string): number {
  return PROCESSORS[name] ?? 1;
}

/** Builds guests in a directory of its own, which `dispose` removes. Throws when a tool fails. */
export class GuestBuilder {
  readonly #work = mkdtempSync(join(tmpdir(), "ukl-emu-guest-"));
  readonly #library: readonly string[];

  constructor() {
    this.#library = readdirSync(library)
      .filter((file) => file.endsWith(".S"))
      .map((file) => this.#assemble(join("lib", file), `lib-${file}.o`));
  }

  #tool(command: string, ...args: string[]): void {
    execFileSync(command, args, { cwd: directory, stdio: ["ignore", "inherit", "inherit"] });
  }

  #assemble(source: string, object: string): string {
    const output = join(this.#work, object);
    this.#tool("gcc", "-m64", "-I.", "-Ilib", "-c", source, "-o", output);
    return output;
  }

  build(name: string): Guest {
    const file = (suffix: string): string => join(this.#work, `${name}.${suffix}`);
    const object = this.#assemble(`${name}.S`, `${name}.o`);
    const linked = file("elf");
    const flags = [
      "-m",
      "elf_x86_64",
      "-nostdlib",
      "-static",
      "-z",
      "noexecstack",
      "-z",
      "max-page-size=4096",
    ];
    this.#tool(
      "ld",
      ...flags,
      "--no-warn-rwx-segments",
      "-T",
      "lib/link.ld",
      "-o",
      linked,
      object,
      ...this.#library,
    );
    // QEMU loads a multiboot kernel only from an ELF file of the 32-bit class.
    this.#tool(
      "objcopy",
      "-O",
      "elf32-i386",
      "--dump-section",
      `.names=${file("names")}`,
      linked,
      file("bin"),
    );
    // A check that may be skipped stands twice.
    const checks = new Set(readFileSync(file("names"), "latin1").split("\0").slice(0, -1));
    return { image: file("bin"), checks: [...checks] };
  }

  dispose(): void {
    rmSync(this.#work, { recursive: true, force: true });
  }
}
