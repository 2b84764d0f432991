/** SSE arithmetic, conversions and comparisons against the processor this runs on, bit for bit. */

import { describe, expect, it } from "vitest";
import * as soft from "../../../src/cpu/softfloat/index.ts";
import { binary32, sseEnvironment } from "../../../src/cpu/softfloat/index.ts";
import { type Family, families, MASK, makeCases } from "./families.ts";
import { Oracle, type SseCase, type SseResult } from "./oracle.ts";
import { CASES, Random, randomPartner, randomValue } from "./values.ts";

const oracle = Oracle.build();
if (typeof oracle === "string") console.warn(`SSE soft-float tests skipped: ${oracle}`);

function mismatches(family: Family, list: readonly SseCase[], results: readonly SseResult[]): string[] {
  const wrong: string[] = [];
  list.forEach((c, i) => {
    const env = sseEnvironment(c.mxcsr);
    const value = family.run(c.xmm0, family.integerSource ? (c.rax ?? 0n) : c.xmm1, env);
    const actual = results[i];
    const trapped = soft.unmasked(env);
    const flags = actual.mxcsr & 63;
    const seen = family.observe(actual);
    if (env.flags === flags && trapped === actual.trapped && (trapped || value === seen)) return;
    wrong.push(
      `${family.name} mxcsr=${c.mxcsr.toString(16)} a=${c.xmm0.toString(16)} b=${c.xmm1.toString(16)} ` +
        `rax=${c.rax?.toString(16)}: got ${value.toString(16)} flags ${env.flags} trap ${trapped}, ` +
        `processor ${seen.toString(16)} flags ${flags} trap ${actual.trapped}`,
    );
  });
  return wrong;
}

describe.skipIf(typeof oracle === "string")("SSE scalar operations equal the processor's", () => {
  const all = families();
  const groups = new Map<string, Family[]>();
  for (const family of all) {
    const group = family.name.split(" ")[0].replace(/^(CMP|VCMP|ROUND|CVT|CVTT|UCOMI|COMI)(SS|SD)$/, "$1");
    groups.set(group, [...(groups.get(group) ?? []), family]);
  }
  for (const [group, members] of groups) {
    it(group, { timeout: 600_000 }, () => {
      const random = new Random(0x5eed);
      const wrong: string[] = [];
      for (const family of members) {
        const list = makeCases(family, Math.ceil(CASES / members.length), random);
        wrong.push(...mismatches(family, list, (oracle as Oracle).sse(list)));
      }
      expect(wrong.length, wrong.slice(0, 12).join("\n")).toBe(0);
    });
  }

  it("an unmasked exception before the computation in one element hides later ones of all", () => {
    const random = new Random(77);
    const list: SseCase[] = [];
    for (let i = 0; i < CASES; i++) {
      let xmm0 = 0n;
      let xmm1 = 0n;
      for (let lane = 0; lane < 4; lane++) {
        const a = randomValue(binary32, random);
        xmm0 = (xmm0 << 32n) | a;
        xmm1 = (xmm1 << 32n) | randomPartner(binary32, a, random);
      }
      const mxcsr = (random.below(4) << 13) | (((random.u32() | random.u32()) & 63) << 7);
      list.push({ code: [0x0f, 0x5e, 0xc1], mxcsr, xmm0, xmm1 }); // DIVPS
    }
    const wrong: string[] = [];
    (oracle as Oracle).sse(list).forEach((actual, i) => {
      const { mxcsr, xmm0, xmm1 } = list[i];
      const flags: number[] = [];
      let value = 0n;
      for (let lane = 0n; lane < 128n; lane += 32n) {
        const env = sseEnvironment(mxcsr);
        const part = (x: bigint) => (x >> lane) & MASK["binary32"];
        value |= soft.divide(binary32, part(xmm0), part(xmm1), env) << lane;
        flags.push(env.flags);
      }
      const all = soft.packedFlags(flags, (mxcsr >> 7) & 63);
      const seen = (actual.high << 64n) | actual.low;
      if (all !== (actual.mxcsr & 63) || (!actual.trapped && seen !== value)) {
        wrong.push(`${mxcsr.toString(16)} ${flags}: ${all}, processor ${actual.mxcsr & 63}`);
      }
    });
    expect(wrong.length, wrong.slice(0, 12).join("\n")).toBe(0);
  });
});
