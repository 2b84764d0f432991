/** The native runner against outcomes worked out by hand from the manuals. */
import { afterAll, describe, expect, test } from "vitest";
import { buildCase, STACK_TOP } from "./build-case.ts";
import { COMPLETED, type ConformanceCase, type Outcome, RFLAGS } from "./case.ts";
import {
  CODE_BASE,
  DATA_BASE,
  DEFAULT_SELECTORS,
  defaultFxImage,
  GUARD_BASE,
  HIGH_BASE,
  PAGE,
  READ_ONLY_BASE,
  SELECTOR,
} from "./environment.ts";
import { NativeExecutor, NativeUnavailable } from "./native-executor.ts";

let unavailable = "";
const native = await NativeExecutor.open().catch((error: unknown) => {
  if (!(error instanceof NativeUnavailable)) throw error;
  unavailable = error.message;
  return null;
});
if (unavailable) console.warn(unavailable);
afterAll(() => native?.close());

async function run(c: ConformanceCase): Promise<Outcome> {
  const [outcome] = await native!.run([c]);
  return outcome!;
}

const STATUS = RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.OF;
const START = BigInt(CODE_BASE + 0x100);
const patch64 = (address: number, value: bigint) => ({
  address,
  bytes: new Uint8Array(BigUint64Array.of(value).buffer),
});
const segments = (mode: 16 | 32 | 64, index: number, selector: number) =>
  DEFAULT_SELECTORS[mode].with(index, selector) as unknown as ConformanceCase["selectors"];

describe.skipIf(native === null)("the native runner", () => {
  test("ADD sets the flags of the sum and RIP after the instruction", async () => {
    const o = await run(buildCase(64, "01 c8", { rax: 0x7fff_ffffn, rcx: 1n }));
    expect(o.vector).toBe(COMPLETED);
    expect(o.gpr[0]).toBe(0x8000_0000n);
    expect(o.rip).toBe(START + 2n);
    expect(o.rflags & STATUS).toBe(RFLAGS.OF | RFLAGS.SF | RFLAGS.AF | RFLAGS.PF);
    expect(o.changes).toEqual([]);
    expect(o.fx).toBeNull();
  });

  test("the single-step trap gives the same state as the breakpoint, and TF besides", async () => {
    const o = await run(buildCase(64, "01 c8", { rax: 0x7fff_ffffn, rcx: 1n }, { end: "trap" }));
    expect(o.vector).toBe(COMPLETED);
    expect(o.rip).toBe(START + 2n);
    expect(o.rflags & RFLAGS.TF).toBe(RFLAGS.TF);
  });

  test("SHL masks its count to 5 bits", async () => {
    const o = await run(buildCase(32, "d3 e0", { rax: 3n, rcx: 0x21n }));
    expect(o.gpr[0]).toBe(6n);
  });

  test("PUSH writes below RSP and leaves the rest of memory alone", async () => {
    const o = await run(buildCase(64, "50", { rax: 0x1122_3344_5566_7788n }));
    expect(o.gpr[4]).toBe(BigInt(STACK_TOP - 8));
    expect(o.changes).toEqual([patch64(STACK_TOP - 8, 0x1122_3344_5566_7788n)]);
  });

  test("the next case finds memory as it was", async () => {
    const read = buildCase(64, "48 8b 04 24", {}, { patches: [] });
    const [before] = await native!.run([read]);
    const [, after] = await native!.run([buildCase(64, "50", { rax: 5n, rsp: BigInt(STACK_TOP + 8) }), read]);
    expect(after!.gpr[0]).toBe(before!.gpr[0]);
  });

  test.each([
    ["a write to an unmapped page", "a3", GUARD_BASE + 8, 6],
    ["a read of an unmapped page", "a1", GUARD_BASE + 8, 4],
    ["a write to a read-only page", "a3", READ_ONLY_BASE + 16, 7],
  ])("%s raises #PF with its error code and address", async (_, opcode, address, errorCode) => {
    const bytes = `48 ${opcode} ${Buffer.from(BigUint64Array.of(BigInt(address)).buffer).toString("hex")}`;
    const o = await run(buildCase(64, bytes));
    expect(o).toMatchObject({ vector: 14, errorCode, cr2: BigInt(address), rip: START });
    expect(o.rflags & RFLAGS.RF).toBe(RFLAGS.RF);
  });

  test("a store that crosses into a read-only page changes neither page", async () => {
    const o = await run(
      buildCase(64, "48 89 01", { rcx: BigInt(READ_ONLY_BASE - 4), rax: -1n & 0xffff_ffff_ffff_ffffn }),
    );
    expect(o).toMatchObject({ vector: 14, errorCode: 7, cr2: BigInt(READ_ONLY_BASE), changes: [] });
  });

  test("a jump to an unmapped page ends with the #PF of the fetch", async () => {
    const o = await run(buildCase(64, "ff e0", { rax: BigInt(GUARD_BASE) }));
    expect(o).toMatchObject({
      vector: 14,
      errorCode: 0x14,
      cr2: BigInt(GUARD_BASE),
      rip: BigInt(GUARD_BASE),
    });
  });

  test("an instruction that runs off the end of the code window faults in the page after it", async () => {
    const codeAddress = CODE_BASE + 2 * PAGE - 1;
    const o = await run(buildCase(64, "01 c8", {}, { codeAddress, end: "trap" }));
    expect(o).toMatchObject({
      vector: 14,
      errorCode: 0x14,
      cr2: BigInt(CODE_BASE + 2 * PAGE),
      rip: BigInt(codeAddress),
    });
  });

  test("a non-canonical address raises #GP(0), with RSP or RBP as base #SS(0)", async () => {
    const wild = 0x8000_0000_0000n;
    expect(await run(buildCase(64, "48 8b 01", { rcx: wild }))).toMatchObject({
      vector: 13,
      errorCode: 0,
      rip: START,
    });
    expect(await run(buildCase(64, "48 8b 45 00", { rbp: wild }))).toMatchObject({
      vector: 12,
      errorCode: 0,
    });
    expect(await run(buildCase(64, "50", { rsp: wild + 8n }))).toMatchObject({ vector: 12, errorCode: 0 });
  });

  test("a page fault where Linux hides its page tables reads as not present", async () => {
    const high = await run(buildCase(64, "48 8b 01", { rcx: 0xffff_8000_0000_1000n }));
    expect(high).toMatchObject({ vector: 14, errorCode: 4, cr2: 0xffff_8000_0000_1000n });
    const last = await run(buildCase(64, "50", { rsp: 0x8000_0000_0000n }));
    expect(last).toMatchObject({ vector: 14, errorCode: 6, cr2: 0x7fff_ffff_fff8n });
  });

  test("DIV by zero raises #DE at the instruction", async () => {
    expect(await run(buildCase(64, "f7 f1", { rax: 1n }))).toMatchObject({ vector: 0, rip: START });
  });

  test("a privileged instruction raises #GP(0), an undefined one #UD", async () => {
    expect(await run(buildCase(64, "f4"))).toMatchObject({ vector: 13, errorCode: 0 });
    expect(await run(buildCase(64, "0f 0b"))).toMatchObject({ vector: 6 });
    expect(await run(buildCase(64, "06"))).toMatchObject({ vector: 6 });
  });

  test("more than 15 bytes raise #GP(0)", async () => {
    expect(await run(buildCase(64, `${"2e".repeat(14)} 01 c8`))).toMatchObject({ vector: 13, errorCode: 0 });
  });

  test("a case's own INT3 is #BP; INT n beyond its gates is #GP of the vector", async () => {
    expect(await run(buildCase(64, "cc"))).toMatchObject({ vector: 3, rip: START + 1n });
    expect(await run(buildCase(64, "cd 03"))).toMatchObject({ vector: 3, rip: START + 2n });
    expect(await run(buildCase(64, "cd 20"))).toMatchObject({
      vector: 13,
      errorCode: 0x20 * 8 + 2,
      rip: START,
    });
  });

  test("a taken branch reports its target", async () => {
    expect(await run(buildCase(64, "74 40", {}, { rflags: RFLAGS.ZF }))).toMatchObject({
      vector: COMPLETED,
      rip: START + 0x42n,
    });
    expect(await run(buildCase(64, "eb fe", {}, { end: "trap" }))).toMatchObject({
      vector: COMPLETED,
      rip: START,
    });
  });

  test("REP MOVSB runs to its end under the breakpoint and one iteration under TF", async () => {
    const registers = { rcx: 4n, rsi: BigInt(READ_ONLY_BASE), rdi: BigInt(DATA_BASE) };
    const all = await run(buildCase(64, "f3 a4", registers));
    expect([all.vector, all.gpr[1], all.gpr[7], all.rip]).toEqual([
      COMPLETED,
      0n,
      BigInt(DATA_BASE + 4),
      START + 2n,
    ]);
    const one = await run(buildCase(64, "f3 a4", registers, { end: "trap" }));
    expect([one.vector, one.gpr[1], one.gpr[7], one.rip]).toEqual([
      COMPLETED,
      3n,
      BigInt(DATA_BASE + 1),
      START,
    ]);
  });

  test("64-bit mode: FS.base, GS.base, R8-R15, the high window, flags that rt_sigreturn cannot set", async () => {
    const fs = await run(
      buildCase(
        64,
        "64 48 8b 00",
        { rax: 8n },
        { fsBase: BigInt(HIGH_BASE), patches: [patch64(HIGH_BASE + 8, 42n)] },
      ),
    );
    expect([fs.gpr[0], fs.fsBase]).toEqual([42n, BigInt(HIGH_BASE)]);
    const gs = await run(buildCase(64, "f3 0f ae d9", { rcx: 0x1234n }));
    expect(gs.gsBase).toBe(0x1234n);
    const r9 = await run(buildCase(64, "49 89 c1", { rax: 7n }));
    expect(r9.gpr[9]).toBe(7n);
    const pushed = await run(
      buildCase(64, "9c", {}, { rflags: RFLAGS.NT | RFLAGS.ID | RFLAGS.AC | RFLAGS.DF }),
    );
    expect(new DataView(pushed.changes[0]!.bytes.buffer).getUint32(0, true)).toBe(
      2 | RFLAGS.IF | RFLAGS.NT | RFLAGS.ID | RFLAGS.AC | RFLAGS.DF,
    );
  });

  test("compatibility mode: one-byte INC, 32-bit stack, BOUND, INTO, null and limited segments", async () => {
    expect((await run(buildCase(32, "40", { rax: 0xffn }))).gpr[0]).toBe(0x100n);
    expect((await run(buildCase(32, "50"))).gpr[4]).toBe(BigInt(STACK_TOP - 4));
    const bounds = { patches: [patch64(DATA_BASE, 0x0000_0008_0000_0004n)] };
    expect(await run(buildCase(32, "62 01", { rax: 9n, rcx: BigInt(DATA_BASE) }, bounds))).toMatchObject({
      vector: 5,
    });
    expect(await run(buildCase(32, "ce", {}, { rflags: RFLAGS.OF }))).toMatchObject({
      vector: 4,
      rip: START + 1n,
    });
    const read = (ds: number, ecx: bigint) =>
      run(buildCase(32, "8b 01", { rcx: ecx }, { selectors: segments(32, 3, ds) }));
    expect(await read(0, BigInt(DATA_BASE))).toMatchObject({ vector: 13, errorCode: 0 });
    expect(await read(SELECTOR.dataLimit, 0x17fcn)).toMatchObject({ vector: COMPLETED });
    expect(await read(SELECTOR.dataLimit, 0x17fdn)).toMatchObject({ vector: 13, errorCode: 0 });
    expect(await read(SELECTOR.dataExpandDown, 0x7ffn)).toMatchObject({ vector: 13, errorCode: 0 });
    expect(await read(SELECTOR.dataExpandDown, 0x800n)).toMatchObject({ vector: COMPLETED });
  });

  test("loading a segment that is not present raises #NP with the selector, a kernel one #GP", async () => {
    const load = (selector: number) => run(buildCase(32, "8e d8", { rax: BigInt(selector) }));
    expect(await load(SELECTOR.dataNotPresent)).toMatchObject({
      vector: 11,
      errorCode: SELECTOR.dataNotPresent & ~3,
    });
    expect(await load(0x18)).toMatchObject({ vector: 13, errorCode: 0x18 });
    expect((await load(SELECTOR.data16)).selectors[3]).toBe(SELECTOR.data16);
  });

  test("16-bit mode: default sizes, SP wraps within 64 KB, limits hold", async () => {
    expect((await run(buildCase(16, "40", { rax: 0x1_ffffn }))).gpr[0]).toBe(0x1_0000n);
    const pushed = await run(buildCase(16, "50", { rax: 0xabcdn }));
    expect(pushed.gpr[4]! & 0xffffn).toBe(BigInt(STACK_TOP - DATA_BASE - 2));
    expect(pushed.rip).toBe(0x101n);
    expect(await run(buildCase(16, "a1 ff ff"))).toMatchObject({ vector: 13, errorCode: 0 });
    expect(
      await run(
        buildCase(
          16,
          "8b 07",
          { rbx: 0x10n },
          { patches: [{ address: DATA_BASE + 16, bytes: Uint8Array.of(1, 2) }] },
        ),
      ),
    ).toMatchObject({
      vector: COMPLETED,
      rip: 0x102n,
    });
  });

  test("MOV SS holds off the single-step trap for one instruction", async () => {
    const o = await run(buildCase(32, "8e d0", { rax: BigInt(SELECTOR.userData) }, { end: "trap" }));
    // What ends the case is then the INT3 behind it.
    expect(o).toMatchObject({ vector: COMPLETED, rip: START + 2n });
  });

  test("SSE and x87 state arrive and come back; #XM and #MF carry no other change", async () => {
    const fx = defaultFxImage();
    const view = new DataView(fx.buffer);
    for (let lane = 0; lane < 4; lane++) {
      view.setFloat32(160 + lane * 4, lane + 1, true);
      view.setFloat32(176 + lane * 4, 0.5, true);
    }
    const sum = await run(buildCase(64, "0f 58 c1", {}, { fx }));
    const after = new DataView(sum.fx!.buffer);
    expect([0, 1, 2, 3].map((lane) => after.getFloat32(160 + lane * 4, true))).toEqual([1.5, 2.5, 3.5, 4.5]);

    const one = await run(buildCase(64, "d9 e8", {}, { fx }));
    const x87 = new DataView(one.fx!.buffer);
    expect([
      x87.getUint16(2, true) >> 11,
      x87.getUint8(4),
      x87.getBigUint64(32, true),
      x87.getUint16(40, true),
    ]).toEqual([7, 0x80, 1n << 63n, 0x3fff]);

    view.setFloat32(176, 0, true);
    view.setUint32(24, 0x1f80 & ~0x200, true); // divide-by-zero unmasked
    const divided = await run(buildCase(64, "0f 5e c1", {}, { fx }));
    expect(divided.vector).toBe(19);
    expect(new DataView(divided.fx!.buffer).getUint32(24, true) & 0x3f).toBe(4);

    view.setUint16(0, 0x037f & ~4, true);
    view.setUint16(2, 0x8084, true); // ZE pending, ES, B
    expect(await run(buildCase(64, "d9 e8", {}, { fx }))).toMatchObject({ vector: 16, rip: START, fx: null });
  });

  test("RFLAGS.AC raises #AC on a misaligned access", async () => {
    const o = await run(buildCase(64, "8b 01", { rcx: BigInt(DATA_BASE + 1) }, { rflags: RFLAGS.AC }));
    expect(o).toMatchObject({ vector: 17, errorCode: 0 });
  });

  test("a batch keeps the order of its cases", async () => {
    const cases = Array.from({ length: 5000 }, (_, i) =>
      buildCase(64, "48 01 c8", { rax: BigInt(i), rcx: 1n }),
    );
    const outcomes = await native!.run(cases);
    expect(outcomes.map((o) => Number(o.gpr[0]))).toEqual(cases.map((_, i) => i + 1));
  });

  test("a case that never ends is given up", async () => {
    const [hung, next] = await native!.run([buildCase(64, "eb fe"), buildCase(64, "90")]);
    expect([hung!.vector, next!.vector]).toEqual([0xfe, COMPLETED]);
  });
});
