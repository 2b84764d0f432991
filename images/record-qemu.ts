/**
 * Boots the images of `fetch-debian.ts` under QEMU's TCG and keeps what its console said, to compare ours
 * with: `images/cache/qemu/KERNEL-IMAGE.txt`, and the kernels' symbol tables `images/cache/System.map-KERNEL`
 * (addresses without KASLR: boot with nokaslr). Debian's own System.map file is an empty placeholder.
 *
 *     node images/record-qemu.ts
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const cache = join(import.meta.dirname, "cache");
const kernels = ["cloud", "generic"];

/** Runs QEMU to power-off and returns the serial console's text. */
function boot(kernel: string, image: string, commandLine: string): string {
  const result = spawnSync(
    "qemu-system-x86_64",
    [
      ...[
        "-accel",
        "tcg",
        "-m",
        "512M",
        "-display",
        "none",
        "-monitor",
        "none",
        "-serial",
        "stdio",
        "-no-reboot",
      ],
      ...["-kernel", join(cache, `vmlinuz-${kernel}`), "-initrd", join(cache, `initrd-${image}.gz`)],
      ...["-append", commandLine],
    ],
    { encoding: "utf8", timeout: 120_000, maxBuffer: 64 << 20, stdio: ["ignore", "pipe", "inherit"] },
  );
  if (result.error !== undefined) throw result.error;
  return result.stdout;
}

/** The lines between two marker lines, without carriage returns. */
function between(text: string, begin: string, end: string): string {
  const lines = text.split(/\r*\n/);
  return `${lines.slice(lines.indexOf(begin) + 1, lines.indexOf(end)).join("\n")}\n`;
}

if (!existsSync(join(cache, "vmlinuz-cloud"))) {
  console.error("record-qemu: images/cache/vmlinuz-cloud not found: run images/fetch-debian.ts first");
  process.exit(2);
}
mkdirSync(join(cache, "qemu"), { recursive: true });
for (const kernel of kernels) {
  for (const image of ["init", "script"]) {
    writeFileSync(join(cache, "qemu", `${kernel}-${image}.txt`), boot(kernel, image, "console=ttyS0"));
  }
  const symbols = boot(kernel, "symbols", "console=ttyS0 nokaslr quiet");
  writeFileSync(join(cache, `System.map-${kernel}`), between(symbols, "symbols: begin", "symbols: end"));
  console.log(`${kernel}: console and symbols recorded`);
}
