/** The figures that a timing model consists of: what each stands for. Their values are in a file per model. */
import type { Charge } from "../cpu/cost.ts";

/** Reciprocal throughput, in cycles, of instructions that follow one another. */
export const INSTRUCTION_FIGURES = {
  alu: "ADD SUB AND OR XOR CMP TEST INC DEC NEG NOT LEA, sign extension",
  move: "MOV between registers and of immediates, MOVZX, MOVSX",
  nop: "NOP, prefetches",
  load: "anything that reads one memory operand",
  store: "MOV to memory",
  update: "anything that reads, changes and writes a memory operand",
  carry: "ADC, SBB, ADCX, ADOX",
  shift: "shifts and rotates by 1 or an immediate, BSWAP",
  "shift-cl": "shifts and rotates by CL",
  "rotate-carry": "RCL, RCR",
  "shift-double": "SHLD, SHRD",
  "bit-test": "BT, BTS, BTR, BTC",
  "bit-scan": "BSF, BSR, TZCNT, LZCNT, POPCNT, CRC32, PDEP, PEXT",
  conditional: "CMOVcc, SETcc",
  multiply: "IMUL with two or three operands, MULX",
  "multiply-wide": "MUL, IMUL with one operand",
  "divide.8": "DIV, IDIV, 8 bits",
  "divide.16": "DIV, IDIV, 16 bits",
  "divide.32": "DIV, IDIV, 32 bits",
  "divide.64": "DIV, IDIV, 64 bits",
  branch: "Jcc, JMP to a direct target, predicted",
  "branch-indirect": "JMP through a register or memory, predicted",
  loop: "LOOPcc, JrCXZ",
  call: "CALL within the segment",
  ret: "RET within the segment",
  push: "PUSH",
  pop: "POP",
  leave: "LEAVE",
  "stack-frame": "ENTER, PUSHA, POPA",
  exchange: "XCHG of registers",
  "compare-exchange": "CMPXCHG, XADD, CMPXCHG8B, CMPXCHG16B without LOCK",
  locked: "anything with LOCK, XCHG with memory",
  string: "MOVS STOS LODS SCAS CMPS without a repeat prefix",
  flags: "CLC STC CMC LAHF SAHF",
  direction: "CLD, STD",
  pushf: "PUSHF",
  popf: "POPF",
  cli: "CLI",
  sti: "STI",
  mfence: "MFENCE",
  lfence: "LFENCE",
  sfence: "SFENCE",
  "cache-line": "CLFLUSH, CLFLUSHOPT, CLWB",
  wbinvd: "WBINVD, INVD",
  rdtsc: "RDTSC",
  counter: "RDTSCP, RDPMC, RDPID",
  cpuid: "CPUID",
  rdmsr: "RDMSR",
  wrmsr: "WRMSR",
  random: "RDRAND, RDSEED",
  invlpg: "INVLPG",
  invpcid: "INVPCID",
  "load-table": "LGDT, LIDT",
  "load-task": "LLDT, LTR",
  "store-table": "SGDT SIDT SLDT STR SMSW",
  "read-cr": "MOV from a control register",
  "write-cr": "MOV to a control register but CR3, LMSW, CLTS, XSETBV",
  "debug-register": "MOV to and from a debug register",
  swapgs: "SWAPGS",
  "segment-base": "RDFSBASE RDGSBASE WRFSBASE WRGSBASE",
  "access-flag": "STAC, CLAC",
  verw: "VERW",
  "segment-check": "VERR, LAR, LSL, ARPL",
  "load-segment": "MOV and POP to a segment register, LDS and its relatives",
  halt: "HLT, MONITOR, MWAIT up to where the processor waits",
  port: "IN, OUT, INS, OUTS, without the device's time",
  syscall: "SYSCALL",
  sysret: "SYSRET",
  sysenter: "SYSENTER",
  sysexit: "SYSEXIT",
  state: "FXSAVE, FXRSTOR, XSAVE, XRSTOR and their relatives",
  "state-control": "LDMXCSR STMXCSR XGETBV RDPKRU WRPKRU EMMS",
  legacy: "decimal adjustment, BOUND, XLAT, SALC",
  undefined: "UD0, UD1, UD2, RSM",
  "vector-move": "moves between XMM registers",
  "vector-integer": "logic, integer addition, comparison and shift of vectors",
  "vector-shuffle": "shuffles, packs, blends",
  "vector-multiply": "integer multiplication of vectors",
  "vector-transfer": "between XMM and general registers",
  "vector-horizontal": "horizontal sums, MPSADBW, PHMINPOSUW",
  "vector-string": "PCMPESTRx, PCMPISTRx",
  "float-add": "ADDxx SUBxx MINxx MAXxx CMPxx",
  "float-multiply": "MULxx",
  "float-divide": "DIVxx, SQRTxx, single precision",
  "float-divide-double": "DIVxx, SQRTxx, double precision",
  "float-convert": "CVTxx, ROUNDxx",
  "float-compare": "COMISx, UCOMISx, RCPxx, RSQRTxx",
  "float-dot": "DPPS, DPPD",
  "x87-move": "FLD FST FXCH FCHS FABS and constants",
  "x87-add": "FADD, FSUB, FCOM and their relatives",
  "x87-multiply": "FMUL",
  "x87-divide": "FDIV, FSQRT",
  "x87-transcendental": "FSIN and its relatives, FPREM, FBLD, FBSTP",
  "x87-control": "FLDCW FSTSW FSAVE FWAIT and the like",
} as const;

export type InstructionFigure = keyof typeof INSTRUCTION_FIGURES;

/** Charged where they happen; those of memory accesses, walks and pushes of a transfer are in its figure. */
export const CHARGE_FIGURES: Readonly<Record<Charge, string>> = {
  "int.same": "INT n, INT3, INTO without a change of CPL",
  "int.inner": "INT n, INT3, INTO to an inner level",
  "iret.same": "IRET without a change of CPL",
  "iret.outer": "IRET to an outer level",
  "far-call.same": "far CALL and JMP without a change of CPL",
  "far-call.inner": "far CALL through a call gate to an inner level",
  "far-return.same": "RETF without a change of CPL",
  "far-return.outer": "RETF to an outer level",
  "exception.same": "delivery of an exception without a change of CPL",
  "exception.inner": "delivery of an exception to an inner level",
  "page-fault.same": "delivery of #PF without a change of CPL",
  "page-fault.inner": "delivery of #PF to an inner level",
  "interrupt.same": "delivery of an interrupt or NMI without a change of CPL",
  "interrupt.inner": "delivery of an interrupt or NMI to an inner level",
  "cr3.flush": "MOV to CR3, without the walks that follow",
  "cr3.keep": "MOV to CR3 with bit 63, which keeps the PCID's translations",
  "tlb.second-level": "translation found in the second-level TLB",
  "tlb.walk": "page walk",
  "rep.overhead": "REP: once for each instruction",
  "rep.movs.byte": "REP MOVS: each byte",
  "rep.stos.byte": "REP STOS: each byte",
  "rep.lods": "REP LODS: each element",
  "rep.scas": "REP SCAS: each element",
  "rep.cmps": "REP CMPS: each element",
};

export type FigureName = InstructionFigure | Charge;

export const FIGURE_NAMES = [
  ...Object.keys(INSTRUCTION_FIGURES),
  ...Object.keys(CHARGE_FIGURES),
] as readonly FigureName[];

export function describeFigure(name: FigureName): string {
  return name in CHARGE_FIGURES
    ? CHARGE_FIGURES[name as Charge]
    : INSTRUCTION_FIGURES[name as InstructionFigure];
}

/** Begins the source of a figure that nobody has published; what it was guessed from may follow. */
export const ASSUMED = "assumed";

/** A value in cycles and where it is from. */
export interface Value {
  readonly value: number;
  readonly source: string;
}

export type Values = Readonly<Record<FigureName, Value>>;

export function from(source: string): (value: number) => Value {
  return (value) => ({ value, source });
}

export function assumed(value: number, because = ""): Value {
  return { value, source: because === "" ? ASSUMED : `${ASSUMED}: ${because}` };
}

/** The figures of another model, as a guess for this one. */
export function assumedLike(values: Values, because: string): Values {
  const entries = Object.entries(values).map(([name, { value }]) => [name, assumed(value, because)] as const);
  return Object.fromEntries(entries) as unknown as Values;
}
