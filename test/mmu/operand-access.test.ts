import { describe, expect, it } from "vitest";
import { Access } from "../../src/cpu/core.ts";
import { R_FLAGS } from "../../src/cpu/decode/record.ts";
import { Fault, PageFault, Vector } from "../../src/cpu/fault.ts";
import {
  CR2,
  CURRENT_RECORD,
  FAULT_ERROR,
  FAULT_VECTOR,
  MODE,
  RECORDS,
  SCRATCH,
  SCRATCH_PENDING,
  Segment,
  TLB_READ,
  TLB_WRITE,
} from "../../src/cpu/layout.ts";
import { Mode } from "../../src/cpu/modes.ts";
import { Operand } from "../../src/mmu/operand-access.ts";
import {
  createMachine,
  Entry,
  fastPath,
  halves,
  host,
  type Machine,
  PageTables,
  RAM_SIZE,
  setControls,
  setDebugRegister,
} from "./machine.ts";

const ROOT = 0x10_0000;
const DEVICE = 0xfed0_0000;
/** Linear pages: two of RAM, a device, two of RAM that do not follow one another physically, one absent. */
const BEFORE = 0x1_0000n;
const BUS = 0x1_2000n;
const SPLIT = 0x2_0000n;
const READ_ONLY = 0x3_0000n;
const ABSENT = 0x3_1000n;

function createSpace(controls: Parameters<typeof setControls>[2] = {}): Machine & { tables: PageTables } {
  const machine = createMachine();
  const tables = new PageTables(machine, "4-level", ROOT);
  const rights = Entry.RW | Entry.US;
  tables.map(BEFORE, 0x4000, rights);
  tables.map(BEFORE + 0x1000n, 0x5000, rights);
  tables.map(BUS, DEVICE, rights);
  tables.map(BUS + 0x1000n, 0x9000, rights);
  tables.map(SPLIT, 0x8000, rights);
  tables.map(SPLIT + 0x1000n, 0x6000, rights);
  tables.map(READ_ONLY, 0x7000, Entry.US);
  setControls(machine, "4-level", { wp: true, ...controls });
  tables.load();
  return { ...machine, tables };
}

function bytesAt(machine: Machine, address: number, length: number): number[] {
  return [...new Uint8Array(machine.view.buffer, address, length)];
}
function sequence(length: number, start = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (start + i) & 0xff);
}
function fault(machine: Machine): { vector: number; error: number } {
  return { vector: machine.cpu.i32(FAULT_VECTOR), error: machine.cpu.i32(FAULT_ERROR) };
}
function scratch(machine: Machine): number {
  return machine.cpu.block + SCRATCH;
}
/** What emitted code does after `slowWrite`. */
function store(machine: Machine, at: number, bytes: Uint8Array): void {
  new Uint8Array(machine.view.buffer, at, bytes.length).set(bytes);
  if (machine.cpu.i32(SCRATCH_PENDING) !== 0) machine.mmu.commit();
}

describe("operands that cross a page", () => {
  it.each([2, 4, 8, 10, 16, 32, 64])("%i bytes are assembled from, and written to, both pages", (size) => {
    const machine = createSpace();
    const { mmu, physical } = machine;
    for (let first = 1; first < size; first++) {
      const linear = SPLIT + 0x1000n - BigInt(first);
      const data = sequence(size, first);
      physical.write(0x9000 - first, data.subarray(0, first));
      physical.write(0x6000, data.subarray(first));
      const at = mmu.slowRead(0, ...halves(linear), size);
      expect(at).toBe(scratch(machine));
      expect(bytesAt(machine, at, size)).toEqual([...data]);

      const fresh = sequence(size, first + 100);
      const to = mmu.slowWrite(0, ...halves(linear), size);
      expect(to).toBe(scratch(machine));
      expect(machine.cpu.i32(SCRATCH_PENDING)).not.toBe(0);
      store(machine, to, fresh);
      expect(machine.cpu.i32(SCRATCH_PENDING)).toBe(0);
      expect([...physical.read(0x9000 - first, first), ...physical.read(0x6000, size - first)]).toEqual([
        ...fresh,
      ]);
    }
  });

  it("neighbouring bytes stay as they are", () => {
    const machine = createSpace();
    machine.physical.fill(0x8000, 0x1000, 0xaa);
    machine.physical.fill(0x6000, 0x1000, 0xbb);
    const linear = SPLIT + 0xffdn;
    store(machine, machine.mmu.slowWrite(0, ...halves(linear), 8), sequence(8));
    expect(machine.physical.read8(0x8ffc)).toBe(0xaa);
    expect(machine.physical.read8(0x6005)).toBe(0xbb);
    expect(machine.physical.read8(0x9000)).toBe(0);
  });

  it("a read-modify-write finds the old contents in SCRATCH", () => {
    const machine = createSpace();
    machine.physical.write(0x8ffe, sequence(2));
    machine.physical.write(0x6000, sequence(6, 3));
    const at = machine.mmu.slowWrite(0, ...halves(SPLIT + 0xffen), 8 | Operand.READ_MODIFY_WRITE);
    expect(bytesAt(machine, at, 8)).toEqual([...sequence(8)]);
  });

  it("a fault in the second page reports that page's first byte and leaves the first unwritten", () => {
    const machine = createSpace();
    const { mmu, physical, cpu } = machine;
    physical.write(0x7ff8, sequence(8));
    expect(mmu.slowWrite(0, ...halves(ABSENT - 4n), 8)).toBe(0);
    // The first page is read-only: its fault comes first.
    expect(fault(machine)).toEqual({ vector: Vector.PF, error: PageFault.PRESENT | PageFault.WRITE });
    expect(cpu.u64(CR2)).toBe(ABSENT - 4n);
    expect(mmu.slowRead(0, ...halves(ABSENT - 4n), 8)).toBe(0);
    expect(fault(machine)).toEqual({ vector: Vector.PF, error: 0 });
    expect(cpu.u64(CR2)).toBe(ABSENT);
    expect(() => mmu.write64(SPLIT + 0x1ffcn, 0n)).toThrow(Fault);
    expect(cpu.u64(CR2)).toBe(SPLIT + 0x2000n);
    expect([...physical.read(0x6ff8, 8)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it("32-bit code: an operand at the top of the linear address space wraps to 0", () => {
    const machine = createMachine();
    const tables = new PageTables(machine, "32-bit", ROOT);
    tables.map(0xffff_f000n, 0x5000, Entry.RW);
    tables.map(0n, 0x7000, Entry.RW);
    setControls(machine, "32-bit");
    tables.load();
    machine.physical.write(0x5ffe, sequence(2));
    machine.physical.write(0x7000, sequence(2, 3));
    const at = machine.mmu.slowRead(0, 0xffff_fffe | 0, 0, 4);
    expect(bytesAt(machine, at, 4)).toEqual([1, 2, 3, 4]);
    expect(machine.mmu.read(0xffff_fffen, 4)).toBe(0x0403_0201);
    // Bits above 31 of a linear address do not exist.
    expect(machine.mmu.slowRead(0, 0, 1, 4) >>> 0).toBe(host(0x7000));
  });

  it("32-bit code: a fault past the top has CR2 = 0", () => {
    const machine = createMachine();
    const tables = new PageTables(machine, "32-bit", ROOT);
    tables.map(0xffff_f000n, 0x5000, Entry.RW);
    setControls(machine, "32-bit");
    tables.load();
    machine.cpu.setU64(CR2, 1n);
    expect(machine.mmu.slowWrite(0, 0xffff_fffe | 0, 0, 4)).toBe(0);
    expect(fault(machine).vector).toBe(Vector.PF);
    expect(machine.cpu.u64(CR2)).toBe(0n);
  });

  it("64-bit code: an operand at the top wraps to address 0 of the lower half", () => {
    const machine = createSpace();
    machine.tables.map(0xffff_ffff_ffff_f000n, 0x5000, Entry.RW);
    machine.tables.map(0n, 0x7000, Entry.RW);
    machine.physical.write(0x5ffe, sequence(2));
    machine.physical.write(0x7000, sequence(2, 3));
    expect(bytesAt(machine, machine.mmu.slowRead(0, -2, -1, 4), 4)).toEqual([1, 2, 3, 4]);
  });
});

describe("MMIO", () => {
  it.each([
    [1, [1]],
    [2, [2]],
    [4, [4]],
    [8, [4, 4]],
    [16, [4, 4, 4, 4]],
    [10, [4, 4, 2]],
  ])("a read of %i bytes is made of accesses of %j bytes, low first", (size, pieces) => {
    const machine = createSpace();
    const at = machine.mmu.slowRead(0, ...halves(BUS + 0x20n), size);
    expect(bytesAt(machine, at, size)).toEqual([...sequence(size, 0x20)]);
    expect(machine.bus.accesses.map((access) => access.size)).toEqual(pieces);
    let address = DEVICE + 0x20;
    for (const access of machine.bus.accesses) {
      expect(access).toMatchObject({ write: false, address });
      address += access.size;
    }
    expect(machine.mmu.statistics.mmioReads).toBe(pieces.length);
  });

  it("a pure store does not read the device, and writes it once, at commit", () => {
    const machine = createSpace();
    const at = machine.mmu.slowWrite(0, ...halves(BUS + 0x40n), 8);
    expect(machine.bus.accesses).toEqual([]);
    store(machine, at, sequence(8));
    expect(machine.bus.accesses).toEqual([
      { write: true, address: DEVICE + 0x40, size: 4, value: 0x0403_0201 },
      { write: true, address: DEVICE + 0x44, size: 4, value: 0x0807_0605 },
    ]);
    machine.mmu.commit();
    expect(machine.bus.accesses).toHaveLength(2);
  });

  it("a read-modify-write reads, then writes", () => {
    const machine = createSpace();
    const at = machine.mmu.slowWrite(0, ...halves(BUS + 0x40n), 4 | Operand.READ_MODIFY_WRITE);
    expect(bytesAt(machine, at, 4)).toEqual([0x40, 0x41, 0x42, 0x43]);
    store(machine, at, sequence(4));
    expect(machine.bus.accesses.map((access) => access.write)).toEqual([false, true]);
  });

  it("an operand half in RAM and half in MMIO touches each once", () => {
    const machine = createSpace();
    const linear = BUS - 3n;
    store(machine, machine.mmu.slowWrite(0, ...halves(linear), 8), sequence(8));
    expect([...machine.physical.read(0x5ffd, 3)]).toEqual([1, 2, 3]);
    expect(machine.bus.accesses).toEqual([
      { write: true, address: DEVICE, size: 4, value: 0x0706_0504 },
      { write: true, address: DEVICE + 4, size: 1, value: 8 },
    ]);
  });

  it("a store given up before commit is forgotten", () => {
    const machine = createSpace();
    machine.mmu.slowWrite(0, ...halves(BUS), 4);
    machine.mmu.slowWrite(0, ...halves(BEFORE), 4);
    expect(machine.cpu.i32(SCRATCH_PENDING)).toBe(0);
    machine.mmu.slowWrite(0, ...halves(BUS), 4);
    machine.mmu.write(BEFORE, 4, 1);
    machine.mmu.commit();
    expect(machine.bus.accesses).toEqual([]);
  });

  it("the record is stored first, since a device may ask for the time", () => {
    const machine = createSpace();
    machine.mmu.slowRead(0x1234, ...halves(BUS), 4);
    expect(machine.cpu.i32(CURRENT_RECORD)).toBe(0x1234);
    machine.mmu.slowWrite(0x5678, ...halves(BEFORE), 4);
    expect(machine.cpu.i32(CURRENT_RECORD)).toBe(0x5678);
  });
});

describe("ROM", () => {
  it("stores have no effect, and read-modify-writes see the contents", () => {
    const machine = createSpace();
    machine.physical.write(0x4000, sequence(16));
    machine.physical.map(0x4000, 0x1000, "ROM");
    const at = machine.mmu.slowWrite(0, ...halves(BEFORE), 4 | Operand.READ_MODIFY_WRITE);
    expect(bytesAt(machine, at, 4)).toEqual([1, 2, 3, 4]);
    store(machine, at, sequence(4, 50));
    machine.mmu.write64(BEFORE, 0n);
    machine.mmu.writeBytes(BEFORE, new Uint8Array(16));
    expect([...machine.physical.read(0x4000, 16)]).toEqual([...sequence(16)]);
  });
});

describe("faults of operands", () => {
  it("a non-canonical address is #SS(0) for stack accesses and operands in SS, #GP(0) otherwise", () => {
    const machine = createSpace();
    const { mmu, view } = machine;
    const record = RECORDS;
    for (const segment of Object.values(Segment).slice(0, 6)) {
      view.setUint8(record + R_FLAGS, segment | 0x60);
      expect(mmu.slowRead(record, 0, 0x8000_0000 | 0, 8)).toBe(0);
      const vector = segment === Segment.SS ? Vector.SS : Vector.GP;
      expect(fault(machine)).toEqual({ vector, error: 0 });
      expect(mmu.slowWrite(record, 0, 0x8000, 8 | Operand.STACK)).toBe(0);
      expect(fault(machine)).toEqual({ vector: Vector.SS, error: 0 });
    }
    // A page fault in the stack segment stays a page fault.
    expect(mmu.slowRead(record, ...halves(ABSENT), 8 | Operand.STACK)).toBe(0);
    expect(fault(machine).vector).toBe(Vector.PF);
  });

  it("CR0.AM = RFLAGS.AC = 1 at CPL 3: misaligned operands raise #AC(0)", () => {
    const machine = createSpace({ cpl: 3, ac: true, am: true });
    const { mmu } = machine;
    for (const [size, alignment] of [
      [1, 1],
      [2, 2],
      [4, 4],
      [8, 8],
      [10, 8],
      [16, 16],
    ] as const) {
      for (let offset = 0; offset < 16; offset++) {
        const aligned = offset % alignment === 0;
        const [lo, hi] = halves(BEFORE + BigInt(offset));
        for (const host of [mmu.slowRead(0, lo, hi, size), mmu.slowWrite(0, lo, hi, size)]) {
          expect([size, offset, host !== 0]).toEqual([size, offset, aligned]);
          if (!aligned) expect(fault(machine)).toEqual({ vector: Vector.AC, error: 0 });
        }
      }
    }
    // Implicit accesses are made at CPL 0.
    expect(mmu.read(BEFORE + 1n, 4, Access.READ | Access.SYSTEM)).toBe(0);
    expect(() => mmu.read(BEFORE + 1n, 4)).toThrow(expect.objectContaining({ vector: Vector.AC }));
  });

  it("an end that is not canonical comes before misalignment, and both come before page faults", () => {
    const machine = createSpace({ cpl: 3, ac: true, am: true });
    const { mmu } = machine;
    const vectorOf = (address: bigint): number[] => {
      const [lo, hi] = halves(address);
      return [mmu.slowRead(0, lo, hi, 8), mmu.slowWrite(0, lo, hi, 8)].map((at) => {
        expect(at).toBe(0);
        return fault(machine).vector;
      });
    };
    expect(vectorOf(0x7fff_ffff_fff9n)).toEqual([Vector.GP, Vector.GP]);
    expect(vectorOf(0x8000_0000_0001n)).toEqual([Vector.GP, Vector.GP]);
    expect(vectorOf(ABSENT + 1n)).toEqual([Vector.AC, Vector.AC]);
    expect(vectorOf(ABSENT)).toEqual([Vector.PF, Vector.PF]);
  });

  it("blocks of bytes raise #AC(0) by the alignment that is asked of them", () => {
    const { mmu } = createSpace({ cpl: 3, ac: true, am: true });
    const misaligned = expect.objectContaining({ vector: Vector.AC });
    const odd = BEFORE + 2n;
    expect(() => mmu.readBytes(odd, 28, Access.READ, 4)).toThrow(misaligned);
    expect(() => mmu.writeBytes(odd, sequence(28), Access.WRITE, 4)).toThrow(misaligned);
    expect(() => mmu.probeWrite(odd, 28, Access.WRITE, 4)).toThrow(misaligned);
    mmu.writeBytes(odd, sequence(28), Access.WRITE, 2);
    expect(mmu.readBytes(odd, 28)).toEqual(sequence(28));
  });

  it.each([
    ["CPL 0", { cpl: 0, ac: true, am: true }],
    ["RFLAGS.AC = 0", { cpl: 3, ac: false, am: true }],
    ["CR0.AM = 0", { cpl: 3, ac: true, am: false }],
  ])("%s: misaligned operands are allowed", (_name, controls) => {
    const machine = createSpace(controls);
    expect(machine.mmu.slowRead(0, ...halves(BEFORE + 1n), 4) >>> 0).toBe(host(0x4001));
  });
});

describe("data breakpoints", () => {
  const WATCHED = BEFORE + 0x104n;
  /** DR7 for breakpoint 1: L1, R/W1, LEN1. */
  const dr7 = (kind: number, length: number): bigint => BigInt((1 << 2) | (kind << 20) | (length << 22));

  function watch(kind: number, length: number): { machine: Machine; hits: number[] } {
    const machine = createSpace();
    const hits: number[] = [];
    machine.mmu.onDataBreakpoint = (_cpu, bits) => hits.push(bits);
    machine.mmu.slowWrite(0, ...halves(BEFORE), 1);
    setDebugRegister(machine, 1, WATCHED);
    setDebugRegister(machine, 7, dr7(kind, length));
    return { machine, hits };
  }

  it("the page leaves the TLBs, and stays out of them until DR7 is cleared", () => {
    const { machine } = watch(1, 3);
    expect(fastPath(machine, TLB_WRITE, BEFORE, 1)).toBeNull();
    machine.mmu.slowWrite(0, ...halves(BEFORE), 1);
    machine.mmu.slowRead(0, ...halves(BEFORE), 1);
    expect(fastPath(machine, TLB_WRITE, BEFORE, 1)).toBeNull();
    expect(fastPath(machine, TLB_READ, BEFORE, 1)).toBeNull();
    machine.mmu.slowWrite(0, ...halves(BEFORE + 0x1000n), 1);
    expect(fastPath(machine, TLB_WRITE, BEFORE + 0x1000n, 1)).toBe(host(0x5000));
    setDebugRegister(machine, 7, 0n);
    machine.mmu.slowWrite(0, ...halves(BEFORE), 1);
    expect(fastPath(machine, TLB_WRITE, BEFORE, 1)).toBe(host(0x4000));
  });

  it.each([
    { name: "write, 4 bytes", kind: 1, length: 3, from: 0x104, to: 0x108, reads: false },
    { name: "read or write, 1 byte", kind: 3, length: 0, from: 0x104, to: 0x105, reads: true },
    { name: "read or write, 2 bytes", kind: 3, length: 1, from: 0x104, to: 0x106, reads: true },
    { name: "write, 8 bytes", kind: 1, length: 2, from: 0x100, to: 0x108, reads: false },
  ])("$name: every overlapping operand and no other is reported", ({ kind, length, from, to, reads }) => {
    const { machine, hits } = watch(kind, length);
    for (const size of [1, 2, 4, 8, 16]) {
      for (let offset = 0xe8; offset < 0x110; offset++) {
        const [lo, hi] = halves(BEFORE + BigInt(offset));
        const overlaps = offset < to && offset + size > from;
        hits.length = 0;
        machine.mmu.slowRead(0, lo, hi, size);
        expect([size, offset, ...hits]).toEqual([size, offset, ...(overlaps && reads ? [2] : [])]);
        hits.length = 0;
        machine.mmu.slowWrite(0, lo, hi, size);
        expect([size, offset, ...hits]).toEqual([size, offset, ...(overlaps ? [2] : [])]);
      }
    }
  });

  it("I/O and instruction breakpoints watch no data", () => {
    for (const kind of [0, 2]) {
      const { machine, hits } = watch(kind, 0);
      machine.mmu.slowWrite(0, ...halves(WATCHED), 1);
      expect(hits).toEqual([]);
      expect(fastPath(machine, TLB_WRITE, BEFORE, 1)).toBe(host(0x4000));
    }
  });

  it("an access that faults reports nothing", () => {
    const machine = createSpace();
    const hits: number[] = [];
    machine.mmu.onDataBreakpoint = (_cpu, bits) => hits.push(bits);
    setDebugRegister(machine, 1, READ_ONLY);
    setDebugRegister(machine, 7, dr7(1, 0));
    expect(machine.mmu.slowWrite(0, ...halves(READ_ONLY), 1)).toBe(0);
    expect(hits).toEqual([]);
  });
});

describe("LinearMemory", () => {
  it("reads and writes little-endian values of every size, hit or miss", () => {
    const { mmu, physical } = createSpace();
    for (let round = 0; round < 2; round++) {
      mmu.write64(BEFORE, 0xfedc_ba98_7654_3210n);
      expect(mmu.read64(BEFORE)).toBe(0xfedc_ba98_7654_3210n);
      expect(mmu.read(BEFORE + 4n, 4)).toBe(0xfedc_ba98);
      expect(mmu.read(BEFORE + 6n, 2)).toBe(0xfedc);
      expect(mmu.read(BEFORE + 7n, 1)).toBe(0xfe);
      mmu.write(BEFORE, 1, 0x1ff);
      mmu.write(BEFORE + 2n, 2, 0xabcd);
      mmu.write(BEFORE + 4n, 4, 0xffff_ffff);
      expect(mmu.read64(BEFORE)).toBe(0xffff_ffff_abcd_32ffn);
      expect(physical.read64(0x4000)).toBe(0xffff_ffff_abcd_32ffn);
    }
  });

  it("makes values that cross a page or lie in MMIO whole", () => {
    const { mmu, bus } = createSpace();
    mmu.write64(SPLIT + 0xffbn, 0x1122_3344_5566_7788n);
    expect(mmu.read64(SPLIT + 0xffbn)).toBe(0x1122_3344_5566_7788n);
    expect(mmu.read(SPLIT + 0xfffn, 2)).toBe(0x3344);
    expect(mmu.read64(BUS + 8n)).toBe(0x0f0e_0d0c_0b0a_0908n);
    mmu.write64(BUS + 8n, 5n);
    expect(bus.accesses.filter((access) => access.write).map((access) => access.value)).toEqual([5, 0]);
  });

  it("byte arrays: across pages, into MMIO, up to a whole page, all or nothing", () => {
    const { mmu, physical, bus } = createSpace();
    const page = sequence(4096);
    mmu.writeBytes(SPLIT + 0x123n, page);
    expect([...mmu.readBytes(SPLIT + 0x123n, 4096)]).toEqual([...page]);
    expect(physical.read8(0x6122)).toBe(page[4095]);
    mmu.writeBytes(BUS - 2n, sequence(9));
    expect(bus.accesses.map(({ address, size }) => [address - DEVICE, size])).toEqual([
      [0, 4],
      [4, 2],
      [6, 1],
    ]);
    expect([...mmu.readBytes(BUS + 0x10n, 7)]).toEqual([...sequence(7, 0x10)]);
    expect(() => mmu.writeBytes(SPLIT + 0x1ff0n, page)).toThrow(Fault);
    expect([...physical.read(0x6ff0, 16)]).toEqual(new Array(16).fill(0));
    expect(() => mmu.readBytes(SPLIT, 4097)).toThrow(RangeError);
  });

  it("probeWrite faults as the write would and changes nothing but A and D", () => {
    const { mmu, tables, cpu } = createSpace();
    const entry = tables.path(SPLIT, 12).at(-1)!;
    expect(tables.readEntry(entry) & Entry.D).toBe(0n);
    mmu.probeWrite(SPLIT + 0xffcn, 8);
    expect(tables.readEntry(entry) & Entry.D).toBe(Entry.D);
    expect(() => mmu.probeWrite(READ_ONLY, 8)).toThrow(
      expect.objectContaining({ vector: Vector.PF, error: PageFault.PRESENT | PageFault.WRITE }),
    );
    expect(cpu.u64(CR2)).toBe(READ_ONLY);
    expect(() => mmu.probeWrite(SPLIT + 0x1ffcn, 8)).toThrow(
      expect.objectContaining({ error: PageFault.WRITE }),
    );
  });

  it("implicit accesses at CPL 3 are supervisor's: U/S of the error code is 0, supervisor pages are open", () => {
    const machine = createSpace({ cpl: 3 });
    const { mmu, tables } = machine;
    tables.map(0x5_0000n, 0xa000, Entry.RW);
    mmu.write64(0x5_0000n, 7n, Access.WRITE | Access.SYSTEM);
    expect(mmu.read64(0x5_0000n, Access.SYSTEM)).toBe(7n);
    expect(() => mmu.read64(0x5_0000n)).toThrow(
      expect.objectContaining({ error: PageFault.PRESENT | PageFault.USER }),
    );
    expect(() => mmu.read64(ABSENT, Access.SYSTEM)).toThrow(expect.objectContaining({ error: 0 }));
    expect(fastPath(machine, TLB_WRITE, 0x5_0000n, 8)).toBeNull();
  });

  it("implicit accesses have 64-bit addresses in compatibility mode and 32-bit ones in protected mode", () => {
    const machine = createSpace();
    machine.tables.map(0xffff_8000_0000_0000n, 0xa000, Entry.RW);
    machine.physical.write64(0xa008, 99n);
    machine.cpu.setI32(MODE, Mode.CODE_32);
    machine.mmu.contextChanged(machine.cpu);
    expect(machine.mmu.read64(0xffff_8000_0000_0008n, Access.SYSTEM)).toBe(99n);
    expect(() => machine.mmu.read64(0xffff_8000_0000_0008n)).toThrow(Fault);
    expect(machine.cpu.u64(CR2)).toBe(8n);

    const legacy = createMachine();
    const tables = new PageTables(legacy, "32-bit", ROOT);
    tables.map(0x1000n, 0x5000, Entry.RW);
    setControls(legacy, "32-bit");
    tables.load();
    legacy.physical.write64(0x5000, 77n);
    expect(legacy.mmu.read64(0x1_0000_1000n, Access.SYSTEM)).toBe(77n);
    expect(fastPath(legacy, TLB_READ, 0x1000n, 8)).toBe(host(0x5000));
  });

  it("what lies past the end of RAM is the bus's", () => {
    const machine = createMachine();
    machine.mmu.write(BigInt(RAM_SIZE), 2, 0x1234);
    expect(machine.bus.accesses).toEqual([{ write: true, address: RAM_SIZE, size: 2, value: 0x1234 }]);
  });
});
