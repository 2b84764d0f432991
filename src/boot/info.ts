/** What `ukl-emu info` says of an image. */
import type { ImageReader } from "./bytes.ts";
import { parseBzImage, protocolName } from "./bzimage.ts";
import { detectImage, type ImageFormat } from "./detect.ts";
import { loadedExtent, PT_LOAD, parseElf, physicalEntry } from "./elf.ts";
import { planMultiboot } from "./multiboot.ts";
import { pvhEntry } from "./pvh.ts";

/** Addresses are guest physical, sizes in bytes. */
export interface ImageInfo {
  readonly format: ImageFormat;
  /** In words, e.g. "Linux bzImage". */
  readonly description: string;
  /** How it would be booted, e.g. "Linux 64-bit boot protocol". */
  readonly boot: string;
  readonly fileSize: number;
  readonly loadAddress: number;
  /** Memory taken from the load address on until the kernel manages its own. */
  readonly memorySize: number;
  readonly entry: number;
  /** bzImage: boot protocol version, e.g. "2.15". */
  readonly protocol?: string;
  /** The kernel's own version text: a bzImage's kernel_version, an ELF Linux kernel's banner. */
  readonly kernelVersion?: string;
  /** bzImage: how the kernel proper is compressed, or "none" where it says it is not. */
  readonly compression?: string;
  readonly commandLineLimit?: number;
  /** ELF: loaded segments. */
  readonly segments?: number;
}

/** Compression of a bzImage's payload by the magic numbers that boot.rst lists (payload_offset). */
const compressions: readonly (readonly [name: string, magic: readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["gzip", [0x1f, 0x9e]],
  ["bzip2", [0x42, 0x5a]],
  ["LZMA", [0x5d, 0x00]],
  ["xz", [0xfd, 0x37]],
  ["LZ4", [0x02, 0x21]],
  ["zstd", [0x28, 0xb5]],
  ["none", [0x7f, 0x45]],
];

function describeBzImage(file: Uint8Array): ImageInfo {
  const image = parseBzImage(file);
  const offset = image.reader.u32(0x248);
  const payload = image.payload.subarray(offset, offset + 2);
  const compression =
    offset === 0
      ? "none"
      : (compressions.find(([, magic]) => magic.every((byte, i) => payload[i] === byte))?.[0] ?? "unknown");
  return {
    format: "bzimage",
    description: "Linux bzImage",
    boot: image.entry64 ? "Linux 64-bit boot protocol" : "Linux 32-bit boot protocol",
    fileSize: file.length,
    loadAddress: image.preferredAddress,
    memorySize: image.initSize,
    entry: image.preferredAddress + (image.entry64 ? 0x200 : 0),
    protocol: protocolName(image.version),
    kernelVersion: image.kernelVersion,
    compression,
    commandLineLimit: image.commandLineSize,
  };
}

/** Linux's banner, "Linux version 6.1.0 (builder) ...", without its first two words. */
function linuxBanner(reader: ImageReader): string | undefined {
  const BANNER = "Linux version ";
  const first = BANNER.charCodeAt(0);
  for (let at = reader.bytes.indexOf(first); at >= 0; at = reader.bytes.indexOf(first, at + 1)) {
    if (reader.text(at, BANNER.length) !== BANNER) continue;
    const version = reader.text(at + BANNER.length, 256);
    if (/^\d+\.\d/.test(version)) return version;
  }
  return undefined;
}

function describeElf(file: Uint8Array, format: "pvh" | "elf64"): ImageInfo {
  const elf = parseElf(file);
  const extent = loadedExtent(elf);
  const kernelVersion = linuxBanner(elf.reader);
  return {
    format,
    description: `ELF${elf.bits} kernel`,
    boot: format === "pvh" ? "PVH" : "Linux 64-bit boot protocol at the ELF entry point",
    fileSize: file.length,
    loadAddress: extent.base,
    memorySize: extent.end - extent.base,
    entry: (format === "pvh" ? pvhEntry(elf) : undefined) ?? physicalEntry(elf),
    segments: elf.segments.filter((segment) => segment.type === PT_LOAD).length,
    ...(kernelVersion === undefined ? {} : { kernelVersion }),
  };
}

/** Describes an image without loading it. Throws `ImageError` for a file that cannot be booted. */
export function describeImage(file: Uint8Array): ImageInfo {
  const format = detectImage(file);
  if (format === "bzimage") return describeBzImage(file);
  if (format !== "multiboot") return describeElf(file, format);
  const plan = planMultiboot(file);
  return {
    format,
    description: `multiboot image (${plan.kind})`,
    boot: "Multiboot 1",
    fileSize: file.length,
    loadAddress: plan.base,
    memorySize: plan.end - plan.base,
    entry: plan.entry,
  };
}
