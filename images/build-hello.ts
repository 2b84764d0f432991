/**
 * Builds `images/hello.bin` from `src/ukl-kernel/hello` with gcc and binutils:
 *
 *     node images/build-hello.ts [OUTPUT]
 *
 * The committed file was built with the toolchain named in `toolchain`; another one may give other bytes
 * that do the same.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** First line of `gcc --version` of the compiler behind the committed image: Debian 12's. */
export const toolchain = "gcc (Debian 12.2.0-14+deb12u1) 12.2.0";

const sources = join(import.meta.dirname, "..", "src", "ukl-kernel", "hello");
const setupSectors = 1;
const cFlags = [
  ...["-m64", "-Os", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-pic", "-fno-pie"],
  // Interrupt-safe kernel code: no red zone, no vector registers; and no tables that nothing reads.
  ...[
    "-mno-red-zone",
    "-mgeneral-regs-only",
    "-mcmodel=small",
    "-fno-stack-protector",
    "-fcf-protection=none",
  ],
  ...["-fno-asynchronous-unwind-tables", "-fno-ident"],
];

/** Builds the image and writes it to `output`. Throws when a tool fails or is missing. */
export function buildHello(output: string): void {
  const work = mkdtempSync(join(tmpdir(), "ukl-emu-hello-"));
  const tool = (command: string, ...args: string[]): void => {
    execFileSync(command, args, { cwd: sources, stdio: ["ignore", "inherit", "inherit"] });
  };
  try {
    const object = (source: string): string => join(work, `${source}.o`);
    for (const source of ["setup.S", "entry.S", "hello.c"]) {
      tool("gcc", ...cFlags, `-DSETUP_SECTORS=${setupSectors}`, "-c", source, "-o", object(source));
    }
    const elf = join(work, "hello.elf");
    const objects = ["setup.S", "entry.S", "hello.c"].map(object);
    tool(
      "ld",
      "-m",
      "elf_x86_64",
      "-nostdlib",
      "-static",
      "--build-id=none",
      "-T",
      "hello.ld",
      "-o",
      elf,
      ...objects,
    );
    const image = join(work, "hello.bin");
    tool("objcopy", "-O", "binary", "-j", ".setup", "-j", ".text", elf, image);
    copyFileSync(image, output);
    chmodSync(output, 0o644);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (import.meta.main) buildHello(process.argv[2] ?? join(import.meta.dirname, "hello.bin"));
