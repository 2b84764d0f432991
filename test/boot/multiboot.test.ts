import { describe, expect, test } from "vitest";
import { ImageError } from "../../src/boot/image-error.ts";
import { loadImage } from "../../src/boot/load.ts";
import type { LoadOptions } from "../../src/boot/platform.ts";
import * as map from "../../src/machine/address-map.ts";
import { makeMultibootElf, makeMultibootRaw, multibootHeader } from "./images.ts";
import { bootPlatform, MIB, SparseMemory } from "./platform.ts";

const RAM = 16 * MIB;

function load(file: Uint8Array, options: Partial<LoadOptions> = {}) {
  const memory = new SparseMemory(RAM);
  const entry = loadImage(file, { commandLine: "", platform: bootPlatform(RAM), ...options }, memory);
  return { memory, entry };
}

describe("machine state (section 3.2)", () => {
  test.each([32, 64] as const)(
    "ELF%i: EAX is the magic, EBX the information's address, paging is off",
    (bits) => {
      const { entry } = load(makeMultibootElf(bits));
      expect(entry).toMatchObject({ mode: "protected32", rip: 0x10_000c, cr0: 0x11, cr4: 0 });
      expect(entry.registers).toMatchObject({ rax: 0x2bad_b002, rbx: map.MULTIBOOT_INFO });
      expect(entry.cs).toMatchObject({ base: 0, limit: 0xffff_ffff, attributes: 0xc09b });
    },
  );

  test("address fields say what is loaded where", () => {
    const { entry, memory } = load(makeMultibootRaw());
    expect(entry.rip).toBe(0x10_0040);
    expect(memory.u32(0x10_0010)).toBe(0x1bad_b002);
  });

  test("load_end_addr 0 loads the rest of the file, bss_end_addr 0 means no bss", () => {
    const file = makeMultibootRaw({ loadEnd: 0, bssEnd: 0 });
    file[255] = 0x5a;
    expect(load(file).memory.u8(0x10_00ff)).toBe(0x5a);
  });
});

describe("information structure (section 3.3)", () => {
  test("memory sizes, command line, modules and memory map", () => {
    const { memory } = load(makeMultibootElf(32), {
      commandLine: "kernel args",
      modules: [
        { data: new Uint8Array(5000).fill(1), commandLine: "one" },
        { data: new Uint8Array(10).fill(2), commandLine: "two" },
      ],
    });
    const at = map.MULTIBOOT_INFO;
    expect(memory.u32(at)).toBe(0b10_0100_1101);
    expect([memory.u32(at + 4), memory.u32(at + 8)]).toEqual([639, 15 * 1024]);
    expect(memory.text(memory.u32(at + 16))).toBe("kernel args");
    expect(memory.u32(at + 20)).toBe(2);
    const list = memory.u32(at + 24);
    const [first, second] = [list, list + 16].map((m) => ({
      start: memory.u32(m),
      end: memory.u32(m + 4),
      text: memory.text(memory.u32(m + 8)),
    }));
    // After the kernel's last byte at 102000h, page-aligned, one after the other.
    expect(first).toEqual({ start: 0x10_2000, end: 0x10_2000 + 5000, text: "one" });
    expect(second).toEqual({ start: 0x10_4000, end: 0x10_400a, text: "two" });
    expect(memory.u8(0x10_4000)).toBe(2);
    expect(memory.text(memory.u32(at + 64))).toBe("ukl-emu");

    const [length, table] = [memory.u32(at + 44), memory.u32(at + 48)];
    const entries = [];
    for (let entry = table; entry < table + length; entry += memory.u32(entry) + 4) {
      entries.push({
        base: memory.u64(entry + 4),
        length: memory.u64(entry + 12),
        type: memory.u32(entry + 20),
      });
    }
    expect(entries).toEqual(bootPlatform(RAM).memoryMap);
  });
});

describe("the header (section 3.1)", () => {
  const withHeader = (offset: number, length = 9000): Uint8Array => {
    const file = new Uint8Array(length);
    const base = 0x10_0000;
    file.set(multibootHeader(0x1_0000, [base + offset, base, 0, 0, base]), offset);
    return file;
  };
  test("is found at any multiple of 4 in the first 8192 bytes", () => {
    for (const offset of [0, 4, 4096, 8192 - 32]) expect(load(withHeader(offset)).entry.rip).toBe(0x10_0000);
  });
  test("is not looked for at odd offsets or after 8192 bytes", () => {
    for (const offset of [2, 8192])
      expect(() => load(withHeader(offset))).toThrow(/without a known signature/);
  });
  test("a wrong checksum is no header", () => {
    const file = withHeader(0);
    file[8] = 0;
    expect(() => load(file)).toThrow(/without a known signature/);
  });
  test("an unknown requirement (flags 0-15) means that the image must not be loaded", () => {
    expect(() => load(makeMultibootElf(32, 0x13))).toThrow(/found unknown flags 0x10 at offset/);
  });
  test("unknown optional flags (16-31) are ignored", () => {
    expect(load(makeMultibootElf(32, 0x8000_0003)).entry.rip).toBe(0x10_000c);
  });
});

describe("what cannot be loaded", () => {
  const cases: readonly (readonly [name: string, file: Uint8Array, message: RegExp])[] = [
    [
      "neither ELF nor address fields",
      multibootHeader(0),
      /expected an ELF file or address fields \(flag 16\), found neither/,
    ],
    [
      "load_addr above header_addr",
      makeMultibootRaw({ load: 0x10_0020 }),
      /expected load_addr at or up to 0x10 below header_addr 0x100010, found 0x100020/,
    ],
    ["text before the file's start", makeMultibootRaw({ load: 0xf_0000 }), /found 0xf0000 at offset 0x20/],
    [
      "load_end_addr below load_addr",
      makeMultibootRaw({ loadEnd: 0x1000 }),
      /expected load_end_addr above load_addr 0x100000, found 0x1000/,
    ],
    [
      "load_end_addr beyond the file",
      makeMultibootRaw({ loadEnd: 0x10_0200 }),
      /truncated multiboot image: expected 512 bytes of text and data at offset 0x0/,
    ],
    [
      "bss_end_addr inside the data",
      makeMultibootRaw({ bssEnd: 0x10_0080 }),
      /expected bss_end_addr at or above 0x100100, found 0x100080/,
    ],
    [
      "an entry outside",
      makeMultibootRaw({ entry: 0x20_0000 }),
      /expected entry_addr in 0x100000-0x1001ff, found 0x200000/,
    ],
    [
      "more bss than memory",
      makeMultibootRaw({ bssEnd: 0x7fff_ffff }),
      /kernel needs guest memory .*--memory/,
    ],
  ];
  test.each(cases)("%s", (_name, file, message) => {
    expect(() => load(file)).toThrow(ImageError);
    expect(() => load(file)).toThrow(message);
  });
  test("modules that do not fit", () => {
    const modules = [{ data: new Uint8Array(RAM) }];
    expect(() => load(makeMultibootElf(32), { modules })).toThrow(
      /module 1 of 16,777,216 bytes does not fit/,
    );
  });
});
