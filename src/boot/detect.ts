/** Recognises an image by its content and says what a file is that cannot be booted. */
import { isBzImage } from "./bzimage.ts";
import { isElf, PT_INTERP, parseElf } from "./elf.ts";
import { byteCount, hex, ImageError } from "./image-error.ts";
import { findMultibootHeader } from "./multiboot.ts";
import { pvhEntry } from "./pvh.ts";

/**
 * How an image would be booted. An ELF with several ways is booted by the first of: PVH, which is made for
 * starting a kernel without firmware; multiboot 1; its 64-bit entry.
 */
export type ImageFormat = "bzimage" | "pvh" | "multiboot" | "elf64";

const expected = "expected a bzImage, an ELF64 kernel, a PVH or a multiboot image";

interface KnownFile {
  readonly name: string;
  readonly offset: number;
  /** Latin-1 characters or bytes. */
  readonly magic: string | readonly number[];
  readonly remedy?: string;
}

const arm64Remedy = "this machine is x86-64";
const decompress = "decompress it first";

/** Files that people try, by the magic numbers of their own specifications. */
const knownFiles: readonly KnownFile[] = [
  { name: "an arm64 kernel Image", offset: 0x38, magic: "ARMd", remedy: arm64Remedy },
  { name: "a RISC-V kernel Image", offset: 0x38, magic: "RSC\x05", remedy: arm64Remedy },
  { name: "a 32-bit Arm zImage", offset: 0x24, magic: [0x18, 0x28, 0x6f, 0x01], remedy: arm64Remedy },
  { name: "a U-Boot uImage", offset: 0, magic: [0x27, 0x05, 0x19, 0x56] },
  {
    name: "gzip-compressed data",
    offset: 0,
    magic: [0x1f, 0x8b],
    remedy: `${decompress}, or give it as --initrd`,
  },
  { name: "xz-compressed data", offset: 0, magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], remedy: decompress },
  { name: "zstd-compressed data", offset: 0, magic: [0x28, 0xb5, 0x2f, 0xfd], remedy: decompress },
  { name: "LZ4-compressed data", offset: 0, magic: [0x02, 0x21, 0x4c, 0x18], remedy: decompress },
  { name: "LZ4-compressed data", offset: 0, magic: [0x04, 0x22, 0x4d, 0x18], remedy: decompress },
  { name: "bzip2-compressed data", offset: 0, magic: "BZh", remedy: decompress },
  { name: "a cpio archive", offset: 0, magic: "07070", remedy: "give it as --initrd" },
  { name: "a Debian package or ar archive", offset: 0, magic: "!<arch>\n" },
  { name: "a qcow2 disk image", offset: 0, magic: "QFI\xfb" },
  { name: "an ISO 9660 disc image", offset: 0x8001, magic: "CD001" },
  { name: "a script", offset: 0, magic: "#!" },
  { name: "a Windows or EFI program", offset: 0, magic: "MZ" },
  { name: "a disk image or a kernel without a setup header", offset: 0x1fe, magic: [0x55, 0xaa] },
];

function matches(file: Uint8Array, known: KnownFile): boolean {
  const { magic, offset } = known;
  for (let i = 0; i < magic.length; i++) {
    const byte = typeof magic === "string" ? magic.charCodeAt(i) : magic[i];
    if (file[offset + i] !== byte) return false;
  }
  return true;
}

const MULTIBOOT2_MAGIC = [0xd6, 0x50, 0x52, 0xe8];
/** Multiboot2 specification 3.1: 8-byte aligned in the first 32 KiB. */
function isMultiboot2(file: Uint8Array): boolean {
  for (let offset = 0; offset < Math.min(file.length, 32768); offset += 8) {
    if (MULTIBOOT2_MAGIC.every((byte, i) => file[offset + i] === byte)) return true;
  }
  return false;
}

function unknownFile(file: Uint8Array): ImageError {
  if (isMultiboot2(file)) return new ImageError(`${expected}, found a multiboot 2 image`);
  const known = knownFiles.find((candidate) => matches(file, candidate));
  if (known !== undefined) {
    const remedy = known.remedy === undefined ? "" : `: ${known.remedy}`;
    return new ImageError(`${expected}, found ${known.name} (magic at offset ${hex(known.offset)})${remedy}`);
  }
  const start = [...file.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return new ImageError(
    `${expected}, found ${byteCount(file.length)} without a known signature, beginning ${start} at offset 0x0`,
  );
}

/** Says how a file would be booted. Throws `ImageError` for one that cannot be. */
export function detectImage(file: Uint8Array): ImageFormat {
  if (file.length === 0) throw new ImageError(`${expected}, found an empty file`);
  if (isBzImage(file)) return "bzimage";
  const multiboot = findMultibootHeader(file);
  if (isElf(file)) {
    // The address fields of a multiboot header replace the ELF structure, which need not be sound then.
    if (multiboot?.addresses !== undefined) return "multiboot";
    const elf = parseElf(file);
    if (pvhEntry(elf) !== undefined) return "pvh";
    if (multiboot !== undefined) return "multiboot";
    if (elf.segments.some((segment) => segment.type === PT_INTERP)) {
      throw new ImageError(`${expected}, found a dynamically linked program (PT_INTERP)`);
    }
    if (elf.bits === 64) return "elf64";
    throw new ImageError(
      `${expected}, found a 32-bit ELF file (class 1 at offset 0x4) without a PVH note or a multiboot header`,
    );
  }
  if (multiboot !== undefined) return "multiboot";
  throw unknownFile(file);
}
