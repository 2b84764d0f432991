/** Haswell. */
import { assumed, assumedLike, from } from "./figures.ts";
import type { ModelData } from "./model.ts";
import { skylake } from "./skylake.ts";

const uops = from("uops.info, reciprocal throughput on Haswell");
const llvm = from("LLVM's scheduling model of Haswell (llvm-mca, resources), reciprocal throughput");
const torvalds = from("Torvalds, 2014: #PF about 715, IRET from it 330");
const reviews = from("reviews of Haswell: second-level TLB hit about 12, a walk 20 to 30 more");

export const haswell: ModelData = {
  name: "haswell",
  title: "Intel Haswell, Core i7-4770",
  frequencyHz: 3_400_000_000,
  tlb: {
    data: { entries: 64, ways: 4 },
    instruction: { entries: 128, ways: 4 },
    second: { entries: 1024, ways: 8 },
  },
  values: {
    ...assumedLike(skylake.values, "as on Skylake"),
    alu: llvm(0.25),
    move: llvm(0.25),
    nop: llvm(0.25),
    load: llvm(0.5),
    store: llvm(1),
    update: llvm(1),
    shift: assumed(0.5, "as on Skylake"),
    "bit-test": llvm(0.5),
    multiply: llvm(1),
    "multiply-wide": llvm(1),
    "divide.8": assumed(10, "as on Skylake"),
    loop: llvm(2),
    call: uops(1),
    leave: llvm(0.5),
    "compare-exchange": llvm(1.25),
    string: llvm(1),
    flags: llvm(0.5),
    direction: llvm(1),
    popf: uops(20),
    cli: uops(2),
    sti: uops(4),
    rdtsc: uops(24),
    cpuid: uops(99),
    rdmsr: uops(92),
    wrmsr: uops(137),
    invlpg: uops(208),
    "load-table": uops(120),
    "read-cr": uops(9),
    verw: uops(63),
    "vector-move": llvm(1),
    "vector-integer": llvm(0.5),
    "vector-shuffle": llvm(1),
    "vector-multiply": llvm(1),
    "vector-transfer": llvm(1),
    "float-add": llvm(1),
    "float-multiply": llvm(0.5),
    "float-divide": llvm(7),
    "float-divide-double": assumed(14),
    "float-convert": llvm(1),
    "float-compare": llvm(1),
    "iret.outer": torvalds(330),
    "int.inner": assumed(350),
    "page-fault.inner": torvalds(715),
    "page-fault.same": assumed(600, "as to an inner level, less the change of stack"),
    "tlb.second-level": reviews(12),
    "tlb.walk": reviews(37),
  },
};
