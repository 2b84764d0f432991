/** The modelled TLB: sets, levels, PCIDs, and what invalidates what (SDM vol. 3A 4.10). */
import { expect, test } from "vitest";
import { type Mapping, TlbModel } from "../../src/measure/tlb-model.ts";

const PAGE = 4096;
const small = (): Mapping => ({ shift: 12, global: false });
const global = (): Mapping => ({ shift: 12, global: true });
const large = (): Mapping => ({ shift: 21, global: false });

/** 4 entries in 2 sets of 2 ways; a second level of 16 in 4 sets of 4. */
function model(): TlbModel {
  const first = { entries: 4, ways: 2 };
  return new TlbModel({ data: first, instruction: first, second: { entries: 16, ways: 4 } });
}

test("the first access walks, the next one hits", () => {
  const tlb = model();
  expect(tlb.access("data", 0, 0, small)).toBe(2);
  expect(tlb.access("data", 8, 0, small)).toBe(0);
});

test("a set holds as many pages as it has ways; the least recently used goes to the second level", () => {
  const tlb = model();
  // Even pages share a set.
  for (const page of [0, 2]) tlb.access("data", page * PAGE, 0, small);
  tlb.access("data", 0, 0, small);
  tlb.access("data", 4 * PAGE, 0, small);
  expect(tlb.access("data", 0, 0, small)).toBe(0);
  expect(tlb.access("data", 2 * PAGE, 0, small)).toBe(1);
  expect(tlb.access("data", PAGE, 0, small)).toBe(2);
});

test("instructions and data have first levels of their own and share the second", () => {
  const tlb = model();
  tlb.access("data", 0, 0, small);
  expect(tlb.access("instruction", 0, 0, small)).toBe(1);
});

test("a large page is one entry", () => {
  const tlb = model();
  tlb.access("data", 0, 0, large);
  expect(tlb.access("data", 511 * PAGE, 0, large)).toBe(0);
  expect(tlb.access("data", 512 * PAGE, 0, large)).toBe(2);
});

test("a PCID's translations are not another's, global ones are everybody's", () => {
  const tlb = model();
  tlb.access("data", 0, 1, small);
  tlb.access("data", PAGE, 1, global);
  expect(tlb.access("data", 0, 2, small)).toBe(2);
  expect(tlb.access("data", PAGE, 2, global)).toBe(0);
});

test("MOV to CR3 drops one PCID's translations but for global ones", () => {
  const tlb = model();
  tlb.access("data", 0, 1, small);
  tlb.access("data", PAGE, 1, global);
  tlb.access("data", 2 * PAGE, 2, small);
  tlb.flushPcid(1);
  expect(tlb.access("data", PAGE, 1, global)).toBe(0);
  expect(tlb.access("data", 2 * PAGE, 2, small)).toBe(0);
  expect(tlb.access("data", 0, 1, small)).toBe(2);
});

test("INVLPG drops the page of this PCID, and a global one", () => {
  const tlb = model();
  tlb.access("data", 0, 1, small);
  tlb.access("data", 0, 2, small);
  tlb.flushPage(8, 1);
  expect(tlb.access("data", 0, 2, small)).toBe(0);
  expect(tlb.access("data", 0, 1, small)).toBe(2);
});

test("an address that nothing maps fills nothing", () => {
  const tlb = model();
  expect(tlb.access("data", 0, 0, () => null)).toBe(2);
  expect(tlb.access("data", 0, 0, () => null)).toBe(2);
});
