import { describe, expect, it } from "vitest";
import { Processor } from "../../../src/cpu/processor.ts";
import { Machine } from "../../../src/machine/machine.ts";
import { COMPLETED, type ConformanceCase, type Outcome, RFLAGS } from "../../conformance/case.ts";
import { EmulatorExecutor } from "../../conformance/emulator-executor.ts";
import {
  CODE_BASE,
  DATA_BASE,
  DEFAULT_SELECTORS,
  PAGE,
  READ_ONLY_BASE,
  WINDOWS,
  windowContent,
} from "../../conformance/environment.ts";
import { SplitMix } from "../../conformance/random.ts";

const [RAX, RCX, RSI, RDI] = [0, 1, 6, 7];
const CODE = CODE_BASE + 0x100;
const DATA_SIZE = READ_ONLY_BASE - DATA_BASE;
const DATA = windowContent(WINDOWS.find((w) => w.name === "data")!);

interface StringCase {
  readonly bytes: readonly number[];
  readonly rax?: bigint;
  readonly rcx: number;
  readonly rsi?: number;
  readonly rdi: number;
  readonly backward?: boolean;
}

/** Executors whose processor leaves emitted code after at most `budget` units. */
function executor(budget: number): EmulatorExecutor {
  const machine = new Machine({ memory: 16 << 20, cpu: "max" });
  const { processor } = machine;
  processor.execute = (cpu, left) => Processor.prototype.execute.call(processor, cpu, Math.min(left, budget));
  return new EmulatorExecutor("interpreter", machine);
}
const EXECUTORS = [executor(20_000), executor(1), executor(3)];

async function runOn(subject: EmulatorExecutor, s: StringCase): Promise<Outcome> {
  const gpr = new BigUint64Array(16);
  gpr[RAX] = s.rax ?? 0n;
  gpr[RCX] = BigInt(s.rcx);
  gpr[RSI] = BigInt(s.rsi ?? 0);
  gpr[RDI] = BigInt(s.rdi);
  const c: ConformanceCase = {
    row: "test",
    mode: 64,
    bytes: Uint8Array.from(s.bytes),
    codeAddress: CODE,
    end: "breakpoint",
    selectors: DEFAULT_SELECTORS[64],
    gpr,
    rflags: s.backward ? RFLAGS.DF : 0,
    fsBase: 0n,
    gsBase: 0n,
    fx: null,
    patches: [],
    unspecified: { rflags: 0, memory: [], approximate: null },
  };
  return (await subject.run([c]))[0]!;
}

/** The data window after an outcome. */
function contentAfter(outcome: Outcome): Uint8Array {
  const content = DATA.slice();
  for (const { address, bytes } of outcome.changes) content.set(bytes, address - DATA_BASE);
  return content;
}

const REX_W = 0x48;
const WIDTHS = [
  { width: 1, prefix: [], low: 0 },
  { width: 2, prefix: [0x66], low: 1 },
  { width: 4, prefix: [], low: 1 },
  { width: 8, prefix: [REX_W], low: 1 },
] as const;

/** F3, prefixes in their order, opcode. */
function encode(opcode: number, { prefix, low }: (typeof WIDTHS)[number]): number[] {
  const operandSize = prefix.filter((byte) => byte === 0x66);
  const rex = prefix.filter((byte) => byte === REX_W);
  return [...operandSize, 0xf3, ...rex, opcode + low];
}

describe("repeated string instructions", () => {
  it("REP MOVS copies element by element, however source and destination overlap", async () => {
    const random = new SplitMix(11);
    for (let round = 0; round < 400; round++) {
      const form = random.pick([...WIDTHS]);
      const backward = random.oneIn(4);
      const count = random.oneIn(4) ? random.u32() % 600 : random.u32() % 40;
      const bytes = count * form.width;
      const room = DATA_SIZE - bytes - 64;
      const source = 32 + (random.u32() % room);
      // Near the source, before and behind it, often closer than an element.
      const near = source + (random.u32() % 49) - 24;
      const destination = random.oneIn(2)
        ? Math.min(Math.max(near, 0), DATA_SIZE - bytes)
        : 32 + (random.u32() % room);
      const start = backward ? bytes - form.width : 0;
      const step = backward ? -form.width : form.width;
      const expected = DATA.slice();
      for (let i = 0; i < count; i++) {
        const element = expected.slice(source + start + i * step, source + start + i * step + form.width);
        expected.set(element, destination + start + i * step);
      }
      const subject = random.pick(EXECUTORS);
      const outcome = await runOn(subject, {
        bytes: encode(0xa4, form),
        rcx: count,
        rsi: DATA_BASE + source + start,
        rdi: DATA_BASE + destination + start,
        backward,
      });
      expect(outcome.vector).toBe(COMPLETED);
      expect(outcome.gpr[RCX]).toBe(0n);
      expect(outcome.gpr[RSI]).toBe(BigInt(DATA_BASE + source + start + count * step));
      expect(outcome.gpr[RDI]).toBe(BigInt(DATA_BASE + destination + start + count * step));
      expect(Buffer.compare(contentAfter(outcome), expected)).toBe(0);
    }
  });

  it("REP STOS stores every byte of the accumulator", async () => {
    const random = new SplitMix(12);
    for (let round = 0; round < 200; round++) {
      const form = random.pick([...WIDTHS]);
      const count = random.u32() % (random.oneIn(2) ? 30 : 900);
      const bytes = count * form.width;
      const at = random.u32() % (DATA_SIZE - bytes);
      const rax = random.oneIn(3) ? 0n : random.oneIn(2) ? 0x5a5a_5a5a_5a5a_5a5an : 0x0123_4567_89ab_cdefn;
      const expected = DATA.slice();
      for (let i = 0; i < bytes; i++)
        expected[at + i] = Number((rax >> BigInt((i % form.width) * 8)) & 0xffn);
      const outcome = await runOn(random.pick(EXECUTORS), {
        bytes: encode(0xaa, form),
        rax,
        rcx: count,
        rdi: DATA_BASE + at,
      });
      expect(outcome.vector).toBe(COMPLETED);
      expect(outcome.gpr[RDI]).toBe(BigInt(DATA_BASE + at + bytes));
      expect(Buffer.compare(contentAfter(outcome), expected)).toBe(0);
    }
  });

  it("a fault leaves rCX, rSI and rDI at the element that raised it", async () => {
    for (const form of WIDTHS) {
      for (const subject of EXECUTORS) {
        const fitting = 100;
        const rdi = READ_ONLY_BASE - fitting * form.width;
        const rsi = DATA_BASE + 24;
        const outcome = await runOn(subject, { bytes: encode(0xa4, form), rcx: 250, rsi, rdi });
        expect(outcome.vector).toBe(14);
        expect(outcome.cr2).toBe(BigInt(READ_ONLY_BASE));
        expect(outcome.rip).toBe(BigInt(CODE));
        expect(outcome.gpr[RCX]).toBe(BigInt(250 - fitting));
        expect(outcome.gpr[RSI]).toBe(BigInt(rsi + fitting * form.width));
        expect(outcome.gpr[RDI]).toBe(BigInt(READ_ONLY_BASE));
      }
    }
  });

  it("an element across the end of a page is moved whole, with runs before and behind it", async () => {
    const source = 100;
    const destination = PAGE - 3 * 8 - 5;
    const expected = DATA.slice();
    expected.copyWithin(destination, source, source + 20 * 8);
    for (const subject of EXECUTORS) {
      const outcome = await runOn(subject, {
        bytes: [0xf3, REX_W, 0xa5],
        rcx: 20,
        rsi: DATA_BASE + source,
        rdi: DATA_BASE + destination,
      });
      expect(outcome.vector).toBe(COMPLETED);
      expect(Buffer.compare(contentAfter(outcome), expected)).toBe(0);
    }
  });
});
