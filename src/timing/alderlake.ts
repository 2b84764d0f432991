/** Alder Lake's performance cores: what uops.info has of them, all else as on Skylake. */
import { assumedLike, from } from "./figures.ts";
import type { ModelData } from "./model.ts";
import { skylake } from "./skylake.ts";

const uops = from("uops.info, reciprocal throughput on Alder Lake P");

export const alderlake: ModelData = {
  name: "alderlake",
  title: "Intel Alder Lake P, Core i9-12900",
  frequencyHz: 2_400_000_000,
  tlb: {
    data: { entries: 96, ways: 6 },
    instruction: { entries: 256, ways: 8 },
    second: { entries: 2048, ways: 16 },
  },
  values: {
    ...assumedLike(skylake.values, "as on Skylake"),
    call: uops(1),
    popf: uops(27),
    cli: uops(2),
    sti: uops(4),
    rdtsc: uops(26),
    cpuid: uops(123),
    rdmsr: uops(51),
    wrmsr: uops(159),
    invlpg: uops(224),
    "load-table": uops(134),
    "read-cr": uops(8),
    verw: uops(78),
  },
};
