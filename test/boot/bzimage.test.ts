import { describe, expect, test } from "vitest";
import { ImageError } from "../../src/boot/image-error.ts";
import { loadImage } from "../../src/boot/load.ts";
import type { LoadOptions } from "../../src/boot/platform.ts";
import * as map from "../../src/machine/address-map.ts";
import { makeBzImage } from "./images.ts";
import { bootPlatform, MIB, SparseMemory } from "./platform.ts";

const RAM = 64 * MIB;

function load(file: Uint8Array, options: Partial<LoadOptions> = {}, size = RAM) {
  const memory = new SparseMemory(size);
  const entry = loadImage(
    file,
    { commandLine: "console=ttyS0", platform: bootPlatform(size), ...options },
    memory,
  );
  return { memory, entry };
}

describe("64-bit boot protocol", () => {
  test("the kernel is entered 200h after the start of the protected-mode code with RSI = boot_params", () => {
    const { entry } = load(makeBzImage());
    expect(entry.mode).toBe("long64");
    expect(entry.rip).toBe(0x100_0200);
    expect(entry.registers.rsi).toBe(map.ZERO_PAGE);
  });

  test("paging is on, long mode is active, interrupts are off, CS is __BOOT_CS and DS, ES, SS are __BOOT_DS", () => {
    const { entry } = load(makeBzImage());
    expect(entry.cr0 & 1).toBe(1);
    expect(entry.cr0 >= 0x8000_0000).toBe(true);
    expect(entry.cr4).toBe(0x20);
    expect(entry.efer).toBe(0x500);
    expect(entry.rflags & 0x200).toBe(0);
    expect(entry.cs).toEqual({ selector: 0x10, base: 0, limit: 0xffff_ffff, attributes: 0xa09b });
    expect(entry.data).toEqual({ selector: 0x18, base: 0, limit: 0xffff_ffff, attributes: 0xc093 });
  });

  test("the descriptor table in memory holds what the segment registers hold", () => {
    const { entry, memory } = load(makeBzImage());
    expect(entry.gdt).toEqual({ base: map.BOOT_GDT, limit: 39 });
    expect([memory.u32(entry.gdt.base), memory.u32(entry.gdt.base + 4)]).toEqual([0, 0]);
    expect([memory.u32(entry.gdt.base + 0x10), memory.u32(entry.gdt.base + 0x14)]).toEqual([
      0xffff, 0x00af_9b00,
    ]);
    expect([memory.u32(entry.gdt.base + 0x18), memory.u32(entry.gdt.base + 0x1c)]).toEqual([
      0xffff, 0x00cf_9300,
    ]);
    expect([memory.u32(entry.gdt.base + 0x20), memory.u32(entry.gdt.base + 0x24)]).toEqual([0x67, 0x8b00]);
  });

  test("the page tables map each of the first 4 GiB to itself, present and writable", () => {
    const { entry, memory } = load(makeBzImage());
    const present = 3;
    const large = 0x80;
    for (const address of [0, 0x1f_ffff, 0x100_0200, 0x7fff_f000, 0xffff_ffff]) {
      const pml4e = memory.u64(entry.cr3);
      expect(pml4e & 3).toBe(present);
      const pdpte = memory.u64(pml4e - 3 + 8 * Math.floor(address / 2 ** 30));
      expect(pdpte & 3).toBe(present);
      const pde = memory.u64(pdpte - 3 + 8 * (Math.floor(address / 2 ** 21) % 512));
      expect(pde & 0xff).toBe(present | large);
      expect(pde - (present | large) + (address % 2 ** 21)).toBe(address);
    }
  });
});

describe("32-bit boot protocol", () => {
  test("a kernel without XLF_KERNEL_64 is entered at its load address in protected mode with ESI = boot_params and EBP, EDI, EBX zero", () => {
    const { entry } = load(makeBzImage({ xloadflags: 0 }));
    expect(entry).toMatchObject({ mode: "protected32", rip: 0x100_0000, cr0: 0x11, cr3: 0, cr4: 0, efer: 0 });
    expect(entry.registers).toEqual({ rsi: map.ZERO_PAGE, rsp: map.BOOT_STACK_TOP });
    expect(entry.cs).toMatchObject({ selector: 0x10, attributes: 0xc09b });
  });

  test.each([8, 11])("protocol 2.%i has no xloadflags: the field is not read", (minor) => {
    expect(load(makeBzImage({ version: 0x0200 | minor })).entry.mode).toBe("protected32");
  });

  test("protocol 2.08 has no pref_address: the kernel goes to code32_start", () => {
    const { entry } = load(makeBzImage({ version: 0x0208, relocatable: 0 }));
    expect(entry.rip).toBe(0x10_0000);
  });
});

describe("loading", () => {
  test("the protected-mode code is what follows setup_sects + 1 sectors", () => {
    const { memory } = load(makeBzImage({ setupSectors: 5, payloadLength: 0x300 }));
    expect([...memory.read(0x100_0000, 0x300)]).toEqual(Array.from({ length: 0x300 }, (_, i) => i & 0xff));
  });

  test("setup_sects 0 means 4", () => {
    const file = makeBzImage({ setupSectors: 4 });
    file[0x1f1] = 0;
    expect([...load(file).memory.read(0x100_0000, 4)]).toEqual([0, 1, 2, 3]);
  });

  test("a relocatable kernel goes to pref_address, aligned up to kernel_alignment", () => {
    const { entry } = load(makeBzImage({ preferredAddress: 0x123_4000, alignment: 0x20_0000 }));
    expect(entry.rip).toBe(0x140_0200);
  });

  test("a kernel that is not relocatable goes to pref_address as it is", () => {
    expect(load(makeBzImage({ relocatable: 0, preferredAddress: 0x12_3000 })).entry.rip).toBe(0x12_3200);
  });

  test("the setup header is copied to the zero page, the rest of the zero page is clear", () => {
    const file = makeBzImage();
    const { memory } = load(file);
    expect(memory.u16(map.ZERO_PAGE + 0x1fe)).toBe(0xaa55);
    expect(memory.u32(map.ZERO_PAGE + 0x202)).toBe(0x5372_6448);
    expect(memory.u64(map.ZERO_PAGE + 0x258)).toBe(0x100_0000);
    expect(memory.u8(map.ZERO_PAGE + 0x1ef)).toBe(0); // sentinel
    expect(memory.u8(map.ZERO_PAGE + 0x210)).toBe(0xff); // type_of_loader: undefined
    expect(memory.u32(map.ZERO_PAGE + 0x214)).toBe(0x100_0000);
    expect(memory.u64(map.ZERO_PAGE + 0x070)).toBe(map.ACPI_RSDP);
  });

  test("the command line is at cmd_line_ptr with its NUL", () => {
    const { memory } = load(makeBzImage(), { commandLine: "a=1 b" });
    expect(memory.text(memory.u32(map.ZERO_PAGE + 0x228))).toBe("a=1 b");
  });

  test("the E820 map in the zero page is the platform's", () => {
    const { memory } = load(makeBzImage());
    const expected = bootPlatform(RAM).memoryMap;
    expect(memory.u8(map.ZERO_PAGE + 0x1e8)).toBe(expected.length);
    expected.forEach((entry, i) => {
      const at = map.ZERO_PAGE + 0x2d0 + i * 20;
      expect([memory.u64(at), memory.u64(at + 8), memory.u32(at + 16)]).toEqual([
        entry.base,
        entry.length,
        entry.type,
      ]);
    });
  });
});

describe("initrd", () => {
  const data = new Uint8Array(5000).fill(7);

  test("lies at the top of memory on a page boundary", () => {
    const { memory } = load(makeBzImage(), { modules: [{ data }] });
    const base = memory.u32(map.ZERO_PAGE + 0x218);
    expect(base).toBe(RAM - 8192);
    expect(memory.u32(map.ZERO_PAGE + 0x21c)).toBe(5000);
    expect([...new Set(memory.read(base, 5000))]).toEqual([7]);
  });

  test("ends at or below initrd_addr_max", () => {
    const { memory } = load(makeBzImage({ initrdLast: 0x37f_ffff }), { modules: [{ data }] });
    expect(memory.u32(map.ZERO_PAGE + 0x218)).toBe(0x380_0000 - 8192);
  });

  test("keeps off the init_size bytes from the kernel's start", () => {
    const { memory } = load(makeBzImage({ initSize: RAM - 0x100_0000 }), { modules: [{ data }] });
    expect(memory.u32(map.ZERO_PAGE + 0x218)).toBe(0x100_0000 - 8192);
  });

  test("without one ramdisk_size is 0", () => {
    expect(load(makeBzImage()).memory.u32(map.ZERO_PAGE + 0x21c)).toBe(0);
  });
});

describe("what cannot be loaded", () => {
  const cases: readonly (readonly [
    name: string,
    file: Uint8Array,
    options: Partial<LoadOptions>,
    message: RegExp,
  ])[] = [
    [
      "protocol 2.05",
      makeBzImage({ version: 0x0205 }),
      {},
      /expected boot protocol 2\.08 or later.*found 2\.05 at offset 0x206/,
    ],
    ["a zImage", makeBzImage({ loadflags: 0 }), {}, /found a zImage at offset 0x211/],
    [
      "half a kernel",
      makeBzImage().subarray(0, 3000),
      {},
      /^truncated bzImage: expected 5,632 bytes .*found 3,000 bytes/,
    ],
    ["an alignment of 3", makeBzImage({ alignment: 3 }), {}, /power of two.*found 0x3 at offset 0x230/],
    ["a 64-bit entry beyond the code", makeBzImage({ payloadLength: 0x200 }), {}, /64-bit entry at 0x800/],
    [
      "a kernel larger than memory",
      makeBzImage({ initSize: RAM }),
      {},
      /^kernel needs guest memory 0x1000000-0x4ffffff, found memory only up to 0x4000000: a larger --memory/,
    ],
    [
      "a kernel over the zero page",
      makeBzImage({ relocatable: 0, preferredAddress: 0x6800, initSize: 0x2000 }),
      {},
      /overlaps the kernel/,
    ],
    [
      "a kernel in the ROM area",
      makeBzImage({ relocatable: 0, preferredAddress: 0xf_0000 }),
      {},
      /a range that is not RAM/,
    ],
    [
      "a long command line",
      makeBzImage({ commandLineSize: 10 }),
      { commandLine: "x".repeat(11) },
      /command line has 11 bytes, expected at most 10/,
    ],
    [
      "an initrd larger than memory",
      makeBzImage(),
      { modules: [{ data: new Uint8Array(RAM) }] },
      /initrd of 67,108,864 bytes does not fit.*--memory/,
    ],
    ["an empty initrd", makeBzImage(), { modules: [{ data: new Uint8Array(0) }] }, /initrd is empty/],
    [
      "two initrds",
      makeBzImage(),
      { modules: [{ data: new Uint8Array(1) }, { data: new Uint8Array(1) }] },
      /one initrd, found 2/,
    ],
  ];
  test.each(cases)("%s", (_name, file, options, message) => {
    expect(() => load(file, options)).toThrow(ImageError);
    expect(() => load(file, options)).toThrow(message);
  });

  test("a short setup header", () => {
    const file = makeBzImage();
    file[0x201] = 0x40;
    expect(() => load(file)).toThrow(/expected a setup header up to 0x264 .*found its end at 0x242/);
  });

  test("every truncation of a bzImage is an ImageError of one line", () => {
    const file = makeBzImage({ payloadLength: 0x400 });
    for (let length = 0; length < file.length - 15; length += 7) {
      let message = "";
      try {
        load(file.subarray(0, length));
      } catch (error) {
        expect(error).toBeInstanceOf(ImageError);
        message = (error as ImageError).message;
      }
      expect(message).toMatch(/^[^\n]+$/);
    }
  });
});
