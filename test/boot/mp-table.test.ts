import { describe, expect, test } from "vitest";
import { installFirmware } from "../../src/boot/firmware.ts";
import { installMpTable } from "../../src/boot/mp-table.ts";
import * as map from "../../src/machine/address-map.ts";
import { acpiPlatform, firmwareOptions, MIB, SparseMemory } from "./platform.ts";

const SIZES = [20, 8, 8, 8, 8];
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);

/** Finds the table as an operating system does: the bytes of its header and of each entry. */
function read(processors: number): { pointer: Uint8Array; table: Uint8Array; entries: Uint8Array[] } {
  const memory = new SparseMemory(16 * MIB);
  installFirmware(firmwareOptions(processors), memory);
  let at = 0xf_0000;
  while (memory.text(at).slice(0, 4) !== "_MP_") at += 16;
  const pointer = memory.read(at, 16);
  const address = memory.u32(at + 4);
  const table = memory.read(address, memory.u16(address + 4));
  const entries: Uint8Array[] = [];
  for (let offset = 44; offset < table.length; offset += entries.at(-1)!.length) {
    entries.push(table.subarray(offset, offset + SIZES[table[offset]!]!));
  }
  return { pointer, table, entries };
}

describe("MP configuration table (MultiProcessor Specification 1.4)", () => {
  test("the floating pointer in F0000h-FFFFFh leads to a PCMP table; both sum to zero", () => {
    const { pointer, table, entries } = read(16);
    expect([pointer[8], pointer[9], sum(pointer)]).toEqual([1, 4, 0]);
    expect(String.fromCharCode(...table.subarray(0, 4))).toBe("PCMP");
    expect(sum(table)).toBe(0);
    expect(table[34]! | (table[35]! << 8)).toBe(entries.length);
    const types = entries.map(([type]) => type!);
    expect(types).toEqual([...types].sort());
  });

  test.each([1, 2, 16])("%i processors, the first one the boot processor", (count) => {
    const processors = read(count).entries.filter(([type]) => type === 0);
    expect(processors.map(([, id]) => id)).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(processors.map((entry) => entry[3])).toEqual(processors.map((_, i) => (i === 0 ? 3 : 1)));
  });

  test("the I/O APIC has the number and the place of the MADT's", () => {
    const [ioapic] = read(4).entries.filter(([type]) => type === 2);
    expect(ioapic![1]).toBe(acpiPlatform(4).ioapic.id);
    expect(new DataView(ioapic!.buffer, ioapic!.byteOffset).getUint32(4, true)).toBe(map.IOAPIC.base);
  });

  test("PCI's INTx go to PIRQ A-D as the DSDT has them, ISA's IRQ 0 to the 8254's input", () => {
    const inputs = read(2).entries.filter(([type]) => type === 3);
    const input = (bus: number, irq: number): number | undefined =>
      inputs.find((entry) => entry[4] === bus && entry[5] === irq)?.[7];
    for (const [device, pin] of [
      [1, 0],
      [3, 2],
      [31, 3],
    ] as const) {
      expect(input(0, (device << 2) | pin)).toBe(map.GSI_PIRQ[(device + pin) % 4]);
    }
    expect(input(1, 0)).toBe(map.GSI_PIT);
    expect(input(1, map.IRQ.com1)).toBe(map.IRQ.com1);
    for (const irq of [2, ...map.IRQ_PIRQ]) expect(input(1, irq)).toBeUndefined();
  });

  test("no room is an error", () => {
    const where = { base: 0xf_1000, length: 100 };
    expect(() => installMpTable(acpiPlatform(1), where, new SparseMemory(16 * MIB))).toThrow(RangeError);
  });
});
