/** Zen 4. No citable figure of its transfers between rings was found. */
import { assumed, assumedLike, from } from "./figures.ts";
import type { ModelData } from "./model.ts";
import { skylake } from "./skylake.ts";

const uops = from("uops.info, reciprocal throughput on Zen 4");
const llvm = from("LLVM's scheduling model of Zen 4 (llvm-mca, resources), reciprocal throughput");

export const zen4: ModelData = {
  name: "zen4",
  title: "AMD Zen 4, EPYC 9124",
  frequencyHz: 3_000_000_000,
  // AMD's software optimisation guide for the Zen 4 microarchitecture: first levels are fully associative.
  tlb: {
    data: { entries: 72, ways: 72 },
    instruction: { entries: 64, ways: 64 },
    second: { entries: 3072, ways: 24 },
  },
  values: {
    ...assumedLike(skylake.values, "as on Skylake"),
    alu: llvm(0.25),
    move: llvm(0.25),
    nop: llvm(0.25),
    load: llvm(0.33),
    store: assumed(0.5, "two stores a cycle"),
    update: llvm(0.67),
    "bit-test": llvm(0.5),
    multiply: llvm(1),
    "multiply-wide": llvm(3),
    "divide.8": llvm(10),
    "divide.16": llvm(11),
    "divide.32": llvm(13),
    "divide.64": llvm(17),
    loop: llvm(0.5),
    call: uops(0.5),
    ret: assumed(0.5, "as CALL"),
    push: assumed(0.5, "two stores a cycle"),
    pop: assumed(0.33, "three loads a cycle"),
    leave: llvm(0.25),
    "compare-exchange": llvm(3),
    flags: llvm(1),
    direction: llvm(0.25),
    popf: uops(13),
    cli: uops(7),
    sti: uops(47),
    rdtsc: uops(35),
    cpuid: uops(146),
    rdmsr: uops(152),
    wrmsr: uops(208),
    invlpg: uops(118),
    invpcid: assumed(118, "as INVLPG"),
    "load-table": uops(70),
    "load-task": assumed(70, "as LGDT"),
    "read-cr": uops(6),
    verw: uops(100),
    "vector-move": llvm(0.17),
    "vector-integer": llvm(0.25),
    "vector-shuffle": llvm(0.5),
    "vector-multiply": llvm(0.5),
    "vector-transfer": llvm(1),
    "float-add": llvm(0.5),
    "float-multiply": llvm(0.5),
    "float-divide": llvm(3),
    "float-divide-double": assumed(5),
    "float-convert": llvm(2.5),
    "float-compare": llvm(1),
  },
};
