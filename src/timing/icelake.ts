/** Ice Lake: what uops.info has of it, all else as on Skylake. */
import { assumedLike, from } from "./figures.ts";
import type { ModelData } from "./model.ts";
import { skylake } from "./skylake.ts";

const uops = from("uops.info, reciprocal throughput on Ice Lake");

export const icelake: ModelData = {
  name: "icelake",
  title: "Intel Ice Lake, Xeon Gold 6338",
  frequencyHz: 2_000_000_000,
  tlb: {
    data: { entries: 64, ways: 4 },
    instruction: { entries: 128, ways: 8 },
    second: { entries: 2048, ways: 16 },
  },
  values: {
    ...assumedLike(skylake.values, "as on Skylake"),
    call: uops(1),
    popf: uops(25),
    cli: uops(2),
    sti: uops(4),
    rdtsc: uops(27),
    cpuid: uops(105),
    rdmsr: uops(91),
    wrmsr: uops(140),
    invlpg: uops(216),
    "load-table": uops(131),
    "read-cr": uops(8),
    verw: uops(71),
  },
};
