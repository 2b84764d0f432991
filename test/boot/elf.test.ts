import { describe, expect, test } from "vitest";
import { ImageError } from "../../src/boot/image-error.ts";
import { loadImage } from "../../src/boot/load.ts";
import type { LoadOptions } from "../../src/boot/platform.ts";
import * as map from "../../src/machine/address-map.ts";
import { makeElf, makeNote, makePvh, u32Bytes } from "./images.ts";
import { bootPlatform, MIB, SparseMemory } from "./platform.ts";

const RAM = 32 * MIB;
const code = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

function load(file: Uint8Array, options: Partial<LoadOptions> = {}, memory = new SparseMemory(RAM)) {
  const entry = loadImage(
    file,
    { commandLine: "x", platform: bootPlatform(memory.size), ...options },
    memory,
  );
  return { memory, entry };
}

describe("ELF64 kernel without a note", () => {
  test("is entered in 64-bit mode at its entry point with RSI = boot_params", () => {
    const { entry } = load(
      makeElf({ entry: 0x100_0040, segments: [{ physical: 0x100_0000, data: code(128, 1) }] }),
    );
    expect(entry).toMatchObject({ mode: "long64", rip: 0x100_0040, registers: { rsi: map.ZERO_PAGE } });
  });

  test("a virtual entry point is translated by the segment that holds it", () => {
    const { entry } = load(
      makeElf({
        entry: 0xc010_0040,
        segments: [{ physical: 0x20_0000, virtual: 0xc010_0000, data: code(128, 1) }],
      }),
    );
    expect(entry.rip).toBe(0x20_0040);
  });

  test("segments lie at their physical addresses; memory beyond p_filesz is cleared", () => {
    const memory = new SparseMemory(RAM);
    memory.fill(0x20_0000, 0x1000, 0xee);
    load(
      makeElf({
        segments: [
          { physical: 0x20_0000, virtual: 0x40_0000, data: code(16, 5), memorySize: 64 },
          { physical: 0x30_0000, data: code(32, 6) },
        ],
      }),
      {},
      memory,
    );
    expect([...new Set(memory.read(0x20_0000, 16))]).toEqual([5]);
    expect([...new Set(memory.read(0x20_0010, 48))]).toEqual([0]);
    expect(memory.u8(0x20_0040)).toBe(0xee);
    expect([...new Set(memory.read(0x30_0000, 32))]).toEqual([6]);
  });

  test("a PT_TLS segment outside every PT_LOAD is loaded at its physical address, its .tbss takes no memory", () => {
    const { memory } = load(
      makeElf({
        segments: [
          { physical: 0x20_0000, data: code(16, 5) },
          { type: 7, physical: 0x30_0000, data: code(16, 7), memorySize: 0x2000 },
          { physical: 0x30_0010, data: code(16, 8) },
        ],
      }),
    );
    expect([...memory.read(0x30_0000, 32)]).toEqual([...code(16, 7), ...code(16, 8)]);
  });

  test("gets a setup header, command line, initrd and memory map in the zero page", () => {
    const { memory } = load(makeElf({ segments: [{ physical: 0x100_0000, data: code(64, 1) }] }), {
      commandLine: "quiet",
      modules: [{ data: code(10, 9) }],
    });
    expect(memory.u32(map.ZERO_PAGE + 0x202)).toBe(0x5372_6448);
    expect(memory.text(memory.u32(map.ZERO_PAGE + 0x228))).toBe("quiet");
    expect([...memory.read(memory.u32(map.ZERO_PAGE + 0x218), 10)]).toEqual([...code(10, 9)]);
    expect(memory.u8(map.ZERO_PAGE + 0x1e8)).toBe(bootPlatform(RAM).memoryMap.length);
  });
});

describe("PVH", () => {
  test("cr0 has PE alone of the writable bits, cr4 is 0, EBX points to hvm_start_info, TR is a 32-bit TSS of limit 67h", () => {
    const { entry } = load(makePvh());
    expect(entry).toMatchObject({ mode: "protected32", rip: 0x20_0010, cr0: 0x11, cr4: 0, efer: 0 });
    expect(entry.registers.rbx).toBe(map.PVH_START_INFO);
    expect(entry.tr).toMatchObject({ base: 0, limit: 0x67, attributes: 0x8b });
  });

  test("hvm_start_info names command line, modules, RSDP and memory map", () => {
    const { memory } = load(makePvh(), {
      commandLine: "hello pvh",
      modules: [{ data: code(100, 3), commandLine: "first" }, { data: code(200, 4) }],
    });
    const at = map.PVH_START_INFO;
    expect([memory.u32(at), memory.u32(at + 4), memory.u32(at + 12)]).toEqual([0x336e_c578, 1, 2]);
    expect(memory.text(memory.u64(at + 24))).toBe("hello pvh");
    expect(memory.u64(at + 32)).toBe(map.ACPI_RSDP);
    const list = memory.u64(at + 16);
    expect(memory.u64(list + 8)).toBe(100);
    expect(memory.text(memory.u64(list + 16))).toBe("first");
    expect(memory.u64(list + 32 + 8)).toBe(200);
    expect(memory.u64(list + 32 + 16)).toBe(0);
    expect([...memory.read(memory.u64(list + 32), 200)]).toEqual([...code(200, 4)]);
    const entries = memory.u32(at + 48);
    expect(entries).toBe(bootPlatform(RAM).memoryMap.length);
    const first = memory.u64(at + 40);
    expect([memory.u64(first), memory.u64(first + 8), memory.u32(first + 16)]).toEqual([0, 0x9_fc00, 1]);
  });

  test("without modules the module list address is 0", () => {
    expect(load(makePvh()).memory.u64(map.PVH_START_INFO + 16)).toBe(0);
  });

  test("an ELF32 kernel with the note boots too", () => {
    const segments = [
      { physical: 0x20_0000, data: code(64, 1) },
      { type: 4, physical: 0, data: makeNote("Xen", 18, u32Bytes(0x20_0000)) },
    ];
    expect(load(makeElf({ bits: 32, segments })).entry.rip).toBe(0x20_0000);
  });

  test("notes of other owners and types before it are passed over", () => {
    const notes = [
      makeNote("GNU", 18, u32Bytes(1)),
      makeNote("Xen", 6, u32Bytes(2)),
      makeNote("Xen", 18, u32Bytes(0x20_0004)),
    ];
    const data = Uint8Array.from(notes.flatMap((note) => [...note]));
    const segments = [
      { physical: 0x20_0000, data: code(64, 1) },
      { type: 4, physical: 0, data },
    ];
    expect(load(makeElf({ segments })).entry.rip).toBe(0x20_0004);
  });

  test("an entry point outside the loaded segments is refused", () => {
    expect(() => load(makePvh(0x50_0000))).toThrow(
      /PVH entry point inside a PT_LOAD segment, found 0x500000/,
    );
  });
});

describe("what cannot be loaded", () => {
  const segment = { physical: 0x20_0000, data: code(64, 1) };
  const cases: readonly (readonly [name: string, file: Uint8Array, message: RegExp])[] = [
    [
      "arm64",
      makeElf({ machine: 183, segments: [segment] }),
      /expected machine 62 \(x86-64\), found 183 \(arm64\) at offset 0x12/,
    ],
    ["an unknown machine", makeElf({ machine: 9999, segments: [segment] }), /found 9999 at offset 0x12/],
    [
      "a relocatable object",
      makeElf({ type: 1, segments: [segment] }),
      /found 1 \(a relocatable object\) at offset 0x10/,
    ],
    [
      "a position-independent program",
      makeElf({ type: 3, segments: [segment] }),
      /found 3 \(a shared object or/,
    ],
    [
      "an i386 program",
      makeElf({ bits: 32, segments: [segment] }),
      /found a 32-bit ELF file .*without a PVH note or a multiboot header/,
    ],
    [
      "a dynamically linked program",
      makeElf({ segments: [segment, { type: 3, physical: 0, data: code(8, 0) }] }),
      /found a dynamically linked program/,
    ],
    [
      "no loadable segment",
      makeElf({ segments: [{ ...segment, type: 6 }] }),
      /expected a PT_LOAD segment, found none/,
    ],
    [
      "an entry point nowhere",
      makeElf({ entry: 0x1234, segments: [segment] }),
      /e_entry inside a PT_LOAD segment, found 0x1234/,
    ],
    [
      "a segment beyond memory",
      makeElf({ segments: [{ ...segment, physical: 0x200_0000 }] }),
      /kernel needs guest memory 0x2000000-0x200003f, found memory only up to 0x2000000/,
    ],
    [
      "a segment in low firmware memory",
      makeElf({ segments: [{ ...segment, physical: 0x510 }] }),
      /boot GDT.*overlaps the kernel/,
    ],
    [
      "p_filesz above p_memsz",
      makeElf({ segments: [{ ...segment, memorySize: 8 }] }),
      /at most 8 bytes \(p_memsz\), found p_filesz 0x40/,
    ],
    [
      "big-endian",
      makeElf({ segments: [segment] }).fill(2, 5, 6),
      /expected little-endian data \(1\), found 2 at offset 0x5/,
    ],
    ["class 3", makeElf({ segments: [segment] }).fill(3, 4, 5), /expected class 1 .*found 3 at offset 0x4/],
    [
      "no program headers",
      makeElf({ segments: [segment] }).fill(0, 56, 58),
      /expected 1 to 4096 program headers, found 0/,
    ],
    [
      "program headers beyond the file",
      makeElf({ segments: [segment] }).fill(0xf, 57, 58),
      /truncated ELF file: expected .* of program headers at offset 0x40/,
    ],
    [
      "odd program headers",
      makeElf({ segments: [segment] }).fill(1, 54, 55),
      /expected program headers of 56 bytes, found 1 at offset 0x36/,
    ],
    [
      "truncated in a segment",
      makeElf({ segments: [segment] }).subarray(0, 150),
      /truncated ELF file: expected 64 bytes of PT_LOAD segment at offset 0x78, found the end of the file at 0x96/,
    ],
    ["truncated in the header", makeElf({ segments: [segment] }).subarray(0, 17), /truncated ELF file/],
  ];
  test.each(cases)("%s", (_name, file, message) => {
    expect(() => load(file)).toThrow(ImageError);
    expect(() => load(file)).toThrow(message);
  });

  test("segments that overlap cannot ask for more work than the memory's size", () => {
    const many = Array.from({ length: 40 }, () => ({ ...segment, memorySize: 2 * MIB }));
    expect(() => load(makeElf({ segments: many }))).toThrow(/segments of at most 33,554,432 bytes/);
  });
});
