/**
 * Makes a mismatching case smaller while it still mismatches, so that what remains is what matters.
 */
import type { ConformanceCase, Executor } from "./case.ts";
import { compareOutcomes, type Difference } from "./compare.ts";
import { CODE_BASE, DEFAULT_SELECTORS, defaultFxImage } from "./environment.ts";
import { reconsider } from "./generate.ts";

const ROUNDS = 60;

/** Simpler variants of a case, the boldest first. */
function simplifications(c: ConformanceCase): ConformanceCase[] {
  const variants: ConformanceCase[] = [];
  const add = (change: Partial<ConformanceCase>): void => {
    variants.push({ ...c, ...change });
  };
  if (c.fx) add({ fx: null });
  if (c.patches.length > 0) add({ patches: [] });
  if (c.rflags) add({ rflags: 0 });
  if (c.fsBase) add({ fsBase: 0n });
  if (c.gsBase) add({ gsBase: 0n });
  if (c.codeAddress !== CODE_BASE + 256) add({ codeAddress: CODE_BASE + 256 });
  const standard = DEFAULT_SELECTORS[c.mode];
  c.selectors.forEach((selector, i) => {
    if (selector !== standard[i])
      add({ selectors: c.selectors.with(i, standard[i]!) as unknown as ConformanceCase["selectors"] });
  });
  for (let i = 0; i < 16; i++)
    for (const value of [0n, 1n, c.gpr[i]! & 0xffn, c.gpr[i]! & 0xffff_ffffn])
      if (value < c.gpr[i]!) add({ gpr: c.gpr.with(i, value) });
  c.patches.forEach((_, i) => {
    add({ patches: c.patches.filter((_, j) => j !== i) });
  });
  for (let i = 0; i + 1 < c.bytes.length && i < 14; i++)
    add({ bytes: Uint8Array.from(c.bytes.filter((_, j) => j !== i)) });
  for (let bit = 1; bit < 1 << 22; bit <<= 1) if (c.rflags & bit) add({ rflags: c.rflags & ~bit });
  if (c.fx) variants.push(...simplerFx(c, c.fx));
  return variants;
}

function simplerFx(c: ConformanceCase, fx: Uint8Array): ConformanceCase[] {
  const variants: ConformanceCase[] = [];
  const standard = defaultFxImage();
  const ranges: [number, number][] = [
    [0, 2],
    [2, 5],
    [24, 28],
  ];
  for (let at = 32; at < 416; at += 16) ranges.push([at, at + 16]);
  for (const [from, to] of ranges) {
    const plain = fx.slice();
    if (from >= 32) plain.fill(0, from, to);
    else plain.set(standard.subarray(from, to), from);
    if (plain.some((byte, i) => byte !== fx[i])) variants.push({ ...c, fx: plain });
  }
  return variants;
}

/** @returns the smallest case found and how it differs. The given case must mismatch. */
export async function shrink(
  original: ConformanceCase,
  reference: Executor,
  subject: Executor,
): Promise<{ case: ConformanceCase; differences: Difference[] }> {
  let best = original;
  let differences = await mismatches([original], reference, subject).then((all) => all[0]!);
  for (let round = 0; round < ROUNDS; round++) {
    const variants = simplifications(best).flatMap((variant) => {
      const unspecified = reconsider(variant);
      return unspecified ? [{ ...variant, unspecified }] : [];
    });
    const results = await mismatches(variants, reference, subject);
    const found = results.findIndex((d) => d.length > 0);
    if (found < 0) break;
    best = variants[found]!;
    differences = results[found]!;
  }
  return { case: best, differences };
}

async function mismatches(
  cases: ConformanceCase[],
  reference: Executor,
  subject: Executor,
): Promise<Difference[][]> {
  const expected = await reference.run(cases);
  const actual = await subject.run(cases);
  return cases.map((c, i) => compareOutcomes(c, expected[i]!, actual[i]!));
}
