import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { detectImage } from "../../src/boot/detect.ts";
import { ImageError } from "../../src/boot/image-error.ts";
import { describeImage } from "../../src/boot/info.ts";
import { makeBzImage, makeElf, makeMultibootElf, makeMultibootRaw, makePvh } from "./images.ts";

const bytesAt = (offset: number, bytes: readonly number[] | string, length = 0x9000): Uint8Array => {
  const file = new Uint8Array(length);
  file.set(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, offset);
  return file;
};

describe("images are recognised by content", () => {
  const segments = [{ physical: 0x20_0000, data: new Uint8Array(64) }];
  test.each([
    ["bzimage", makeBzImage()],
    ["elf64", makeElf({ segments })],
    ["pvh", makePvh()],
    ["multiboot", makeMultibootElf(32)],
    ["multiboot", makeMultibootElf(64)],
    ["multiboot", makeMultibootRaw()],
  ] as const)("%s", (format, file) => {
    expect(detectImage(file)).toBe(format);
  });
});

describe("what is no image is named, with the offset it was seen at", () => {
  test.each([
    ["an empty file", new Uint8Array(0), /found an empty file$/],
    [
      "arm64",
      bytesAt(0x38, "ARMd"),
      /found an arm64 kernel Image \(magic at offset 0x38\): this machine is x86-64$/,
    ],
    ["RISC-V", bytesAt(0x38, "RSC\x05"), /found a RISC-V kernel Image/],
    [
      "gzip",
      gzipSync("data"),
      /found gzip-compressed data .* offset 0x0\): decompress it first, or give it as --initrd$/,
    ],
    ["zstd", zstdCompressSync("data"), /found zstd-compressed data/],
    ["xz", bytesAt(0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), /found xz-compressed data/],
    ["cpio", bytesAt(0, "070701"), /found a cpio archive .*: give it as --initrd$/],
    ["ISO 9660", bytesAt(0x8001, "CD001"), /found an ISO 9660 disc image/],
    ["EFI", bytesAt(0, "MZ"), /found a Windows or EFI program/],
    [
      "boot sector",
      bytesAt(0x1fe, [0x55, 0xaa], 512),
      /found a disk image or a kernel without a setup header \(magic at offset 0x1fe\)/,
    ],
    ["multiboot 2", bytesAt(8, [0xd6, 0x50, 0x52, 0xe8]), /found a multiboot 2 image/],
    ["a script", bytesAt(0, "#!/bin/sh"), /found a script/],
    [
      "noise",
      Uint8Array.from([1, 2, 3, 4]),
      /found 4 bytes without a known signature, beginning 01 02 03 04 at offset 0x0$/,
    ],
  ] as const)("%s", (_name, file, message) => {
    expect(() => detectImage(file)).toThrow(ImageError);
    expect(() => detectImage(file)).toThrow(message);
    expect(() => detectImage(file)).toThrow(
      /^expected a bzImage, an ELF64 kernel, a PVH or a multiboot image, found /,
    );
  });
});

describe("describeImage", () => {
  test("a bzImage: protocol, version text, entry, memory, compression", () => {
    const file = makeBzImage({ kernelVersion: "6.1.0 (builder) #1 SMP" });
    expect(describeImage(file)).toEqual({
      format: "bzimage",
      description: "Linux bzImage",
      boot: "Linux 64-bit boot protocol",
      fileSize: file.length,
      loadAddress: 0x100_0000,
      memorySize: 0x10_0000,
      entry: 0x100_0200,
      protocol: "2.15",
      kernelVersion: "6.1.0 (builder) #1 SMP",
      compression: "none",
      commandLineLimit: 2047,
    });
  });
  test("a PVH kernel", () => {
    expect(describeImage(makePvh())).toMatchObject({
      boot: "PVH",
      entry: 0x20_0010,
      loadAddress: 0x20_0000,
      memorySize: 0x1000,
      segments: 1,
    });
  });
  test("a multiboot image", () => {
    expect(describeImage(makeMultibootRaw())).toMatchObject({
      description: "multiboot image (address fields)",
      entry: 0x10_0040,
      memorySize: 0x200,
    });
  });
  test("an ELF64 kernel", () => {
    const file = makeElf({ segments: [{ physical: 0x20_0000, data: new Uint8Array(64) }] });
    expect(describeImage(file)).toMatchObject({
      format: "elf64",
      entry: 0x20_0000,
      boot: "Linux 64-bit boot protocol at the ELF entry point",
    });
  });
  test("the version of an ELF Linux kernel is in its banner, not in other text that begins alike", () => {
    const data = new TextEncoder().encode("Linux version %s\0Linux version 6.1.0 (builder) #1\n\0");
    expect(describeImage(makeElf({ segments: [{ physical: 0x20_0000, data }] })).kernelVersion).toBe(
      "6.1.0 (builder) #1",
    );
  });
  test("a damaged image throws as loading does", () => {
    expect(() => describeImage(makeBzImage().subarray(0, 2000))).toThrow(ImageError);
  });
});
