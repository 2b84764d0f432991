/** What translations cost: the model of a processor's TLBs. */
import { beforeEach, expect, test } from "vitest";
import type { PageWalker } from "../../src/mmu/page-walk.ts";
import type { ProcessorTranslation } from "../../src/mmu/processor-translation.ts";
import { TranslationCosts } from "../../src/mmu/translation-costs.ts";

const PAGE = 0x1000;
/** Sets of the first level: pages so far apart share one. */
const SETS = 4;

let charged: string[];
let costs: TranslationCosts;
const tlb = { generation: 1, exhaustions: 0 };
const context = { tlb } as unknown as ProcessorTranslation;

beforeEach(() => {
  charged = [];
  tlb.generation = 1;
  tlb.exhaustions = 0;
  const first = { entries: 2 * SETS, ways: 2 };
  costs = new TranslationCosts(
    { data: first, instruction: first, second: { entries: 64, ways: 8 } },
    (cost) => charged.push(cost),
  );
});

/** Looks a page up; @returns what that cost. */
function look(address: number, { global = false, pageShift = 12, fetch = false, hi = 0 } = {}): string {
  charged = [];
  costs.translated(context, { global, pageShift } as unknown as PageWalker, address | 0, hi, fetch);
  return charged.join();
}

test("a page is walked for once", () => {
  expect(look(0x1000)).toBe("tlb.walk");
  expect(look(0x1fff)).toBe("");
  expect(look(0x2000)).toBe("tlb.walk");
});

test("addresses that differ in their upper halves are different pages", () => {
  look(0x1000);
  expect(look(0x1000, { hi: -1 })).toBe("tlb.walk");
  expect(look(0x1000)).toBe("");
});

test("a large page is one entry", () => {
  expect(look(0x20_0000, { pageShift: 21 })).toBe("tlb.walk");
  expect(look(0x3f_f000, { pageShift: 21 })).toBe("");
});

test("the least recently used way of a set is found in the second level", () => {
  look(0);
  look(SETS * PAGE);
  look(0);
  look(2 * SETS * PAGE);
  expect(look(0)).toBe("");
  expect(look(SETS * PAGE)).toBe("tlb.second-level");
});

test("the second level has both data and instructions", () => {
  look(0x1000);
  expect(look(0x1000, { fetch: true })).toBe("tlb.second-level");
  expect(look(0x1000, { fetch: true })).toBe("");
});

test("another address space walks again, but for global pages; coming back finds what it left", () => {
  look(0x1000);
  look(0x2000, { global: true });
  tlb.generation = 2;
  costs.flushed(context, "address space", 0, 0);
  expect(look(0x1000)).toBe("tlb.walk");
  expect(look(0x2000, { global: true })).toBe("");
  tlb.generation = 1;
  expect(look(0x1000)).toBe("");
});

test("a flush of all drops global pages too", () => {
  look(0x2000, { global: true });
  costs.flushed(context, "all", 0, 0);
  expect(look(0x2000, { global: true })).toBe("tlb.walk");
});

test("INVLPG drops the page, a large one by any address in it", () => {
  look(0x1000);
  look(0x2000);
  look(0x20_0000, { pageShift: 21 });
  costs.flushed(context, "page", 0x1234, 0);
  costs.flushed(context, "page", 0x21_0000, 0);
  expect(look(0x1000)).toBe("tlb.walk");
  expect(look(0x2000)).toBe("");
  expect(look(0x20_0000, { pageShift: 21 })).toBe("tlb.walk");
});

test("when the numbers of generations come again, nothing is known", () => {
  look(0x1000);
  tlb.exhaustions = 1;
  expect(look(0x1000)).toBe("tlb.walk");
});
