/**
 * The host's arithmetic against the processor: MXCSR as in a running program (PE set and masked) and operands
 * that are mostly ordinary, some at the edges where the host must not be trusted. Counts that the host path is
 * taken, so that a condition that never holds would be seen.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ConformanceCase, RFLAGS } from "../../../conformance/case.ts";
import { compareOutcomes } from "../../../conformance/compare.ts";
import { describeMismatch } from "../../../conformance/describe.ts";
import { defaultFxImage } from "../../../conformance/environment.ts";
import { generateCase } from "../../../conformance/generate.ts";
import { instructionRows } from "../../../conformance/instruction-rows.ts";
import { NativeExecutor, NativeUnavailable } from "../../../conformance/native-executor.ts";
import { SplitMix } from "../../../conformance/random.ts";
import { tableRows } from "../../../conformance/table-rows.ts";
import { HandlerExecutor, ROWS } from "./handler-executor.ts";

const CASES = Number(process.env["SSE_CASES"] ?? 60);
const SEED = Number(process.env["SSE_SEED"] ?? 7);
const ARITHMETIC =
  /^((ADD|SUB|MUL|DIV|SQRT|MIN|MAX|CMP|ROUND)[PS][SD]|U?COMIS[SD]|ADDSUBP[SD]|H(ADD|SUB)P[SD]|CVT.*)$/;

/** All masked, PE set; then with other flags set, with DAZ and FTZ, with nothing but PM masked; PE clear; PE not masked. */
const MXCSR = [0x1fa0, 0x1fa0, 0x1fa0, 0x1fbf, 0x9fe0, 0x1020, 0x3fa0, 0x1f80, 0x1f80, 0x0f80];

let native: NativeExecutor | null = null;
beforeAll(async () => {
  try {
    native = await NativeExecutor.open();
  } catch (error) {
    if (!(error instanceof NativeUnavailable)) throw error;
  }
});
afterAll(async () => {
  await native?.close();
});

instructionRows();

/** A number of the format: near 1, or such that products and quotients come near the format's ends. */
function number(random: SplitMix, size: 4 | 8): bigint {
  const [fraction, bias] = size === 4 ? [23, 127] : [52, 1023];
  const sign = BigInt(random.below(2)) << BigInt(size * 8 - 1);
  if (random.oneIn(12)) return sign;
  const half = Math.floor(bias / 2);
  const center = random.oneIn(6) ? random.pick([1, half, bias + half, 2 * bias]) : bias;
  const exponent = Math.min(Math.max(center + random.below(9) - 4, random.oneIn(8) ? 0 : 1), 2 * bias);
  const digits = random.u64() & ((1n << BigInt(fraction)) - 1n);
  const mantissa = random.oneIn(3)
    ? random.pick([0n, 1n, (1n << BigInt(fraction)) - 1n, 1n << BigInt(fraction - 1)])
    : digits;
  return sign | (BigInt(exponent) << BigInt(fraction)) | mantissa;
}

/** A whole number or eighths: sums and products of them are exact. */
function short(random: SplitMix, size: 4 | 8): bigint {
  const value = (random.below(4096) - 2048) / random.pick([1, 1, 8]);
  const view = new DataView(new ArrayBuffer(8));
  if (size === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return view.getBigUint64(0, true);
}

/** An FXSAVE image; `positive` for square roots, of which nearly every packed one would be invalid else. */
function image(random: SplitMix, positive: boolean): Uint8Array {
  const fx = defaultFxImage();
  const view = new DataView(fx.buffer);
  view.setUint32(24, random.pick(MXCSR), true);
  const size = random.pick([4, 8] as const);
  const integers = random.oneIn(6);
  const value = random.oneIn(3) ? short : number;
  for (let at = 160; at < 416; at += 8) {
    if (integers)
      view.setBigUint64(
        at,
        BigInt.asUintN(64, BigInt.asIntN(random.pick([8, 26, 40, 64]), random.u64())),
        true,
      );
    else if (size === 8) view.setBigUint64(at, value(random, 8), true);
    else view.setBigUint64(at, value(random, 4) | (value(random, 4) << 32n), true);
  }
  if (positive && !random.oneIn(8)) for (let at = 163; at < 416; at += 4) fx[at]! &= 0x7f;
  return fx;
}

describe("SSE arithmetic by the host equals the processor's", () => {
  const rows = tableRows(ROWS.filter((row) => ARITHMETIC.test(row.mnemonic)));
  const mnemonics = [...new Set(rows.map((row) => row.mnemonic))];
  it.each(mnemonics)("%s", async (mnemonic) => {
    if (!native) return;
    const random = new SplitMix(SEED);
    const executor = new HandlerExecutor("interpreter");
    const cases: ConformanceCase[] = [];
    for (const row of rows.filter((r) => r.mnemonic === mnemonic)) {
      for (let i = 0; i < CASES; i++) {
        const c = generateCase({ ...row, modrm: { digit: null, mod: "reg" } }, 64, SEED, i);
        if (c && (c.rflags & RFLAGS.AC) === 0)
          cases.push({ ...c, fx: image(random, mnemonic.startsWith("SQRT")) });
      }
    }
    const expected = await native.run(cases);
    const wrong: string[] = [];
    let byHost = 0;
    cases.forEach((c, i) => {
      const actual = executor.run(c);
      if (!actual) return;
      if (executor.called.length === 0) byHost++;
      const differences = compareOutcomes(c, expected[i]!, actual);
      if (differences.length > 0) wrong.push(describeMismatch(c, differences));
    });
    expect(wrong.length, wrong.slice(0, 3).join("\n")).toBe(0);
    expect(byHost).toBeGreaterThan(cases.length / 20);
  });
});
