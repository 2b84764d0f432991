/** RCPSS and RSQRTSS: the error bound everywhere; the very digits where the host is the processor described. */

import { describe, expect, it } from "vitest";
import { reciprocal, reciprocalSquareRoot } from "../../../src/cpu/softfloat/index.ts";
import { cpuInfo, Oracle, type SseCase } from "./oracle.ts";

const view = new DataView(new ArrayBuffer(4));
const toFloat = (bits: number): number => {
  view.setUint32(0, bits);
  return view.getFloat32(0);
};

/** Every table entry at both ends, in a few binades, with both signs; zeros, denormals, infinities, NaNs. */
function operands(): number[] {
  const list = [0, 1, 0x400000, 0x7fffff, 0x7f800000, 0x7f800001, 0x7fc00123, 0x7fffffff];
  for (const biased of [1, 2, 64, 126, 127, 128, 129, 200, 251, 252, 253, 254]) {
    for (let entry = 0; entry < 4096; entry++) {
      const bits = (biased << 23) | (entry << 11);
      list.push(bits, bits | 0x7ff);
    }
  }
  return [...list, ...list.map((x) => (x | 0x80000000) >>> 0)];
}

const RCP = [0xf3, 0x0f, 0x53, 0xc1];
const RSQRT = [0xf3, 0x0f, 0x52, 0xc1];

/** Zen 4 is AMD family 25 with AVX-512; its predecessors of that family lack it. */
function isZen4(): boolean {
  const info = cpuInfo();
  return /AuthenticAMD/.test(info) && /cpu family\s*: 25\b/.test(info) && /\bavx512f\b/.test(info);
}

describe("RCPSS and RSQRTSS", () => {
  it("stay within a relative error of 1.5 * 2^-12", () => {
    const bound = 1.5 * 2 ** -12;
    let worst = 0;
    for (const bits of operands()) {
      const x = toFloat(bits);
      const biased = (bits >>> 23) & 255;
      if (biased === 0 || biased >= 253) continue;
      worst = Math.max(worst, Math.abs(toFloat(reciprocal(bits)) * x - 1));
      if (x > 0) worst = Math.max(worst, Math.abs(toFloat(reciprocalSquareRoot(bits)) * Math.sqrt(x) - 1));
    }
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(bound);
  });

  const oracle = isZen4() ? Oracle.build() : "host processor is no Zen 4";
  if (typeof oracle === "string") console.warn(`approximation digits not compared: ${oracle}`);
  it.skipIf(typeof oracle === "string")("equal the processor's, whatever MXCSR says", () => {
    const wrong: string[] = [];
    for (const [code, function_] of [
      [RCP, reciprocal],
      [RSQRT, reciprocalSquareRoot],
    ] as const) {
      const list = operands().map((x, i): SseCase => {
        const mxcsr = i & 1 ? 0x1f80 : 0xffc0 & ~0x1f80;
        return { code, mxcsr, xmm0: 0n, xmm1: BigInt(x) };
      });
      (oracle as Oracle).sse(list).forEach((actual, i) => {
        const value = function_(Number(list[i].xmm1));
        if (BigInt(value) !== actual.low || actual.trapped || actual.mxcsr & 63) {
          wrong.push(
            `${list[i].xmm1.toString(16)}: ${value.toString(16)}, processor ${actual.low.toString(16)}`,
          );
        }
      });
    }
    expect(wrong.length, wrong.slice(0, 10).join("\n")).toBe(0);
  });
});
