import { describe, expect, it } from "vitest";
import {
  CODE_BASE,
  CPL,
  CR0,
  CR4,
  EFER,
  FLAGS_SYSTEM,
  JUMP_KEY,
  MODE,
  PKRU,
  TLB_ENTRIES,
  TLB_KEY,
  TLB_READ,
  TLB_WRITE,
} from "../../src/cpu/layout.ts";
import { Cr0, Cr4, Efer, Flag } from "../../src/cpu/registers.ts";
import { JumpCache, jumpIndex } from "../../src/mmu/jump-cache.ts";
import { GENERATIONS } from "../../src/mmu/tlb.ts";
import {
  createMachine,
  Entry,
  fastPath,
  halves,
  host,
  type Machine,
  PageTables,
  setControls,
  setCr3,
} from "./machine.ts";

const ROOT = 0x10_0000;
const OTHER_ROOT = 0x20_0000;
const RW_US = Entry.RW | Entry.US;

function fourLevel(controls: Parameters<typeof setControls>[2] = {}): {
  machine: Machine;
  tables: PageTables;
} {
  const machine = createMachine();
  const tables = new PageTables(machine, "4-level", ROOT);
  setControls(machine, "4-level", controls);
  tables.load();
  return { machine, tables };
}

function read(machine: Machine, linear: bigint, size = 1): number {
  return machine.mmu.slowRead(0, ...halves(linear), size) >>> 0;
}
function write(machine: Machine, linear: bigint, size = 1): number {
  return machine.mmu.slowWrite(0, ...halves(linear), size) >>> 0;
}

describe("a refilled TLB", () => {
  it("gives emitted code the host address of operands within the page, and of no others", () => {
    const { machine, tables } = fourLevel();
    const linear = 0xffff_8123_4567_8000n;
    tables.map(linear, 0x5000, Entry.RW);
    expect(fastPath(machine, TLB_READ, linear, 1)).toBeNull();
    expect(read(machine, linear + 0x10n)).toBe(host(0x5010));
    for (const size of [1, 2, 4, 8, 16, 32]) {
      for (const offset of [0, 1, 0x7ff, 0x1000 - size]) {
        expect(fastPath(machine, TLB_READ, linear + BigInt(offset), size)).toBe(host(0x5000 + offset));
      }
      if (size > 1) {
        expect(fastPath(machine, TLB_READ, linear + BigInt(0x1001 - size), size)).toBeNull();
        expect(fastPath(machine, TLB_READ, linear - 1n, size)).toBeNull();
      }
    }
    // Read access only.
    expect(fastPath(machine, TLB_WRITE, linear, 1)).toBeNull();
    // Another page with the same index.
    expect(fastPath(machine, TLB_READ, linear + BigInt(TLB_ENTRIES * 4096), 1)).toBeNull();
    expect(fastPath(machine, TLB_READ, linear ^ (1n << 46n), 1)).toBeNull();
  });

  it("holds a write entry only after a write, which set the dirty flag", () => {
    const { machine, tables } = fourLevel();
    const path = tables.map(0x1000n, 0x5000, Entry.RW);
    read(machine, 0x1000n);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 4)).toBeNull();
    write(machine, 0x1000n);
    expect(fastPath(machine, TLB_WRITE, 0x1ffcn, 4)).toBe(host(0x5ffc));
    expect(tables.readEntry(path.at(-1)!) & Entry.D).toBe(Entry.D);
    // A later clearing of D with INVLPG is seen.
    tables.map(0x1000n, 0x5000, Entry.RW);
    machine.mmu.flushPage(machine.cpu, 0x1000n);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 4)).toBeNull();
  });

  it("never holds MMIO, and no write entry for ROM", () => {
    const { machine, tables } = fourLevel();
    tables.map(0x1000n, 0xfee0_0000, Entry.RW);
    tables.map(0x2000n, 0x5000, Entry.RW);
    machine.physical.map(0x5000, 0x1000, "ROM");
    read(machine, 0x1000n, 4);
    write(machine, 0x1000n, 4);
    machine.mmu.commit();
    expect(fastPath(machine, TLB_READ, 0x1000n, 4)).toBeNull();
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 4)).toBeNull();
    write(machine, 0x2000n, 4);
    machine.mmu.commit();
    expect(fastPath(machine, TLB_READ, 0x2000n, 4)).toBe(host(0x5000));
    expect(fastPath(machine, TLB_WRITE, 0x2000n, 4)).toBeNull();
  });
});

describe("contexts", () => {
  it("a ring change flushes nothing, and entries of one context serve no other", () => {
    const { machine, tables } = fourLevel({ smap: true });
    tables.map(0x1000n, 0x5000, RW_US);
    tables.map(0x2000n, 0x6000, Entry.RW);
    const enter = (cpl: number, ac: boolean): void => {
      machine.cpu.setI32(CPL, cpl);
      machine.cpu.setI32(FLAGS_SYSTEM, 2 | (ac ? Flag.AC : 0));
      machine.mmu.contextChanged(machine.cpu);
    };
    enter(0, false);
    write(machine, 0x2000n);
    enter(3, false);
    write(machine, 0x1000n);
    expect(fastPath(machine, TLB_WRITE, 0x2000n, 1)).toBeNull();
    enter(0, false);
    // The supervisor's page is still there; the user's is not accessible under SMAP.
    expect(fastPath(machine, TLB_WRITE, 0x2000n, 1)).toBe(host(0x6000));
    expect(fastPath(machine, TLB_READ, 0x1000n, 1)).toBeNull();
    expect(read(machine, 0x1000n)).toBe(0);
    enter(0, true);
    expect(fastPath(machine, TLB_READ, 0x1000n, 1)).toBeNull();
    expect(read(machine, 0x1000n)).toBe(host(0x5000));
    expect(fastPath(machine, TLB_READ, 0x1000n, 1)).toBe(host(0x5000));
    enter(0, false);
    expect(fastPath(machine, TLB_READ, 0x1000n, 1)).toBeNull();
  });

  it.each([
    ["CR0.WP", CR0, Cr0.WP],
    ["CR0.PG", CR0, Cr0.PG],
    ["CR4.PGE", CR4, Cr4.PGE],
    ["CR4.PSE", CR4, Cr4.PSE],
    ["CR4.SMEP", CR4, Cr4.SMEP],
    ["CR4.SMAP", CR4, Cr4.SMAP],
    ["CR4.PKE", CR4, Cr4.PKE],
    ["CR4.LA57", CR4, Cr4.LA57],
    ["CR4.PCIDE", CR4, Cr4.PCIDE],
    ["IA32_EFER.NXE", EFER, Efer.NXE],
  ] as const)("a change of %s drops all translations", (_name, register, bit) => {
    const { machine, tables } = fourLevel();
    tables.map(0x1000n, 0x5000, Entry.RW | Entry.G);
    write(machine, 0x1000n);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).not.toBeNull();
    machine.cpu.setI32(register, machine.cpu.i32(register) ^ bit);
    machine.mmu.contextChanged(machine.cpu);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBeNull();
    expect(fastPath(machine, TLB_READ, 0x1000n, 1)).toBeNull();
  });

  it("a flush of everything takes note of registers that changed just before", () => {
    const { machine, tables } = fourLevel();
    tables.map(0x1000n, 0x5000, Entry.US);
    expect(write(machine, 0x1000n)).toBe(host(0x5000));
    machine.cpu.setI32(CR0, machine.cpu.cr0 | Cr0.WP);
    machine.mmu.flushAll(machine.cpu);
    expect(write(machine, 0x1000n)).toBe(0);
    machine.cpu.setI32(CR0, Cr0.PE);
    machine.cpu.setI32(EFER, 0);
    machine.mmu.flushAll(machine.cpu);
    expect(write(machine, 0x1000n)).toBe(host(0x1000));
  });

  it("PKRU: translations go only when the rights of a key they use change", () => {
    const { machine, tables } = fourLevel({ pke: true, cpl: 3 });
    tables.map(0x1000n, 0x5000, RW_US | (5n << 59n));
    const setPkru = (value: number): void => {
      machine.cpu.setI32(PKRU, value);
      machine.mmu.contextChanged(machine.cpu);
    };
    write(machine, 0x1000n);
    setPkru(3 << 12);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBe(host(0x5000));
    setPkru(2 << 10);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBeNull();
    expect(write(machine, 0x1000n)).toBe(0);
    expect(read(machine, 0x1000n)).toBe(host(0x5000));
    setPkru(1 << 10);
    expect(fastPath(machine, TLB_READ, 0x1000n, 1)).toBeNull();
    expect(read(machine, 0x1000n)).toBe(0);
  });

  it("with alignment checking active no access hits", () => {
    const { machine, tables } = fourLevel({ cpl: 3, ac: true, am: true });
    tables.map(0x1000n, 0x5000, RW_US);
    expect(write(machine, 0x1000n, 4)).toBe(host(0x5000));
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 4)).toBeNull();
    expect(fastPath(machine, TLB_READ, 0x1000n, 4)).toBeNull();
  });
});

describe("MOV to CR3", () => {
  function twoSpaces(controls: Parameters<typeof setControls>[2]): Machine {
    const machine = createMachine();
    for (const [root, base] of [
      [ROOT, 0x5000],
      [OTHER_ROOT, 0x6000],
    ] as const) {
      const tables = new PageTables(machine, "4-level", root);
      tables.map(0x1000n, base, Entry.RW);
      tables.map(0x2000n, 0x7000, Entry.RW | Entry.G);
    }
    setControls(machine, "4-level", controls);
    setCr3(machine, ROOT);
    return machine;
  }

  it("CR4.PCIDE = 0: drops all but global translations, and even those with CR4.PGE = 0", () => {
    for (const pge of [false, true]) {
      const machine = twoSpaces({ pge });
      write(machine, 0x1000n);
      write(machine, 0x2000n);
      machine.mmu.translateExecute(machine.cpu, 0x2000, 0);
      const misses = machine.mmu.statistics.executeMisses;
      setCr3(machine, OTHER_ROOT);
      expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBeNull();
      expect(fastPath(machine, TLB_WRITE, 0x2000n, 1)).toBe(pge ? host(0x7000) : null);
      expect(fastPath(machine, TLB_READ, 0x2000n, 1)).toBe(pge ? host(0x7000) : null);
      machine.mmu.translateExecute(machine.cpu, 0x2000, 0);
      expect(machine.mmu.statistics.executeMisses - misses).toBe(pge ? 0 : 1);
      expect(write(machine, 0x1000n)).toBe(host(0x6000));
      machine.mmu.flushAll(machine.cpu);
      expect(fastPath(machine, TLB_WRITE, 0x2000n, 1)).toBeNull();
    }
  });

  it("CR4.PCIDE = 1: bit 63 keeps the PCID's translations, and without it they are dropped", () => {
    const machine = twoSpaces({ pcide: true });
    setCr3(machine, ROOT | 1);
    write(machine, 0x1000n);
    setCr3(machine, OTHER_ROOT | 2);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBeNull();
    setCr3(machine, ROOT | 1, true);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBe(host(0x5000));
    setCr3(machine, OTHER_ROOT | 2, true);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBeNull();
    setCr3(machine, ROOT | 1);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBeNull();
    write(machine, 0x1000n);
    // INVPCID type 1 from another PCID, and type 2.
    setCr3(machine, OTHER_ROOT | 2, true);
    machine.mmu.flushPcid(machine.cpu, 1);
    setCr3(machine, ROOT | 1, true);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBeNull();
    write(machine, 0x1000n);
    setCr3(machine, OTHER_ROOT | 2, true);
    machine.mmu.flushAll(machine.cpu);
    setCr3(machine, ROOT | 1, true);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBeNull();
  });

  it("INVLPG drops the page in every PCID", () => {
    const machine = twoSpaces({ pcide: true });
    setCr3(machine, ROOT | 1);
    write(machine, 0x1000n);
    setCr3(machine, OTHER_ROOT | 2);
    machine.mmu.flushPage(machine.cpu, 0x1fffn);
    setCr3(machine, ROOT | 1, true);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBeNull();
    expect(fastPath(machine, TLB_READ, 0x1000n, 1)).toBeNull();
  });

  it("when generations run out, no translation of an earlier one comes back", () => {
    const machine = twoSpaces({ pcide: true });
    const { mmu, cpu, physical } = machine;
    setCr3(machine, ROOT | 1);
    write(machine, 0x1000n);
    const jumps = new JumpCache(new Int32Array(physical.memory.buffer), cpu.block);
    const firstKey = cpu.i32(TLB_KEY);
    const keys = new Set<number>([firstKey]);
    let wrapped = 0;
    for (let i = 0; i < GENERATIONS + 5; i++) {
      jumps.store(0x1000, 0, cpu.i32(JUMP_KEY), 0x1234);
      setCr3(machine, OTHER_ROOT | 2);
      expect(jumps.lookup(0x1000, 0, cpu.i32(JUMP_KEY))).toBe(0);
      expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBeNull();
      const key = cpu.i32(TLB_KEY);
      expect(key & 0xffc).not.toBe(0);
      expect(key).toBeLessThan(4096);
      if (keys.has(key)) wrapped++;
      keys.add(key);
      if (i % 100 === 0) write(machine, 0x1000n);
    }
    expect(wrapped).toBeGreaterThan(0);
    expect(keys.size).toBe(GENERATIONS - 1);
    // PCID 1's translations went with the wrap: its old page table is not trusted any more.
    setCr3(machine, ROOT | 1, true);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBeNull();
    expect(mmu.statistics.flushes).toBeGreaterThan(GENERATIONS);
  });

  it("a generation that is given out again finds neither its former PCID nor its jumps", () => {
    const machine = twoSpaces({ pcide: true });
    const { mmu, cpu, physical } = machine;
    const jumps = new JumpCache(new Int32Array(physical.memory.buffer), cpu.block);
    setCr3(machine, ROOT | 1);
    const key = cpu.i32(TLB_KEY);
    mmu.cacheJump(cpu, 0x1000, 0, cpu.i32(JUMP_KEY), 0x1234);
    expect(jumps.lookup(0x1000, 0, cpu.i32(JUMP_KEY))).toBe(0x1234);
    for (let i = 0; i < GENERATIONS && cpu.i32(TLB_KEY) !== key - 4; i++) setCr3(machine, OTHER_ROOT | 2);
    setCr3(machine, OTHER_ROOT | 2);
    expect(cpu.i32(TLB_KEY)).toBe(key);
    expect(jumps.lookup(0x1000, 0, cpu.i32(JUMP_KEY))).toBe(0);
    write(machine, 0x1000n);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBe(host(0x6000));
    setCr3(machine, ROOT | 1, true);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBeNull();
  });
});

describe("INVLPG inside a large page", () => {
  it.each([
    ["32-bit", 22],
    ["PAE", 21],
    ["4-level", 21],
    ["4-level", 30],
  ] as const)("%s paging, 2^%i bytes: drops every fragment and no other page", (kind, shift) => {
    const machine = createMachine();
    const tables = new PageTables(machine, kind, ROOT);
    const base = 0x4000_0000n;
    tables.map(base, 0, Entry.RW, shift);
    tables.map(0x1000n, 0x5000, Entry.RW);
    setControls(machine, kind);
    tables.load();
    const last = base + BigInt(Math.min(2 ** shift, 0x40_0000)) - 0x1000n;
    const fragments = [base, base + 0x5000n, base + 0x1f_f000n, last];
    for (const fragment of fragments) {
      write(machine, fragment);
      machine.mmu.translateExecute(machine.cpu, ...halves(fragment));
    }
    // Same index as `base`, so it must be asked first.
    write(machine, 0x1000n);
    const misses = machine.mmu.statistics.executeMisses;
    machine.mmu.flushPage(machine.cpu, base + 0x1_2345n);
    for (const fragment of fragments) {
      expect(fastPath(machine, TLB_WRITE, fragment, 1)).toBeNull();
      expect(fastPath(machine, TLB_READ, fragment, 1)).toBeNull();
      machine.mmu.translateExecute(machine.cpu, ...halves(fragment));
    }
    expect(machine.mmu.statistics.executeMisses).toBeGreaterThan(misses);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1)).toBe(host(0x5000));
  });

  it("leaves the large page with the same low 32 bits of its address alone", () => {
    const { machine, tables } = fourLevel();
    tables.map(0x4000_0000n, 0, Entry.RW, 21);
    tables.map(0x1_4000_0000n, 0, Entry.RW, 21);
    write(machine, 0x4000_1000n);
    write(machine, 0x1_4000_2000n);
    machine.mmu.flushPage(machine.cpu, 0x4000_0000n);
    expect(fastPath(machine, TLB_WRITE, 0x4000_1000n, 1)).toBeNull();
    expect(fastPath(machine, TLB_WRITE, 0x1_4000_2000n, 1)).toBe(host(0x2000));
  });
});

describe("the execute TLB", () => {
  it("serves fetches of its own ring only, and INVLPG drops it", () => {
    const { machine, tables } = fourLevel({ nxe: true, smep: true });
    const { mmu, cpu } = machine;
    tables.map(0x1000n, 0x5000, RW_US);
    tables.map(0x2000n, 0x6000, Entry.RW);
    cpu.setI32(CPL, 3);
    mmu.contextChanged(cpu);
    expect(mmu.translateExecute(cpu, 0x1234, 0)).toBe(0x5234);
    expect(mmu.translateExecute(cpu, 0x2234, 0)).toBe(-1);
    cpu.setI32(CPL, 0);
    mmu.contextChanged(cpu);
    expect(mmu.translateExecute(cpu, 0x1234, 0)).toBe(-1);
    expect(mmu.translateExecute(cpu, 0x2234, 0)).toBe(0x6234);
    const { walks } = mmu.statistics;
    expect(mmu.translateExecute(cpu, 0x2fff, 0)).toBe(0x6fff);
    expect(mmu.statistics.walks).toBe(walks);
    tables.map(0x2000n, 0x7000, Entry.RW);
    mmu.flushPage(cpu, 0x2000n);
    expect(mmu.translateExecute(cpu, 0x2fff, 0)).toBe(0x7fff);
  });

  it("gives physical addresses above 4 GBytes and of MMIO", () => {
    const { machine, tables } = fourLevel();
    tables.map(0x1000n, 0xfe_1234_5000, Entry.RW);
    for (let i = 0; i < 2; i++) {
      expect(machine.mmu.translateExecute(machine.cpu, 0x1678, 0)).toBe(0xfe_1234_5678);
    }
  });
});

describe("JUMP_KEY", () => {
  it("differs by CPL = 3, MODE, base of the code segment and address space, and comes back with them", () => {
    const { machine } = fourLevel({ pcide: true });
    const { mmu, cpu } = machine;
    const keys = new Map<number, string>();
    const seen = new Map<string, number>();
    const visit = (): void => {
      for (const pcid of [1, 2]) {
        setCr3(machine, ROOT | pcid, true);
        for (const cpl of [0, 3]) {
          for (let mode = 0; mode < 16; mode++) {
            for (const base of [0, 0x10, 0xf_fff0, 0x8000_0000 | 0]) {
              cpu.setI32(CPL, cpl);
              cpu.setI32(MODE, mode);
              cpu.setI32(CODE_BASE, base);
              mmu.contextChanged(cpu);
              const name = JSON.stringify({ pcid, cpl, mode, base });
              const key = cpu.i32(JUMP_KEY);
              expect(key).not.toBe(0);
              expect(keys.get(key) ?? name).toBe(name);
              expect(seen.get(name) ?? key).toBe(key);
              keys.set(key, name);
              seen.set(name, key);
            }
          }
        }
      }
    };
    visit();
    visit();
    expect(keys.size).toBe(2 * 2 * 16 * 4);
  });

  it("CPL 0, 1 and 2 share translations but 3 does not", () => {
    const { machine } = fourLevel();
    const keys = [0, 1, 2, 3].map((cpl) => {
      machine.cpu.setI32(CPL, cpl);
      machine.mmu.contextChanged(machine.cpu);
      return machine.cpu.i32(JUMP_KEY);
    });
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
    expect(keys[3]).not.toBe(keys[0]);
  });
});

describe("the jump cache", () => {
  it("keeps all entries of a page in one group of 64, and tells lines and bytes of a page apart", () => {
    for (const page of [0, 0x1000, 0x40_0000, 0x8123_4000 | 0, -4096]) {
      const groups = new Set<number>();
      const indexes = new Set<number>();
      for (let offset = 0; offset < 4096; offset++) {
        const index = jumpIndex(page + offset);
        expect(index).toBeGreaterThanOrEqual(0);
        expect(index).toBeLessThan(4096);
        groups.add(index >> 6);
        if (offset < 64) indexes.add(index);
      }
      expect(groups.size).toBe(1);
      expect(indexes.size).toBe(64);
    }
    const pages = new Set(Array.from({ length: 64 }, (_, i) => jumpIndex(i * 4096) >> 6));
    expect(pages.size).toBe(64);
  });

  it("INVLPG drops what lies in the page, fragments of a large page everywhere, and keeps other pages", () => {
    const { machine, tables } = fourLevel();
    const { mmu, cpu } = machine;
    const jumps = new JumpCache(new Int32Array(machine.physical.memory.buffer), cpu.block);
    const key = cpu.i32(JUMP_KEY);
    mmu.cacheJump(cpu, 0x1010, 0, key, 0x100);
    mmu.cacheJump(cpu, 0x1fff, 0, key, 0x200);
    mmu.cacheJump(cpu, 0x2010, 0, key, 0x300);
    expect(jumps.lookup(0x1010, 0, key)).toBe(0x100);
    expect(jumps.lookup(0x1010, 1, key)).toBe(0);
    expect(jumps.lookup(0x1010, 0, key + 1)).toBe(0);
    mmu.flushPage(cpu, 0x1800n);
    expect(jumps.lookup(0x1010, 0, key)).toBe(0);
    expect(jumps.lookup(0x1fff, 0, key)).toBe(0);
    expect(jumps.lookup(0x2010, 0, key)).toBe(0x300);

    tables.map(0x20_0000n, 0, Entry.RW, 21);
    mmu.translateExecute(cpu, 0x20_1000, 0);
    mmu.cacheJump(cpu, 0x20_1000, 0, key, 0x400);
    mmu.flushPage(cpu, 0x3f_f000n);
    expect(jumps.lookup(0x20_1000, 0, key)).toBe(0);

    mmu.cacheJump(cpu, 0x1010, 0, key, 0x500);
    mmu.cacheJump(cpu, 0x2010, 0, key, 0x600);
    jumps.dropRecords(0x500, 0x600);
    expect([jumps.lookup(0x1010, 0, key), jumps.lookup(0x2010, 0, key)]).toEqual([0, 0x600]);
    mmu.clearJumpCaches();
    expect(jumps.lookup(0x2010, 0, key)).toBe(0);
  });
});

describe("the jump cache of code whose segment has a base", () => {
  it("INVLPG finds the page, though RIP lies in another", () => {
    const { machine } = fourLevel();
    const { mmu, cpu } = machine;
    const jumps = new JumpCache(new Int32Array(machine.physical.memory.buffer), cpu.block);
    cpu.setI32(CODE_BASE, 0x10);
    mmu.contextChanged(cpu);
    const key = cpu.i32(JUMP_KEY);
    mmu.cacheJump(cpu, 0x0ff8, 0, key, 0x100);
    mmu.flushPage(cpu, 0x1000n);
    expect(jumps.lookup(0x0ff8, 0, key)).toBe(0);
  });
});

describe("several processors", () => {
  it("have TLBs of their own", () => {
    const machine = createMachine({ processors: 2 });
    const [first, second] = machine.cpus as [typeof machine.cpu, typeof machine.cpu];
    write(machine, 0x1000n);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1, first)).toBe(host(0x1000));
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1, second)).toBeNull();
    machine.mmu.current = second;
    write(machine, 0x2000n);
    expect(fastPath(machine, TLB_WRITE, 0x2000n, 1, second)).toBe(host(0x2000));
    machine.mmu.flushAll(second);
    expect(fastPath(machine, TLB_WRITE, 0x1000n, 1, first)).toBe(host(0x1000));
  });

  it("each have their local APIC's page, which hides RAM from that processor alone", () => {
    const machine = createMachine({ processors: 2 });
    const { mmu, bus, cpus } = machine;
    write(machine, 0x30_0000n);
    mmu.localApicMoved(0, 0x30_0000);
    expect(fastPath(machine, TLB_WRITE, 0x30_0000n, 4)).toBeNull();
    mmu.read(0x30_0020n, 4);
    expect(bus.accesses).toMatchObject([{ address: 0x30_0020, size: 4 }]);
    mmu.current = cpus[1]!;
    mmu.write(0x30_0020n, 4, 77);
    expect(machine.physical.read32(0x30_0020)).toBe(77);
    mmu.localApicMoved(0, null);
    mmu.current = cpus[0]!;
    expect(mmu.read(0x30_0020n, 4)).toBe(77);
  });
});
