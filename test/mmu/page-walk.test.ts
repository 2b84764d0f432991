import { beforeEach, describe, expect, it } from "vitest";
import { Access } from "../../src/cpu/core.ts";
import { Fault, PageFault, Vector } from "../../src/cpu/fault.ts";
import { CR2, CR3, FAULT_ERROR, FAULT_VECTOR } from "../../src/cpu/layout.ts";
import { loadPdptes, PageWalker } from "../../src/mmu/page-walk.ts";
import { Context, PagingControls } from "../../src/mmu/paging.ts";
import {
  type Controls,
  createMachine,
  Entry,
  halves,
  host,
  MAXPHYADDR,
  type Machine,
  PageTables,
  type PagingKind,
  RAM_SIZE,
  setControls,
} from "./machine.ts";

const ROOT = 0x10_0000;

interface Format {
  readonly kind: PagingKind;
  readonly shift: number;
}

/** Every paging mode and page size, SDM vol. 3A table 4-1. */
const FORMATS: readonly Format[] = [
  { kind: "32-bit", shift: 12 },
  { kind: "32-bit", shift: 22 },
  { kind: "PAE", shift: 12 },
  { kind: "PAE", shift: 21 },
  { kind: "4-level", shift: 12 },
  { kind: "4-level", shift: 21 },
  { kind: "4-level", shift: 30 },
  { kind: "5-level", shift: 12 },
  { kind: "5-level", shift: 21 },
  { kind: "5-level", shift: 30 },
];

/** An address that needs every level's index; within the mode's width. */
function linearFor(format: Format): bigint {
  if (format.kind === "5-level") return 0x0012_3456_789a_b000n;
  if (format.kind === "4-level") return 0x1234_5678_b000n;
  return 0x8765_4000n;
}

interface Rights {
  readonly user: boolean;
  readonly write: boolean;
  readonly noExecute: boolean;
  /** Protection key's rights: 1 AD, 2 WD. */
  readonly keyRights: number;
}

interface Kind {
  readonly name: string;
  readonly operation: "read" | "write" | "fetch";
  readonly cpl: number;
  readonly implicit: boolean;
  readonly ac: boolean;
}

const KINDS: readonly Kind[] = [];
for (const operation of ["read", "write", "fetch"] as const) {
  for (const ac of [false, true]) {
    (KINDS as Kind[]).push({ name: `user ${operation}`, operation, cpl: 3, implicit: false, ac });
    (KINDS as Kind[]).push({ name: `supervisor ${operation}`, operation, cpl: 0, implicit: false, ac });
    if (operation !== "fetch") {
      (KINDS as Kind[]).push({
        name: `implicit supervisor ${operation}`,
        operation,
        cpl: 3,
        implicit: true,
        ac,
      });
    }
  }
}

/**
 * SDM vol. 3A 4.6.1 and 4.6.2 as sets of reasons to refuse, each with its condition; the walker computes the
 * other way round. Returns the error code of 4.7, or null when the access is allowed.
 */
function oracle(format: Format, rights: Rights, kind: Kind, controls: Controls): number | null {
  const long = format.kind === "4-level" || format.kind === "5-level";
  const pae = format.kind !== "32-bit";
  const userMode = kind.cpl === 3 && !kind.implicit;
  const isWrite = kind.operation === "write";
  const isFetch = kind.operation === "fetch";
  const noExecute = pae && controls.nxe === true && rights.noExecute;
  const reasons = new Set<string>();
  if (userMode && !rights.user) reasons.add("user-mode access to a supervisor-mode address");
  if (!userMode && rights.user && isFetch && controls.smep) reasons.add("SMEP");
  if (!userMode && rights.user && !isFetch && controls.smap && (kind.implicit || !kind.ac))
    reasons.add("SMAP");
  if (isWrite && !rights.write && (userMode || controls.wp)) reasons.add("R/W");
  if (isFetch && noExecute) reasons.add("XD");
  const key =
    long &&
    controls.pke === true &&
    rights.user &&
    !isFetch &&
    ((rights.keyRights & 1) !== 0 || ((rights.keyRights & 2) !== 0 && isWrite && (userMode || controls.wp)));
  if (key) reasons.add("protection key");
  if (reasons.size === 0) return null;
  return (
    PageFault.PRESENT |
    (isWrite ? PageFault.WRITE : 0) |
    (userMode ? PageFault.USER : 0) |
    (isFetch && (controls.smep || (pae && controls.nxe)) ? PageFault.FETCH : 0) |
    (key ? PageFault.PROTECTION_KEY : 0)
  );
}

/** Makes the access through the MMU's face; the error code of a page fault, or null. */
function access(machine: Machine, linear: bigint, kind: Kind): number | null {
  const { mmu, cpu } = machine;
  if (kind.implicit) {
    try {
      if (kind.operation === "read") mmu.read(linear, 1, Access.READ | Access.SYSTEM);
      else mmu.probeWrite(linear, 1, Access.WRITE | Access.SYSTEM);
      return null;
    } catch (fault) {
      if (!(fault instanceof Fault) || fault.vector !== Vector.PF) throw fault;
      return fault.error;
    }
  }
  const [lo, hi] = halves(linear);
  const ok =
    kind.operation === "fetch"
      ? mmu.translateExecute(cpu, lo, hi) >= 0
      : (kind.operation === "read" ? mmu.slowRead(0, lo, hi, 1) : mmu.slowWrite(0, lo, hi, 1)) !== 0;
  if (ok) return null;
  if (cpu.i32(FAULT_VECTOR) !== Vector.PF) throw new Error(`vector ${cpu.i32(FAULT_VECTOR)}`);
  return cpu.i32(FAULT_ERROR);
}

describe.each(FORMATS)("$kind paging, pages of 2^$shift bytes", (format) => {
  let machine: Machine;
  let tables: PageTables;
  let path: number[];
  const linear = linearFor(format);
  const long = format.kind === "4-level" || format.kind === "5-level";

  beforeEach(() => {
    machine = createMachine();
    tables = new PageTables(machine, format.kind, ROOT);
    path = tables.map(linear, 0, 0n, format.shift);
    setControls(machine, format.kind);
    tables.load();
  });

  /** Entries with rights: all but the PDPTE of PAE paging. */
  const firstWithRights = format.kind === "PAE" ? 1 : 0;

  it("translates every bit of the offset, and sets accessed flags on the way and dirty on a write", () => {
    const start = linear & ~((1n << BigInt(format.shift)) - 1n);
    tables.map(linear, 0, Entry.RW, format.shift);
    setControls(machine, format.kind);
    const before = path.map((address) => tables.readEntry(address));
    for (let bit = 0; bit < Math.min(format.shift, 22); bit++) {
      machine.mmu.flushAll(machine.cpu);
      const [lo, hi] = halves(start | (1n << BigInt(bit)));
      expect(machine.mmu.slowRead(0, lo, hi, 1) >>> 0).toBe(host(2 ** bit));
    }
    for (let bit = 0; bit < format.shift; bit++) {
      const [lo, hi] = halves(start | (1n << BigInt(bit)));
      expect(machine.mmu.translateExecute(machine.cpu, lo, hi)).toBe(2 ** bit);
    }
    path.forEach((address, i) => {
      const set = i >= firstWithRights ? Entry.A : 0n;
      expect(tables.readEntry(address)).toBe(before[i]! | set);
    });
    machine.mmu.slowWrite(0, ...halves(start), 1);
    expect(tables.readEntry(path.at(-1)!)).toBe(before.at(-1)! | Entry.A | Entry.D);
    for (const address of path.slice(0, -1)) expect(tables.readEntry(address) & Entry.D).toBe(0n);
  });

  it("allows and refuses by U/S, R/W, XD, CPL, CR0.WP, SMEP, SMAP, RFLAGS.AC, NXE and protection keys", () => {
    const key = 5n;
    let allowed = 0;
    let refused = 0;
    const mismatches: string[] = [];
    for (let bits = 0; bits < 64; bits++) {
      // Where a right is given up: at the leaf or in the entry above.
      const upper = path.length - 2;
      const leafBits = (bits & 1 ? Entry.US : 0n) | (bits & 2 ? Entry.RW : 0n) | (long ? key << 59n : 0n);
      const upperBits = (bits & 4 ? Entry.US : 0n) | (bits & 8 ? Entry.RW : 0n);
      const leafXd = (bits & 16) !== 0;
      const upperXd = (bits & 32) !== 0;
      if (format.kind === "32-bit" && (leafXd || upperXd)) continue;
      const hasUpper = upper >= firstWithRights;
      if (!hasUpper && (bits & (4 | 8 | 32)) !== (4 | 8)) continue;
      for (let control = 0; control < (long ? 64 : 16); control++) {
        const controls: Controls = {
          wp: (control & 1) !== 0,
          smep: (control & 2) !== 0,
          smap: (control & 4) !== 0,
          nxe: (control & 8) !== 0,
          pke: (control & 48) !== 0,
        };
        const keyRights = (control >> 4) & 3;
        // XD is a reserved bit while NXE = 0: another test's matter.
        if (!controls.nxe && (leafXd || upperXd)) continue;
        const leaf = leafBits | (leafXd ? Entry.XD : 0n);
        for (const kind of KINDS) {
          tables.map(linear, 0, leaf, format.shift);
          if (hasUpper) {
            const structure = tables.readEntry(path[upper]!) & 0x000f_ffff_ffff_f000n;
            tables.writeEntry(path[upper]!, structure | Entry.P | upperBits | (upperXd ? Entry.XD : 0n));
          }
          setControls(machine, format.kind, {
            ...controls,
            cpl: kind.cpl,
            ac: kind.ac,
            pkru: keyRights << (Number(key) * 2),
          });
          machine.mmu.flushAll(machine.cpu);
          const rights: Rights = {
            user: (bits & 5) === 5,
            write: (bits & 10) === 10,
            noExecute: leafXd || upperXd,
            keyRights,
          };
          const expected = oracle(format, rights, kind, controls);
          const actual = access(machine, linear, kind);
          const flags = tables.readEntry(path.at(-1)!) & (Entry.A | Entry.D);
          const flagsExpected =
            expected !== null ? 0n : kind.operation === "write" ? Entry.A | Entry.D : Entry.A;
          if (expected === null) allowed++;
          else refused++;
          if (actual !== expected || flags !== flagsExpected) {
            mismatches.push(
              `${kind.name} ${JSON.stringify({ rights, controls, ac: kind.ac })}: ${actual}, expected ${expected}; flags ${flags}`,
            );
          }
        }
      }
    }
    expect(mismatches.slice(0, 5)).toEqual([]);
    expect(allowed).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
  });

  it("faults with P = 0 at any level, CR2 holding the address, and sets no accessed flag", () => {
    setControls(machine, format.kind, { cpl: 3 });
    for (let level = 0; level < path.length; level++) {
      tables.map(linear, 0, Entry.RW | Entry.US, format.shift);
      const saved = path.map((address) => tables.readEntry(address) & ~Entry.A);
      for (const [i, entry] of saved.entries()) tables.writeEntry(path[i]!, entry);
      // All other bits set: they are ignored in an entry that is not present.
      tables.writeEntry(path[level]!, saved[level]! | 0xffff_fffen);
      tables.writeEntry(path[level]!, tables.readEntry(path[level]!) & ~Entry.P);
      tables.load();
      const [lo, hi] = halves(linear | 0x123n);
      expect(machine.mmu.slowWrite(0, lo, hi, 1)).toBe(0);
      expect(machine.cpu.i32(FAULT_VECTOR)).toBe(Vector.PF);
      expect(machine.cpu.i32(FAULT_ERROR)).toBe(PageFault.WRITE | PageFault.USER);
      expect(machine.cpu.u64(CR2)).toBe(linear | 0x123n);
      path.forEach((address, i) => {
        if (i !== level) expect(tables.readEntry(address) & Entry.A).toBe(0n);
      });
      for (const [i, entry] of saved.entries()) tables.writeEntry(path[i]!, entry);
    }
    tables.load();
  });
});

/**
 * Reserved bits of each entry, SDM vol. 3A tables 4-4 to 4-6 and 4-8 to 4-20, written down bit by bit for
 * MAXPHYADDR = 40. XD is reserved while IA32_EFER.NXE = 0.
 */
function reservedBits(kind: PagingKind, entryShift: number, maps: boolean): Set<number> {
  const range = (from: number, to: number): number[] =>
    Array.from({ length: from - to + 1 }, (_, i) => to + i);
  if (kind === "32-bit") return new Set(maps && entryShift === 22 ? [21] : []);
  const bits = kind === "PAE" ? range(63, MAXPHYADDR) : [63, ...range(51, MAXPHYADDR)];
  if (entryShift >= 39) bits.push(7);
  if (maps && entryShift === 30) bits.push(...range(29, 13));
  if (maps && entryShift === 21) bits.push(...range(20, 13));
  return new Set(bits);
}

describe("reserved bits", () => {
  it.each(FORMATS)("$kind paging, pages of 2^$shift bytes: exactly the manual's raise RSVD", (format) => {
    const machine = createMachine();
    const { cpu, physical } = machine;
    const tables = new PageTables(machine, format.kind, ROOT);
    const linear = linearFor(format);
    const path = tables.map(linear, 0, Entry.RW | Entry.US, format.shift);
    setControls(machine, format.kind);
    cpu.setI32(CR3, ROOT);
    const walker = new PageWalker(physical);
    const shifts =
      format.kind === "32-bit" ? [22, 12] : format.kind === "PAE" ? [30, 21, 12] : [48, 39, 30, 21, 12];
    const from = shifts.length - path.length - shifts.indexOf(12) + shifts.indexOf(format.shift);
    for (const nxe of [false, true]) {
      setControls(machine, format.kind, { nxe });
      const controls = new PagingControls({ physicalAddressBits: MAXPHYADDR });
      controls.update(cpu);
      const pdptes = new Int32Array(8);
      for (let level = format.kind === "PAE" ? 1 : 0; level < path.length; level++) {
        const entryShift = shifts[level + from]!;
        const maps = level === path.length - 1;
        const reserved = reservedBits(format.kind, entryShift, maps);
        if (nxe) reserved.delete(63);
        const original = tables.readEntry(path[level]!);
        for (let bit = 0; bit < (format.kind === "32-bit" ? 32 : 64); bit++) {
          // P and PS change what the other bits are, except where PS is reserved.
          if (bit === 0 || (bit === 7 && !reserved.has(7))) continue;
          // An address bit of an upper entry leads to another table.
          if (!maps && bit >= 12 && bit < (format.kind === "32-bit" ? 32 : MAXPHYADDR)) continue;
          tables.writeEntry(path[level]!, original | (1n << BigInt(bit)));
          loadPdptes(physical, controls, ROOT, pdptes);
          const [lo, hi] = halves(linear);
          const ok = walker.walk(cpu, controls, pdptes, lo, hi, Access.READ, Context.SUPERVISOR);
          const where = `entry of 2^${entryShift}, bit ${bit}, NXE ${nxe}`;
          expect([where, ok]).toEqual([where, !reserved.has(bit)]);
          if (!ok) expect(walker.error).toBe(PageFault.PRESENT | PageFault.RESERVED);
        }
        tables.writeEntry(path[level]!, original);
      }
    }
  });

  it("PDPTE registers: a present entry with bits 2:1, 8:5 or 63:MAXPHYADDR set is not loaded", () => {
    const machine = createMachine();
    const { physical, mmu, cpu } = machine;
    setControls(machine, "PAE", { nxe: true });
    physical.write64(0x2020, 0x5001n);
    expect(mmu.loadPdptes(cpu, 0x2020)).toBe(true);
    const loaded = [...mmu.pdptes(cpu)];
    for (let bit = 1; bit < 64; bit++) {
      const entry = 0x5001n | (1n << BigInt(bit));
      physical.write64(0x2028, entry);
      const reserved = bit <= 2 || (bit >= 5 && bit <= 8) || bit >= MAXPHYADDR;
      expect([bit, mmu.loadPdptes(cpu, 0x2020)]).toEqual([bit, !reserved]);
      // Not present: nothing is reserved.
      physical.write64(0x2028, entry & ~1n);
      expect(mmu.loadPdptes(cpu, 0x2020)).toBe(true);
    }
    physical.write64(0x2020, 0xffff_ffff_ffff_ffffn);
    const before = [...mmu.pdptes(cpu)];
    expect(mmu.loadPdptes(cpu, 0x2020)).toBe(false);
    expect([...mmu.pdptes(cpu)]).toEqual(before);
    expect(before.slice(0, 2)).toEqual(loaded.slice(0, 2));
  });

  it("the PS bit of a PDPTE is reserved without 1-GByte pages", () => {
    const machine = createMachine({ gigabytePages: false });
    const tables = new PageTables(machine, "4-level", ROOT);
    tables.map(0x4000_0000n, 0, Entry.RW, 30);
    setControls(machine, "4-level");
    tables.load();
    expect(machine.mmu.slowRead(0, 0x4000_0000, 0, 1)).toBe(0);
    expect(machine.cpu.i32(FAULT_ERROR)).toBe(PageFault.PRESENT | PageFault.RESERVED);
  });

  it("4-MByte pages reserve PDE[21:M-19] with M the smaller of 40 and MAXPHYADDR", () => {
    for (const [maxphyaddr, lowest] of [
      [36, 17],
      [39, 20],
      [40, 21],
      [46, 21],
    ] as const) {
      const machine = createMachine({ physicalAddressBits: maxphyaddr });
      setControls(machine, "32-bit");
      for (let bit = 13; bit <= 21; bit++) {
        machine.physical.write32(ROOT, 0x83 | (1 << bit));
        machine.cpu.setI32(CR3, ROOT);
        machine.mmu.flushAll(machine.cpu);
        expect([maxphyaddr, bit, machine.mmu.slowRead(0, 0, 0, 1) === 0]).toEqual([
          maxphyaddr,
          bit,
          bit >= lowest,
        ]);
      }
    }
  });
});

describe("addresses", () => {
  it("PSE-36: PDE[20:13] are bits 39:32 of a 4-MByte page's address", () => {
    const machine = createMachine();
    const tables = new PageTables(machine, "32-bit", ROOT);
    tables.map(0x0040_0000n, 0xa5_0080_0000, Entry.RW, 22);
    setControls(machine, "32-bit");
    tables.load();
    machine.mmu.slowRead(0, 0x0041_2340, 0, 4);
    expect(machine.bus.accesses[0]).toMatchObject({ address: 0xa5_0081_2340, size: 4 });
  });

  it("CR4.PSE = 0: PDE bit 7 is ignored", () => {
    const machine = createMachine();
    const tables = new PageTables(machine, "32-bit", ROOT);
    const path = tables.map(0x0040_0000n, 0x3000, Entry.RW);
    tables.writeEntry(path[0]!, tables.readEntry(path[0]!) | Entry.PS);
    setControls(machine, "32-bit");
    machine.cpu.setI32(0x278, 0);
    machine.mmu.contextChanged(machine.cpu);
    tables.load();
    expect(machine.mmu.slowRead(0, 0x0040_0010, 0, 4) >>> 0).toBe(host(0x3010));
  });

  it("pages and tables above 4 GBytes are reached in PAE, 4-level and 5-level paging", () => {
    for (const kind of ["PAE", "4-level", "5-level"] as const) {
      const machine = createMachine({ highSize: 0x10_0000 });
      const tables = new PageTables(machine, kind, ROOT);
      const path = tables.map(0x1000n, 2 ** 32 + 0x5000, Entry.RW);
      // Move the last table above 4 GBytes.
      const table = path.at(-1)! & ~0xfff;
      machine.physical.write(2 ** 32 + 0x2000, machine.physical.read(table, 4096));
      const above = path.at(-2)!;
      tables.writeEntry(above, (tables.readEntry(above) & 0xfffn) | (2n ** 32n + 0x2000n));
      setControls(machine, kind);
      tables.load();
      machine.mmu.write(0x1008n, 4, 0x1234_5678);
      expect(machine.physical.read32(2 ** 32 + 0x5008)).toBe(0x1234_5678);
      expect(machine.physical.read64(2 ** 32 + 0x2008) & (Entry.A | Entry.D)).toBe(Entry.A | Entry.D);
    }
  });

  it("CR0.PG = 0: linear addresses are physical addresses", () => {
    const machine = createMachine();
    expect(machine.mmu.slowWrite(0, 0x1234, 0, 4) >>> 0).toBe(host(0x1234));
    expect(machine.mmu.translateExecute(machine.cpu, 0x10_ffef, 0)).toBe(0x10_ffef);
    machine.mmu.slowRead(0, 0xfee0_0020 | 0, 0, 4);
    expect(machine.bus.accesses).toMatchObject([{ address: 0xfee0_0020, size: 4 }]);
  });

  it("a paging structure outside memory reads as all ones, without a bus access", () => {
    const machine = createMachine();
    setControls(machine, "4-level");
    machine.cpu.setI32(CR3, RAM_SIZE);
    machine.mmu.addressSpaceChanged(machine.cpu, false);
    expect(machine.mmu.slowRead(0, 0, 0, 1)).toBe(0);
    expect(machine.cpu.i32(FAULT_ERROR)).toBe(PageFault.PRESENT | PageFault.RESERVED);
    expect(machine.bus.accesses).toEqual([]);
  });

  it("paging structures in ROM keep their accessed and dirty flags clear", () => {
    const machine = createMachine();
    const tables = new PageTables(machine, "4-level", ROOT);
    const path = tables.map(0x1000n, 0x5000, Entry.RW);
    setControls(machine, "4-level");
    tables.load();
    machine.physical.map(path.at(-1)! & ~0xfff, 0x1000, "ROM");
    expect(machine.mmu.slowWrite(0, 0x1000, 0, 4) >>> 0).toBe(host(0x5000));
    expect(tables.readEntry(path.at(-1)!) & (Entry.A | Entry.D)).toBe(0n);
    expect(tables.readEntry(path.at(-2)!) & Entry.A).toBe(Entry.A);
  });
});

describe("non-canonical addresses", () => {
  const cases: [PagingKind, bigint, boolean][] = [
    ["4-level", 0x0000_7fff_ffff_f000n, true],
    ["4-level", 0x0000_8000_0000_0000n, false],
    ["4-level", 0xffff_7fff_ffff_f000n, false],
    ["4-level", 0xffff_8000_0000_0000n, true],
    ["5-level", 0x00ff_ffff_ffff_f000n, true],
    ["5-level", 0x0100_0000_0000_0000n, false],
    ["5-level", 0xfeff_ffff_ffff_f000n, false],
    ["5-level", 0xff00_0000_0000_0000n, true],
  ];
  it.each(cases.map(([kind, linear, canonical]) => ({ kind, linear, canonical, hex: linear.toString(16) })))(
    "$kind paging, $hex: canonical is $canonical",
    ({ kind, linear, canonical }) => {
      const machine = createMachine();
      const tables = new PageTables(machine, kind, ROOT);
      tables.map(linear, 0x5000, Entry.RW);
      setControls(machine, kind);
      tables.load();
      const { mmu, cpu } = machine;
      const [lo, hi] = halves(linear);
      expect(mmu.slowRead(0, lo, hi, 8) !== 0).toBe(canonical);
      expect(mmu.translateExecute(cpu, lo, hi)).toBe(canonical ? 0x5000 : -1);
      if (!canonical) {
        expect(cpu.i32(FAULT_VECTOR)).toBe(Vector.GP);
        expect(mmu.slowRead(0, lo, hi, 8 | 0x100)).toBe(0);
        expect(cpu.i32(FAULT_VECTOR)).toBe(Vector.SS);
        expect(cpu.i32(FAULT_ERROR)).toBe(0);
        expect(() => mmu.read64(linear)).toThrow(expect.objectContaining({ vector: Vector.GP, error: 0 }));
        expect(cpu.u64(CR2)).toBe(0n);
      } else expect(mmu.read64(linear)).toBe(0n);
    },
  );

  it("an operand that reaches past the canonical range raises #GP", () => {
    const machine = createMachine();
    const tables = new PageTables(machine, "4-level", ROOT);
    tables.map(0x0000_7fff_ffff_f000n, 0x5000, Entry.RW);
    setControls(machine, "4-level");
    tables.load();
    expect(machine.mmu.slowWrite(0, ...halves(0x0000_7fff_ffff_fffcn), 8)).toBe(0);
    expect(machine.cpu.i32(FAULT_VECTOR)).toBe(Vector.GP);
  });
});

describe("the observer", () => {
  it("sees each entry of a walk, the translation and the fault", () => {
    const machine = createMachine();
    const tables = new PageTables(machine, "4-level", ROOT);
    const path = tables.map(0x1000n, 0x5000, 0n);
    setControls(machine, "4-level", { wp: true });
    tables.load();
    const seen: unknown[] = [];
    machine.mmu.observer = {
      step: (_cpu, entry, address, low) => seen.push([entry, address, low & 1]),
      translated: (_cpu, lo, _hi, access, physical, shift) => seen.push([lo, access, physical, shift]),
      pageFault: (_cpu, lo, _hi, access, error) => seen.push(["#PF", lo, access, error]),
    };
    machine.mmu.slowRead(0, 0x1010, 0, 4);
    machine.mmu.slowWrite(0, 0x1010, 0, 4);
    const steps = ["PML4E", "PDPTE", "PDE", "PTE"].map((name, i) => [name, path[i], 1]);
    expect(seen).toEqual([
      ...steps,
      [0x1010, Access.READ, 0x5010, 12],
      ...steps,
      ["#PF", 0x1010, Access.WRITE, PageFault.PRESENT | PageFault.WRITE],
    ]);
  });
});
