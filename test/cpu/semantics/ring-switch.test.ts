/** SYSCALL, SYSRET, IRETQ, STAC, CLAC and POPF: the emitted forms do exactly what the complete helpers do. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { R_REG_C } from "../../../src/cpu/decode/record.ts";
import { helpers } from "../../../src/cpu/helpers.ts";
import * as L from "../../../src/cpu/layout.ts";
import { Segment } from "../../../src/cpu/layout.ts";
import { Cr0, Cr4, Efer, Flag } from "../../../src/cpu/registers.ts";
import { RecordView, type SystemHelpers } from "../../../src/cpu/system/helper.ts";
import { NMI_BLOCKED } from "../../../src/cpu/system/index.ts";
import { Random } from "../../random.ts";
import { At, Attr, expectSame, GDT_LIMIT, RingMachine, Sel } from "./rings.ts";

const CASES = 1000;
const IRETQ = [0x48, 0xcf];
const SYSCALL = [0x0f, 0x05];
const SYSRETQ = [0x48, 0x0f, 0x07];
const SYSRETL = [0x0f, 0x07];
const R11 = 11;
const DEFINED = 0x003f_7fd5;
const UNTOLD = Flag.TF | Flag.RF | Flag.VM | Flag.NT;

const emitted = new RingMachine(false);
const helped = new RingMachine(true);

/** Counts the calls of a helper in both machines. */
function counted(name: string) {
  return vi.spyOn(helpers as Record<string, SystemHelpers[string]>, name);
}

afterEach(() => {
  vi.restoreAllMocks();
});

/** The same in both machines, one after the other. @returns whether emitted code did it alone. */
function both(name: string, helper: ReturnType<typeof counted>, setUp: (m: RingMachine) => void): boolean {
  setUp(emitted);
  setUp(helped);
  const before = helper.mock.calls.length;
  emitted.run();
  const calls = helper.mock.calls.length - before;
  helped.run();
  expect(
    helper.mock.calls.length - before - calls,
    `${name}: the observed machine calls the helper`,
  ).toBeLessThanOrEqual(1);
  expectSame(emitted, helped, name);
  return calls === 0;
}

function flagsOf(random: Random, odd: boolean): number {
  const flags = random.u32() & DEFINED & ~Flag.VM;
  return (odd ? flags : flags & ~UNTOLD) | 2;
}

const controlsOf = (random: Random) => ({
  cr0: random.chance(2) ? Cr0.AM : 0,
  cr4: random.chance(2) ? Cr4.SMAP : 0,
  efer: random.chance(16) ? 0 : Efer.SCE,
});

const RIPS = [BigInt(At.TARGET), 0x7fff_ffff_f000n, 0xffff_8000_0000_0000n, 0xffff_ffff_8100_0000n];
const ODD_RIPS = [0x8000_0000_0000n, 0xff00_0000_0000_0000n, 1n << 63n, 0xffff_7fff_ffff_ffffn];

describe("SYSCALL", () => {
  test("emitted code and helper agree on MSRs, flags and levels", () => {
    const helper = counted("syscall");
    const random = new Random(1);
    let alone = 0;
    for (let i = 0; i < CASES; i++) {
      const controls = controlsOf(random);
      const cpl = random.pick([0, 3] as const);
      const flags = flagsOf(random, random.chance(8));
      const [star, mask, lstar] = [random.u64(), random.u32(), random.pick(RIPS)];
      const done = both(`SYSCALL ${i}`, helper, (m) => {
        m.prepare(SYSCALL, cpl, controls);
        m.cpu.rflags = flags;
        m.cpu.setU64(L.MSR_STAR, star);
        m.cpu.setU64(L.MSR_LSTAR, lstar);
        m.cpu.setU64(L.MSR_FMASK, BigInt(mask));
        m.machine.processor.modeChanged(m.cpu);
      });
      if (done) alone++;
    }
    expect(alone / CASES).toBeGreaterThan(0.5);
  });
});

describe("SYSRET", () => {
  test.each([
    ["with REX.W", SYSRETQ],
    ["without REX.W", SYSRETL],
  ])("%s: emitted code and helper agree on RCX, R11 and STAR", (_name, code) => {
    const helper = counted("sysret");
    const random = new Random(2);
    let alone = 0;
    for (let i = 0; i < CASES; i++) {
      const controls = controlsOf(random);
      const cpl = random.chance(8) ? 3 : 0;
      const flags = flagsOf(random, false);
      const odd = random.chance(4);
      const [star, r11, rcx] = [random.u64(), random.u64(), random.pick(odd ? ODD_RIPS : RIPS)];
      const taken = odd ? r11 : r11 & ~BigInt(Flag.TF);
      const waiting = random.chance(8);
      const done = both(`SYSRET ${i}`, helper, (m) => {
        m.prepare(code, cpl, controls);
        m.cpu.rflags = flags & ~Flag.IF;
        m.cpu.setU64(L.MSR_STAR, star);
        m.cpu.setGpr(1, rcx);
        m.cpu.setGpr(R11, taken);
        m.machine.processor.modeChanged(m.cpu);
        if (waiting) m.interrupt(0x41);
      });
      if (waiting || taken & BigInt(Flag.TF)) expect(done, "the helper's case").toBe(false);
      if (done) alone++;
    }
    if (code === SYSRETQ) expect(alone / CASES).toBeGreaterThan(0.5);
    else expect(alone / CASES).toBeLessThan(0.2);
  });
});

const SEGMENTS = [
  { selector: 0, attributes: 0, base: 0n, limit: 0, isNull: true },
  { selector: Sel.USER_DATA, attributes: Attr.USER_DATA, base: 0n, limit: 0xffff_ffff, isNull: false },
  { selector: Sel.DATA, attributes: Attr.DATA, base: 0n, limit: 0xffff_ffff, isNull: false },
  { selector: Sel.FREE, attributes: 0xa09f, base: 0x1234n, limit: 0xffff_ffff, isNull: false },
];

interface Frame {
  rip: bigint;
  cs: number;
  flags: number;
  rsp: bigint;
  ss: number;
}

function putFrame(m: RingMachine, at: number, frame: Frame, high: bigint): void {
  m.ram.setBigUint64(at, frame.rip, true);
  // Bits of the slots that are not looked at.
  m.ram.setBigUint64(at + 8, (high & ~0xffffn) | BigInt(frame.cs), true);
  m.ram.setBigUint64(at + 16, (high & ~0xffff_ffffn) | BigInt(frame.flags), true);
  m.ram.setBigUint64(at + 24, frame.rsp, true);
  m.ram.setBigUint64(at + 32, (high & ~0xffffn) | BigInt(frame.ss), true);
  m.cpu.setGpr(4, BigInt(at));
}

/** Selectors that are null, of the LDT, beyond the limit, of other types and levels. */
const SELECTORS = [0, 1, 2, 3, 0x11, 0x14, 0x1b, 0x32, 0x33, 0x23, 0x60, 0x58, 0xfffb, Sel.DATA, Sel.CODE];

/** Selectors of a code and a data descriptor made up for each case. */
const FREE = [Sel.FREE, Sel.FREE2];

/** A valid descriptor of any base, limit and type, mostly of this level, some of its bits flipped. */
function descriptorOf(random: Random, code: boolean, level: number, flips: number): bigint {
  const attributes =
    (code ? 0x2099 | (random.u32() & 0x9002) : 0x93 | (random.u32() & 0xf004)) |
    ((random.chance(8) ? random.below(4) : level) << 5);
  const high = (random.u32() & 0xff0f_00ff) | ((attributes & 0xf0ff) << 8);
  let descriptor = (BigInt(high >>> 0) << 32n) | BigInt(random.u32());
  for (let i = 0; i < flips; i++)
    descriptor ^= 1n << BigInt(random.chance(2) ? 40 + random.below(16) : random.below(64));
  return descriptor;
}

describe("IRETQ", () => {
  test("emitted code and helper agree on frames, descriptors, flags and segments", () => {
    const helper = counted("iretq");
    const random = new Random(3);
    let alone = 0;
    let outer = 0;
    for (let i = 0; i < 3 * CASES; i++) {
      const controls = controlsOf(random);
      const level = random.chance(16) ? random.pick([1, 2]) : random.pick([0, 3]);
      const user = level === 3;
      const usual = random.chance(2);
      const selector = (own: number, outer: number) => {
        if (usual || random.chance(4)) return user ? outer : own;
        if (random.chance(3)) return random.pick(SELECTORS);
        return (random.chance(8) ? random.pick(FREE) : own === Sel.CODE ? Sel.FREE : Sel.FREE2) | level;
      };
      const frame: Frame = {
        rip: random.pick(random.chance(16) ? ODD_RIPS : RIPS),
        cs: selector(Sel.CODE, Sel.USER_CODE),
        flags: (random.u32() & ~(random.chance(8) ? 0 : Flag.TF | Flag.RF)) >>> 0,
        rsp: random.u64(),
        ss: !usual && !user && random.chance(3) ? 0 : selector(Sel.DATA, Sel.USER_DATA),
      };
      const flags = flagsOf(random, random.chance(16)) & (controls.cr4 && !random.chance(8) ? ~Flag.AC : -1);
      const place = random.chance(8) ? At.STACK - random.below(64) : At.STACK + 8 * random.below(64);
      const flips = random.below(3);
      const free = [true, false].map((code) => descriptorOf(random, code, level, flips));
      const limit = random.chance(8) ? 0x40 + random.below(16) : GDT_LIMIT;
      const segments = [0, 1, 2, 3].map(() =>
        random.pick(random.chance(2) ? SEGMENTS.slice(0, 2) : SEGMENTS),
      );
      const cold = random.chance(16);
      const waiting = random.chance(16);
      const nmi = random.chance(16);
      const high = random.u64();
      const done = both(`IRETQ ${i}`, helper, (m) => {
        m.prepare(IRETQ, 0, controls);
        const { cpu } = m;
        putFrame(m, place, frame, high);
        m.ram.setBigUint64(At.GDT + Sel.FREE, free[0]!, true);
        m.ram.setBigUint64(At.GDT + Sel.FREE2, free[1]!, true);
        cpu.rflags = waiting ? flags & ~Flag.IF : flags;
        [Segment.ES, Segment.DS, Segment.FS, Segment.GS].forEach((segment, n) => {
          cpu.setSegment(segment, segments[n]!);
        });
        cpu.setI32(L.GDTR_LIMIT, limit);
        cpu.setI32(NMI_BLOCKED, nmi ? 1 : 0);
        m.machine.processor.modeChanged(cpu);
        if (!cold) {
          m.warm(place);
          m.warm(At.GDT);
        }
        if (waiting) m.interrupt(0x41);
      });
      const stepped = (frame.flags & (Flag.TF | Flag.RF)) !== 0;
      if (waiting || nmi || cold || stepped) expect(done, "the helper's case").toBe(false);
      if (done) {
        alone++;
        if (emitted.cpu.cpl === 3) outer++;
      }
    }
    expect(alone / (3 * CASES)).toBeGreaterThan(0.2);
    expect(outer).toBeGreaterThan(CASES / 10);
  });

  test("at CPL 3 the helper returns", () => {
    const helper = counted("iretq");
    const frame = {
      rip: BigInt(At.TARGET),
      cs: Sel.USER_CODE,
      flags: 0x202,
      rsp: 0x1234n,
      ss: Sel.USER_DATA,
    };
    const done = both("IRETQ", helper, (m) => {
      m.prepare(IRETQ, 3);
      putFrame(m, At.USER + 0x800, frame, 0n);
    });
    expect([done, emitted.cpu.rip, emitted.cpu.cpl]).toEqual([false, BigInt(At.TARGET), 3]);
  });

  test("to CPL 1 and 2 the helper returns", () => {
    const helper = counted("iretq");
    for (const level of [1, 2]) {
      const frame = {
        rip: BigInt(At.TARGET),
        cs: Sel.FREE | level,
        flags: 0x202,
        rsp: 0x1234n,
        ss: Sel.FREE2 | level,
      };
      const done = both("IRETQ", helper, (m) => {
        m.prepare(IRETQ, 0);
        putFrame(m, At.STACK, frame, 0n);
        m.ram.setBigUint64(At.GDT + Sel.FREE, 0x00af_9b00_0000_ffffn | (BigInt(level) << 45n), true);
        m.ram.setBigUint64(At.GDT + Sel.FREE2, 0x00cf_9300_0000_ffffn | (BigInt(level) << 45n), true);
        m.warm(At.STACK);
        m.warm(At.GDT);
      });
      expect([done, emitted.cpu.rip, emitted.cpu.cpl]).toEqual([false, BigInt(At.TARGET), level]);
    }
  });

  test("in the shadow of an STI: the run loop looks at an instruction that it covers, and at no other", () => {
    const helper = counted("iretq");
    for (const rip of [At.CODE + 1, At.TARGET]) {
      const frame = { rip: BigInt(rip), cs: Sel.CODE, flags: 0x202, rsp: BigInt(At.STACK), ss: Sel.DATA };
      const done = both("STI, IRETQ", helper, (m) => {
        m.prepare([0xfb, ...IRETQ], 0);
        putFrame(m, At.STACK, frame, 0n);
        m.warm(At.STACK);
        m.warm(At.GDT);
      });
      const covered = rip === At.CODE + 1;
      expect([done, emitted.cpu.i32(L.SHADOW)]).toEqual(covered ? [false, L.Shadow.STI] : [true, 0]);
    }
  });

  test("descriptors are read under SMAP whatever RFLAGS.AC says", () => {
    const helper = counted("iretq");
    const frame = {
      rip: BigInt(At.TARGET),
      cs: Sel.USER_CODE,
      flags: 0x202,
      rsp: 0x1234n,
      ss: Sel.USER_DATA,
    };
    for (const cr4 of [0, Cr4.SMAP]) {
      const done = both("IRETQ", helper, (m) => {
        m.prepare(IRETQ, 0, { cr4 });
        // A copy of the GDT on a page for user mode.
        for (let at = 0; at <= GDT_LIMIT; at++) m.ram.setUint8(At.USER + at, m.ram.getUint8(At.GDT + at));
        m.cpu.setU64(L.GDTR_BASE, BigInt(At.USER));
        m.cpu.rflags = Flag.AC;
        putFrame(m, At.STACK, frame, 0n);
        m.machine.processor.modeChanged(m.cpu);
        m.warm(At.STACK);
        m.warm(At.USER);
      });
      // The #PF of the descriptor's read, whose delivery needs the GDT too: a triple fault.
      expect([done, emitted.cpu.cpl]).toEqual(cr4 === 0 ? [true, 3] : [false, 0]);
    }
  });

  test("sees a descriptor that changed after the last return through it", () => {
    const helper = counted("iretq");
    const frame = {
      rip: BigInt(At.TARGET),
      cs: Sel.USER_CODE,
      flags: 0x202,
      rsp: 0x1234n,
      ss: Sel.USER_DATA,
    };
    for (const present of [true, false]) {
      const done = both("IRETQ", helper, (m) => {
        if (present) m.prepare(IRETQ, 0);
        else {
          // The same mode and TLB as after the first return, back at CPL 0.
          m.cpu.setI32(L.CPL, 0);
          m.cpu.rip = BigInt(At.CODE);
          m.machine.processor.modeChanged(m.cpu);
          m.ram.setUint8(At.GDT + (Sel.USER_CODE & 0xf8) + 5, 0x7b);
        }
        putFrame(m, At.STACK, frame, 0n);
        m.warm(At.STACK);
        m.warm(At.GDT);
      });
      expect([done, emitted.cpu.rip]).toEqual(
        present ? [true, BigInt(At.TARGET)] : [false, BigInt(At.HANDLER)],
      );
    }
  });
});

describe("translation context", () => {
  /** Executes `code` in one machine, calls the helper in the other; RIP and the way there do not count. */
  function against(code: readonly number[], name: string, cases: number, seed: number): void {
    const random = new Random(seed);
    for (let i = 0; i < cases; i++) {
      const controls = controlsOf(random);
      const flags = flagsOf(random, false);
      const cpl = name === "popf" ? random.pick([0, 3] as const) : 0;
      const image = BigInt((random.u32() & ~(Flag.TF | Flag.VIF | Flag.VIP)) >>> 0);
      const shared = random.u64();
      for (const m of [emitted, helped]) {
        m.prepare([...code, 0xeb, 0x00], cpl, controls);
        m.cpu.rflags = flags & ~(Flag.VIF | Flag.VIP);
        m.cpu.setGpr(0, shared);
        m.machine.processor.modeChanged(m.cpu);
        m.ram.setBigUint64(Number(m.cpu.gpr(4)), image, true);
      }
      emitted.run();
      const { cpu, machine } = helped;
      const memory = machine.memory.memory;
      const record = machine.processor.code.lookup(cpu);
      new DataView(memory.buffer).setUint16(record + R_REG_C, 8, true);
      machine.mmu.current = cpu;
      helpers[name]!(machine.processor, cpu, new RecordView(memory).at(record));
      for (const m of [emitted, helped]) m.cpu.rip = 0n;
      expectSame(emitted, helped, `${name} ${i}`);
    }
  }

  test("STAC, CLAC: RFLAGS.AC and the SMAP context are those of the helpers", () => {
    against([0x0f, 0x01, 0xcb], "stac", 200, 4);
    against([0x0f, 0x01, 0xca], "clac", 200, 5);
  });
  test("POPFQ: RFLAGS, the SMAP context and alignment checks are those of the helper", () => {
    against([0x9d], "popf", 1000, 6);
  });
  test("STAC and CLAC above CPL 0 raise #UD", () => {
    for (const code of [0xcb, 0xca]) {
      emitted.prepare([0x0f, 0x01, code], 3);
      emitted.run();
      expect([emitted.cpu.rip, emitted.cpu.cpl]).toEqual([BigInt(At.HANDLER), 0]);
    }
  });
});
