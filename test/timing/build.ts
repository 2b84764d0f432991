/** Assembles a guest of this directory with the library of the guest tests. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const guests = join(import.meta.dirname, "..", "guest");

/** The multiboot image of `NAME.S`. */
export function buildGuest(name: string): Uint8Array {
  const work = mkdtempSync(join(tmpdir(), "ukl-emu-timing-"));
  const tool = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: guests, stdio: ["ignore", "inherit", "inherit"] });
  const assemble = (source: string, object: string): string => {
    const output = join(work, object);
    tool("gcc", "-m64", "-I.", "-Ilib", "-c", source, "-o", output);
    return output;
  };
  try {
    const library = readdirSync(join(guests, "lib")).filter((file) => file.endsWith(".S"));
    const objects = [
      assemble(join(import.meta.dirname, `${name}.S`), "guest.o"),
      ...library.map((file) => assemble(join("lib", file), `lib-${file}.o`)),
    ];
    const linked = join(work, "guest.elf");
    const image = join(work, "guest.bin");
    const flags = ["-m", "elf_x86_64", "-nostdlib", "-static", "-z", "max-page-size=4096"];
    tool("ld", ...flags, "--no-warn-rwx-segments", "-T", "lib/link.ld", "-o", linked, ...objects);
    tool("objcopy", "-O", "elf32-i386", linked, image);
    return readFileSync(image);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
