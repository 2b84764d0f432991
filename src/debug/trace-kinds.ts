/** What can be traced. Apart from `trace.ts`, so that naming a kind loads no tracing code. */
export const TRACE_KINDS = ["int", "mmu", "io", "insn"] as const;
export type TraceKind = (typeof TRACE_KINDS)[number];
