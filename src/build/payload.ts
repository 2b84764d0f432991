/**
 * What the builder writes into a linked image: the symbol table, the initial file system, and struct image_info,
 * which tells the kernel where they are (src/ukl-kernel/include/image.h).
 */
import type { ElfFile } from "./elf-file.ts";
import { encodedSize, encodeSymbols, type ImageSymbol } from "./symbols.ts";

const INFO_MAGIC = "UKLIMAGE";
const INFO_COMMAND_LINE = 40;
const COMMAND_LINE_SIZE = 256;
/** Without its NUL. */
export const COMMAND_LINE_LONGEST = COMMAND_LINE_SIZE - 1;
const ALIGNMENT = 16;

const align = (size: number): number => Math.ceil(size / ALIGNMENT) * ALIGNMENT;

/** Bytes that the linker has to leave at `payload_start`. */
export const payloadSize = (symbols: readonly ImageSymbol[], initramfs: Uint8Array): number =>
  align(encodedSize(symbols)) + initramfs.length;

/** Writes all of it into the bytes of `elf`, which was linked with room for it. */
export function writePayload(
  elf: ElfFile,
  symbols: readonly ImageSymbol[],
  initramfs: Uint8Array,
  commandLine: string,
): void {
  const table = encodeSymbols(symbols);
  const start = elf.addressOf("payload_start");
  const payload = elf.at(start, payloadSize(symbols, initramfs));
  const initramfsAt = align(table.length);
  payload.set(table);
  payload.set(initramfs, initramfsAt);

  const info = Buffer.alloc(INFO_COMMAND_LINE + COMMAND_LINE_SIZE);
  const address = (offset: number): bigint => BigInt.asUintN(64, BigInt(start + offset));
  info.write(INFO_MAGIC, 0, "latin1");
  info.writeBigUInt64LE(address(0), 8);
  info.writeBigUInt64LE(BigInt(table.length), 16);
  info.writeBigUInt64LE(initramfs.length === 0 ? 0n : address(initramfsAt), 24);
  info.writeBigUInt64LE(BigInt(initramfs.length), 32);
  info.write(commandLine, INFO_COMMAND_LINE, "utf8");
  elf.at(elf.addressOf("image_info"), info.length).set(info);
}
