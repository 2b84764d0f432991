/** Processor models as data: what CPUID reports, and so what the processor can do. */

/** One level of cache for leaf 4 (sizes in bytes). */
export interface CacheLevel {
  readonly level: number;
  readonly kind: "data" | "instruction" | "unified";
  readonly size: number;
  readonly ways: number;
  readonly line: number;
}

export interface CpuModel {
  readonly name: string;
  readonly vendor: string;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  readonly brand: string;
  readonly features: ReadonlySet<string>;
  /** MAXPHYADDR. */
  readonly physicalBits: number;
  readonly caches: readonly CacheLevel[];
}

/**
 * Every 64-bit processor has these: what a 64-bit kernel and the x86-64 baseline take for granted.
 * `ss` (self snoop) is true: all memory is coherent here.
 */
const BASELINE =
  "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss " +
  "syscall nx lm hypervisor";

/** The instructions that the psABI's x86-64-v2 level adds. */
const LEVEL_2 = "sse3 ssse3 sse4_1 sse4_2 popcnt cx16 lahf_lm";

/**
 * What operating systems use to protect, to time and to save state. `hypervisor` above makes kernels leave
 * alone what no virtual machine has (microcode loading, uncore performance counters, thermal monitors);
 * `arch-capabilities` tells them which side channels are absent.
 */
const PLATFORM =
  "smep smap umip fsgsbase pcid invpcid pdpe1gb tsc-deadline arat tsc_adjust invtsc rdtscp rdpid erms " +
  "xsave xsaveopt xsavec xgetbv1 xsaves rdrand rdseed clflushopt clwb prefetchw arch-capabilities";

/** Left out of x86-64-v2 since the psABI puts them in level 3: programs choose code paths by level. */
const LEVEL_3_INTEGER = "bmi1 bmi2 lzcnt movbe adx";

/**
 * Implemented, but not on unless asked for. LA57 and PKU change how a kernel lays out memory, MONITOR how it
 * idles. x2APIC without interrupt remapping only makes Linux say that it cannot use it.
 */
const OPTIONAL = "x2apic la57 pku monitor fsrm";

const CACHES: readonly CacheLevel[] = [
  { level: 1, kind: "data", size: 32 << 10, ways: 8, line: 64 },
  { level: 1, kind: "instruction", size: 32 << 10, ways: 8, line: 64 },
  { level: 2, kind: "unified", size: 1 << 20, ways: 16, line: 64 },
];

function names(...lists: string[]): ReadonlySet<string> {
  return new Set(lists.join(" ").split(" "));
}

/**
 * Family 6 model 36H is one of the in-order processors that execute nothing speculatively, which is what
 * this processor does: kernels know that, apply no mitigation and expect none of the model-specific
 * registers of later models. 40 physical address bits cover RAM and the PCI windows with room to spare.
 */
const IN_ORDER = { vendor: "GenuineIntel", family: 6, model: 0x36, stepping: 1, physicalBits: 40 } as const;

export const MODELS: readonly CpuModel[] = [
  {
    name: "x86-64-v2",
    ...IN_ORDER,
    brand: "ukl-emu x86-64-v2 processor",
    features: names(BASELINE, LEVEL_2, PLATFORM),
    caches: CACHES,
  },
  {
    /** As QEMU's model of that name: no SMEP and SMAP, so that ring-0 applications may live on user pages. */
    name: "qemu64",
    ...IN_ORDER,
    brand: "ukl-emu qemu64 processor",
    features: names(BASELINE, "sse3 cx16 lahf_lm arat arch-capabilities"),
    caches: CACHES,
  },
  {
    name: "max",
    ...IN_ORDER,
    brand: "ukl-emu max processor",
    features: names(BASELINE, LEVEL_2, PLATFORM, LEVEL_3_INTEGER, OPTIONAL),
    caches: CACHES,
  },
];

export const DEFAULT_MODEL = MODELS[0]!;
