/** Compressed clusters: raw deflate or Zstandard ("Compressed Clusters Descriptor"). */
import { constants, inflateRawSync, zstdDecompressSync } from "node:zlib";
import { CorruptImage } from "./errors.ts";

/** The most that a Zstandard frame may ask to look back: 2^23 bytes, more than any cluster has. */
const ZSTD_WINDOW_LOG = 23;

/**
 * @param data begins with the compressed bytes; what follows them is ignored
 * @returns `size` bytes
 * @throws CorruptImage
 */
export function decompress(kind: "zlib" | "zstd", data: Uint8Array, size: number): Uint8Array {
  let bytes: Uint8Array;
  try {
    if (kind === "zlib")
      bytes = inflateRawSync(data, { maxOutputLength: size, chunkSize: Math.max(64, size) });
    else {
      bytes = zstdDecompressSync(data.subarray(0, zstdFrameLength(data)), {
        maxOutputLength: size,
        chunkSize: Math.max(64, size),
        params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG },
      });
    }
  } catch (error) {
    throw new CorruptImage(`a compressed cluster: ${(error as Error).message}`);
  }
  if (bytes.length !== size) throw new CorruptImage(`a compressed cluster of ${bytes.length} bytes`);
  return bytes;
}

/**
 * Length of the Zstandard frame at the start of `data` (RFC 8878, 3.1.1). The next cluster's frame may begin right
 * behind it, and zlib of Node would decode that too.
 */
function zstdFrameLength(data: Uint8Array): number {
  const byte = (at: number): number => {
    const value = data[at];
    if (value === undefined) throw new Error("a Zstandard frame without an end");
    return value;
  };
  // 3.1.1.1.1: frame header descriptor, behind the magic number.
  const descriptor = byte(4);
  const singleSegment = (descriptor >> 5) & 1;
  const contentSize = [singleSegment, 2, 4, 8][descriptor >> 6]!;
  const dictionary = [0, 1, 2, 4][descriptor & 3]!;
  let at = 5 + (1 - singleSegment) + dictionary + contentSize;
  for (let last = false; !last; ) {
    // 3.1.1.2: block header: last block, type, size. A block of type 1 repeats one byte.
    const header = byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16);
    last = (header & 1) !== 0;
    at += 3 + (((header >> 1) & 3) === 1 ? 1 : header >> 3);
  }
  return at + ((descriptor >> 2) & 1) * 4;
}
