/**
 * Unpacks the ELF kernel inside each bzImage of `images/cache/`: `vmlinuz-NAME` gives `vmlinux-NAME`, for
 * booting by the PVH note or the ELF entry point and for looking at with objdump.
 *
 *     node images/extract-vmlinux.ts
 *
 * Needs the decompressor that the kernel was packed with: gzip, bzip2, xz, lz4 or zstd.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseBzImage } from "../src/boot/bzimage.ts";
import { isElf } from "../src/boot/elf.ts";
import { describeImage } from "../src/boot/info.ts";

const cache = join(import.meta.dirname, "cache");

/** Setup header fields (boot.rst): where the packed kernel lies in the protected-mode code. */
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

const tools: Readonly<Record<string, readonly string[]>> = {
  gzip: ["gzip", "-dc"],
  bzip2: ["bzip2", "-dc"],
  xz: ["xz", "-dc"],
  LZ4: ["lz4", "-dc"],
  zstd: ["zstd", "-dc"],
};

function unpack(file: Uint8Array): Uint8Array {
  const image = parseBzImage(file);
  const start = image.reader.u32(PAYLOAD_OFFSET);
  const packed = image.payload.subarray(start, start + image.reader.u32(PAYLOAD_LENGTH));
  const { compression = "unknown" } = describeImage(file);
  if (compression === "none") return packed;
  const [tool, ...args] = tools[compression] ?? [];
  if (tool === undefined) throw new Error(`no tool unpacks ${compression} data`);
  const result = spawnSync(tool, args, { input: packed, maxBuffer: 1 << 30 });
  if (result.error !== undefined) throw new Error(`${tool} cannot be run: ${result.error.message}`);
  // The payload ends with the unpacked size (4 bytes), which tools take for garbage and complain about.
  if (!isElf(result.stdout)) throw new Error(`${tool} gave no ELF file: ${result.stderr}`);
  return result.stdout;
}

const kernels = existsSync(cache) ? readdirSync(cache).filter((name) => name.startsWith("vmlinuz-")) : [];
if (kernels.length === 0) {
  console.error("extract-vmlinux: no images/cache/vmlinuz-* found: run images/fetch-debian.ts first");
  process.exitCode = 2;
}
for (const name of kernels) {
  const vmlinux = unpack(readFileSync(join(cache, name)));
  const output = name.replace("vmlinuz-", "vmlinux-");
  writeFileSync(join(cache, output), vmlinux);
  console.log(`${output}: ${vmlinux.length} bytes`);
}
