import { expect, test } from "vitest";
import { RecentEntries } from "../../src/cpu/recent-entries.ts";
import { Random } from "../random.ts";

test("finds what was stored last at an address in a mode, or nothing", () => {
  const recent = new RecentEntries();
  const model = new Map<string, number>();
  const random = new Random(5);
  for (let i = 0; i < 3000; i++) {
    // Addresses up to 4 GiB, many of which share a place.
    const physical = random.below(64) * 0x0400_0000 + random.below(64);
    const mode = random.below(3);
    const key = `${physical} ${mode}`;
    const found = recent.find(physical, mode);
    if (found !== 0) expect(found).toBe(model.get(key));
    recent.store(physical, mode, i + 1);
    model.set(key, i + 1);
    expect(recent.find(physical, mode)).toBe(i + 1);
    expect(recent.find(physical, mode + 1)).not.toBe(i + 1);
  }
  recent.clear();
  for (const key of model.keys()) {
    const [physical, mode] = key.split(" ").map(Number);
    expect(recent.find(physical!, mode!)).toBe(0);
  }
});
