import { describe, expect, test } from "vitest";
import { buildE820, E820Type } from "../../src/boot/e820.ts";
import { bootPlatform, MIB } from "./platform.ts";

describe("buildE820", () => {
  test("reserved ranges are cut out of RAM and the map is sorted", () => {
    expect(buildE820([{ base: 0, length: 100 }], [{ base: 40, length: 10 }])).toEqual([
      { base: 0, length: 40, type: E820Type.RAM },
      { base: 40, length: 10, type: E820Type.RESERVED },
      { base: 50, length: 50, type: E820Type.RAM },
    ]);
  });
  test("touching ranges of one type are joined, overlapping reserved ranges too", () => {
    expect(
      buildE820(
        [
          { base: 0, length: 10 },
          { base: 10, length: 10 },
        ],
        [
          { base: 20, length: 10 },
          { base: 25, length: 10 },
        ],
      ),
    ).toEqual([
      { base: 0, length: 20, type: E820Type.RAM },
      { base: 20, length: 15, type: E820Type.RESERVED },
    ]);
  });
  test("gaps stay gaps and other types are kept", () => {
    const acpi = { base: 50, length: 10, type: E820Type.ACPI_RECLAIMABLE };
    expect(buildE820([{ base: 0, length: 10 }], [acpi])).toEqual([
      { base: 0, length: 10, type: E820Type.RAM },
      acpi,
    ]);
  });
});

test("the machine's map: 639 KiB, the EBDA, the ROM areas, RAM from 1 MiB, ECAM, the reset vector's page", () => {
  const map = bootPlatform(64 * MIB).memoryMap.map((e) => [e.base, e.base + e.length, e.type]);
  expect(map).toEqual([
    [0, 0x9_fc00, 1],
    [0x9_fc00, 0xa_0000, 2],
    [0xc_0000, 0x10_0000, 2],
    [0x10_0000, 0x400_0000, 1],
    [0xe000_0000, 0xf000_0000, 2],
    [0xffff_0000, 0x1_0000_0000, 2],
  ]);
});
