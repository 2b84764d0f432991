/** Zen 2: what uops.info has of it, all else as on Zen 4. */
import { assumedLike, from } from "./figures.ts";
import type { ModelData } from "./model.ts";
import { zen4 } from "./zen4.ts";

const uops = from("uops.info, reciprocal throughput on Zen 2");

export const zen2: ModelData = {
  name: "zen2",
  title: "AMD Zen 2, EPYC 7302",
  frequencyHz: 3_000_000_000,
  tlb: {
    data: { entries: 64, ways: 64 },
    instruction: { entries: 64, ways: 64 },
    second: { entries: 2048, ways: 16 },
  },
  values: {
    ...assumedLike(zen4.values, "as on Zen 4"),
    call: uops(1),
    popf: uops(14),
    cli: uops(8),
    sti: uops(47),
    rdtsc: uops(37),
    cpuid: uops(126),
    rdmsr: uops(149),
    wrmsr: uops(234),
    invlpg: uops(126),
    "load-table": uops(85),
    "read-cr": uops(6),
    verw: uops(96),
  },
};
