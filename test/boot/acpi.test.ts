import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildAcpiTables } from "../../src/boot/acpi.ts";
import { installFirmware } from "../../src/boot/firmware.ts";
import * as map from "../../src/machine/address-map.ts";
import { acpiPlatform, firmwareOptions, MIB, SparseMemory } from "./platform.ts";

const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);

/** Follows RSDP and XSDT through guest memory as an operating system does: tables by signature. */
function walk(memory: SparseMemory): Map<string, { address: number; bytes: Uint8Array }> {
  let rsdp = 0xe_0000;
  while (memory.text(rsdp).slice(0, 8) !== "RSD PTR ") rsdp += 16;
  const tables = new Map<string, { address: number; bytes: Uint8Array }>();
  const add = (address: number): void => {
    const bytes = memory.read(address, memory.u32(address + 4));
    tables.set(String.fromCharCode(...bytes.subarray(0, 4)), { address, bytes });
  };
  tables.set("RSDP", { address: rsdp, bytes: memory.read(rsdp, 36) });
  const xsdt = memory.u64(rsdp + 24);
  add(xsdt);
  add(memory.u32(rsdp + 16));
  for (let at = xsdt + 36; at < xsdt + memory.u32(xsdt + 4); at += 8) add(memory.u64(at));
  const fadt = tables.get("FACP")!.address;
  add(memory.u64(fadt + 140));
  add(memory.u32(fadt + 36));
  return tables;
}

function install(processors = 1): SparseMemory {
  const memory = new SparseMemory(16 * MIB);
  installFirmware(firmwareOptions(processors), memory);
  return memory;
}

describe("tables in memory", () => {
  test("the RSDP is found on a 16-byte boundary of E0000h-FFFFFh and leads to every table", () => {
    const tables = walk(install());
    expect([...tables.keys()].sort()).toEqual([
      "APIC",
      "DSDT",
      "FACP",
      "FACS",
      "MCFG",
      "RSDP",
      "RSDT",
      "XSDT",
    ]);
    expect(tables.get("RSDP")!.address % 16).toBe(0);
  });

  test("every table sums to zero; the RSDP also in its first 20 bytes; the FACS has no checksum", () => {
    for (const [signature, { bytes }] of walk(install(4))) {
      if (signature !== "FACS") expect([signature, sum(bytes)]).toEqual([signature, 0]);
      if (signature === "RSDP") expect(sum(bytes.subarray(0, 20))).toBe(0);
    }
  });

  test("RSDT and XSDT list the same tables, the FACS lies on a 64-byte boundary", () => {
    const memory = install();
    const tables = walk(memory);
    const [rsdt, xsdt] = ["RSDT", "XSDT"].map((name) => tables.get(name)!);
    const count = (rsdt!.bytes.length - 36) / 4;
    expect((xsdt!.bytes.length - 36) / 8).toBe(count);
    for (let i = 0; i < count; i++)
      expect(memory.u64(xsdt!.address + 36 + i * 8)).toBe(memory.u32(rsdt!.address + 36 + i * 4));
    expect(tables.get("FACS")!.address % 64).toBe(0);
  });

  test("tables that do not fit into their room are refused", () => {
    const platform = acpiPlatform(1);
    expect(() => buildAcpiTables({ ...platform, tables: { base: 0xe_0040, length: 1024 } })).toThrow(
      /exceed their 1024 bytes/,
    );
  });
});

describe("FADT", () => {
  const memory = install();
  const fadt = walk(memory).get("FACP")!.address;
  test("PM1a event, control and timer blocks, in the legacy and the extended fields", () => {
    expect([memory.u32(fadt + 56), memory.u8(fadt + 88)]).toEqual([0x600, 4]);
    expect([memory.u32(fadt + 64), memory.u8(fadt + 89)]).toEqual([0x604, 2]);
    expect([memory.u32(fadt + 76), memory.u8(fadt + 91)]).toEqual([0x608, 4]);
    expect([memory.u32(fadt + 148), memory.u64(fadt + 152)]).toEqual([0x0300_2001, 0x600]);
    expect([memory.u32(fadt + 172), memory.u64(fadt + 176)]).toEqual([0x0200_1001, 0x604]);
    expect([memory.u32(fadt + 208), memory.u64(fadt + 212)]).toEqual([0x0300_2001, 0x608]);
  });
  test("SMI_CMD is 0: the system is always in ACPI mode; HW_REDUCED_ACPI is clear", () => {
    expect(memory.u32(fadt + 48)).toBe(0);
    expect(memory.u32(fadt + 112) & (1 << 20)).toBe(0);
  });
  test("the reset register is supported", () => {
    expect(memory.u32(fadt + 112) & (1 << 10)).not.toBe(0);
    expect([memory.u32(fadt + 116), memory.u64(fadt + 120), memory.u8(fadt + 128)]).toEqual([
      0x0100_0801, 0xcf9, 0x0e,
    ]);
  });
  test("IAPC_BOOT_ARCH says whether there is an 8042", () => {
    expect(memory.u16(fadt + 109)).toBe(0b111);
    const { keyboard: _, ...without } = acpiPlatform(1);
    const table = buildAcpiTables(without).find((t) => t.signature === "FACP")!;
    expect(table.bytes[109]! & 2).toBe(0);
  });
});

test("MADT: a local APIC per processor, the I/O APIC, IRQ 0 on GSI 2, the SCI level-triggered, NMI on LINT1", () => {
  const memory = install(3);
  const { address, bytes } = walk(memory).get("APIC")!;
  expect([memory.u32(address + 36), memory.u32(address + 40)]).toEqual([0xfee0_0000, 1]);
  const structures: number[][] = [];
  for (let at = 44; at < bytes.length; at += bytes[at + 1]!)
    structures.push([...bytes.subarray(at, at + bytes[at + 1]!)]);
  expect(structures).toEqual([
    ...[0, 1, 2].map((n) => [0, 8, n, n, 1, 0, 0, 0]),
    [1, 12, 3, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0],
    [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
    [2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0],
    [4, 6, 0xff, 0, 0, 1],
  ]);
});

test("MCFG: the ECAM base with its buses", () => {
  const memory = install();
  const { address, bytes } = walk(memory).get("MCFG")!;
  expect(bytes.length).toBe(60);
  expect([
    memory.u64(address + 44),
    memory.u16(address + 52),
    memory.u8(address + 54),
    memory.u8(address + 55),
  ]).toEqual([0xe000_0000, 0, 0, 255]);
});

test("BIOS data area: COM1, the EBDA's segment and 639 KiB; the EBDA says its size", () => {
  const memory = install();
  expect([memory.u16(0x400), memory.u16(0x40e), memory.u16(0x413), memory.u8(0x9_fc00)]).toEqual([
    0x3f8, 0x9fc0, 639, 1,
  ]);
});

test("SMBIOS: an entry point with checksum in F0000h-FFFFFh leads to types 0, 1 and 127", () => {
  const memory = install();
  const entry = memory.read(0xf_0000, 24);
  expect(String.fromCharCode(...entry.subarray(0, 5))).toBe("_SM3_");
  expect(sum(entry)).toBe(0);
  const types: number[] = [];
  const start = memory.u64(0xf_0010);
  const end = start + memory.u32(0xf_000c);
  for (let at = start; at < end; ) {
    types.push(memory.u8(at));
    at += memory.u8(at + 1);
    while (memory.u16(at) !== 0) at++;
    at += 2;
  }
  expect(types).toEqual([0, 1, 127]);
  expect(map.BIOS_AREA.base + map.BIOS_AREA.length).toBeGreaterThan(end);
});

const hasIasl = spawnSync("iasl", ["-v"]).error === undefined;

describe.skipIf(!hasIasl)("ACPICA's compiler (skipped where iasl is not installed)", () => {
  function disassemble(signature: string): { dir: string; text: string } {
    const dir = mkdtempSync(join(tmpdir(), "ukl-emu-acpi-"));
    const table = buildAcpiTables(acpiPlatform(2)).find((t) => t.signature === signature)!;
    writeFileSync(join(dir, "table.dat"), table.bytes);
    execFileSync("iasl", ["-d", "table.dat"], { cwd: dir, stdio: "pipe" });
    return { dir, text: readFileSync(join(dir, "table.dsl"), "utf8") };
  }

  test("the DSDT's disassembly compiles again without errors or warnings to the same AML", () => {
    const { dir, text } = disassemble("DSDT");
    try {
      const log = execFileSync("iasl", ["-oa", "-p", "again", "table.dsl"], { cwd: dir, encoding: "utf8" });
      expect(log).toMatch(/0 Errors, 0 Warnings/);
      const [before, after] = ["table.dat", "again.aml"].map((f) => readFileSync(join(dir, f)).subarray(36));
      expect(after!.equals(before!)).toBe(true);
      expect(text).toContain('Name (_HID, EisaId ("PNP0A08") /* PCI Express Bus */)');
      expect(text).toMatch(/Name \(\\_S5, Package \(0x04\)/);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test.each(["FACP", "APIC", "MCFG", "FACS", "XSDT", "RSDT"])(
    "%s has no field that iasl calls invalid",
    (signature) => {
      const { dir, text } = disassemble(signature);
      rmSync(dir, { recursive: true });
      expect(text).not.toMatch(/invalid|incorrect|unknown|\*\*\*\*/i);
    },
  );
});
