/** What others have measured, to be shown beside: each with its source. */

export interface PublishedFigure {
  readonly what: string;
  readonly value: string;
  readonly source: string;
}

const BLITZ =
  "Blitz, kernel_entry_benchmark and x86.lol, Skylake Xeon E3-1270 v5 (plots of 2019-07-04): an empty handler";
const KML = "Maeda, Kernel Mode Linux, Linux Journal 6516, table 2";
const UNIKRAFT = "Unikraft, EuroSys'21 artifacts, at 3.6 GHz";
const UKL = "UKL, EuroSys'23, Linux 5.14 on a 2.2 GHz Xeon, clock_gettime around each call included";

/** A round trip from ring 3 by each mechanism, in cycles: the acceptance test of a model of Skylake. */
export const PUBLISHED_MECHANISMS: Readonly<Record<string, number>> = {
  "INT/IRET": 614,
  "call gate/RETF": 456,
  "SYSCALL/SYSRET": 76,
  "SYSENTER/SYSEXIT": 73,
};
/** What one and two CR3 writes add to a system call: it takes 83, 175 and 245 cycles with 0, 1 and 2. */
export const PUBLISHED_CR3_PLUS: readonly number[] = [0, 92, 162];
export const PUBLISHED_MECHANISMS_SOURCE = BLITZ;
/** The model that they can be compared with. */
export const PUBLISHED_MECHANISMS_MODEL = "skylake";

/** System call : function call. */
export const PUBLISHED_RATIOS: readonly PublishedFigure[] = [
  { what: "getpid, Linux by SYSENTER : Kernel Mode Linux", value: "432 : 12 cycles, 36 times", source: KML },
  {
    what: "no-op: Linux with and without mitigations : binary-rewritten unikernel : function call",
    value: "222 : 154 : 84 : 4 cycles",
    source: UNIKRAFT,
  },
];

/** Nanoseconds by call, one byte of payload, in the modes that UKL's authors measured. */
export const PUBLISHED_UKL: readonly {
  readonly call: string;
  readonly linux: number;
  readonly ukl: number;
  readonly bypass: number;
}[] = [
  { call: "getppid", linux: 342.62, ukl: 325.26, bypass: 56.55 },
  { call: "read", linux: 614.54, ukl: 599.84, bypass: 311.65 },
  { call: "write", linux: 660.16, ukl: 647.49, bypass: 391.02 },
  { call: "send", linux: 739.17, ukl: 706.1, bypass: 462.83 },
  { call: "recv", linux: 649.55, ukl: 621.5, bypass: 408.97 },
];
export const PUBLISHED_UKL_SOURCE = UKL;

/** A server, in the mode that its authors call best, beside the same one on Linux. */
export const PUBLISHED_SERVER: PublishedFigure = {
  what: "requests per second of Redis with UKL's optimizations, beside Linux",
  value: "+26 %",
  source: "UKL, EuroSys'23, abstract",
};
