/**
 * What the suite leaves out, as data, each with its reason. Everything else that user mode can execute, and
 * everything it cannot (which must fault), is generated.
 */
import { Mnemonic } from "iced-x86";

/**
 * CPUID features (by iced-x86's names) whose instructions belong to the emulated processor and to the host
 * alike. Instructions of any other feature are not generated: the host might have what the model lacks.
 */
export const FEATURES: ReadonlySet<string> = new Set([
  "INTEL8086",
  "INTEL8086_ONLY",
  "INTEL186",
  "INTEL286",
  "INTEL386",
  "INTEL486",
  "X64",
  "PAUSE",
  "FPU",
  "FPU287",
  "FPU387",
  "CMOV",
  "MULTIBYTENOP",
  "PREFETCHW",
  "MMX",
  "SSE",
  "SSE2",
  "SSE3",
  "SSSE3",
  "SSE4_1",
  "SSE4_2",
  "POPCNT",
  "LZCNT",
  "BMI1",
  "BMI2",
  "ADX",
  "MOVBE",
  "CX8",
  "CMPXCHG16B",
  "FXSR",
  "XSAVE",
  "FSGSBASE",
  "CLFSH",
  "CLFLUSHOPT",
  "CLWB",
  "MSR",
  "SMAP",
  "INVPCID",
  "MONITOR",
  "CET_IBT", // a NOP where CET is absent, as here
  "XSAVES", // privileged: #GP(0)
]);

const NONDETERMINISTIC = "the result depends on time, on the machine or on chance";
const LINUX_EMULATES = "CR4.UMIP is set and Linux answers the #GP itself, with invented values";
const ENTERS_KERNEL = "enters the host's kernel";
const HYPERVISOR = "may leave to a hypervisor under the host";
const STATE_DEPENDENT = "what it stores depends on which state components the processor tracks as in use";

export const EXCLUDED: ReadonlyMap<number, string> = new Map<number, string>([
  [Mnemonic.Syscall, ENTERS_KERNEL],
  [Mnemonic.Sysenter, ENTERS_KERNEL],
  [Mnemonic.Sysexit, "#UD in long mode on AMD processors, #GP(0) on Intel's"],
  [Mnemonic.Sysexitq, "#UD in long mode on AMD processors, #GP(0) on Intel's"],
  [Mnemonic.Rdtsc, NONDETERMINISTIC],
  [Mnemonic.Rdtscp, NONDETERMINISTIC],
  [Mnemonic.Rdpmc, NONDETERMINISTIC],
  [Mnemonic.Cpuid, NONDETERMINISTIC],
  [Mnemonic.Rdrand, NONDETERMINISTIC],
  [Mnemonic.Rdseed, NONDETERMINISTIC],
  [Mnemonic.Rdpid, NONDETERMINISTIC],
  [Mnemonic.Xgetbv, "XCR0 holds the host's features"],
  [Mnemonic.Sgdt, LINUX_EMULATES],
  [Mnemonic.Sidt, LINUX_EMULATES],
  [Mnemonic.Sldt, LINUX_EMULATES],
  [Mnemonic.Str, LINUX_EMULATES],
  [Mnemonic.Smsw, LINUX_EMULATES],
  [Mnemonic.Xsaveopt, STATE_DEPENDENT],
  [Mnemonic.Xsaveopt64, STATE_DEPENDENT],
  [Mnemonic.Rsm, HYPERVISOR],
  [Mnemonic.Monitor, HYPERVISOR],
  [Mnemonic.Mwait, HYPERVISOR],
  [Mnemonic.Invd, HYPERVISOR],
  [Mnemonic.Int1, "under KVM the saved RIP is that of INT1 itself, not of what follows it"],
  [Mnemonic.Loadall, "not an instruction of any 64-bit processor"],
]);

/** x87 and SSE operations whose exact result the architecture leaves to the implementation. */
export const APPROXIMATE: ReadonlyMap<number, { readonly unit: "f32" | "f80"; readonly tolerance: number }> =
  new Map([
    // SDM vol. 2, RCPPS: relative error below 1.5 * 2^-12 of the true value, so below twice that of another's.
    [Mnemonic.Rcpps, { unit: "f32", tolerance: 3 * 2 ** -12 }],
    [Mnemonic.Rcpss, { unit: "f32", tolerance: 3 * 2 ** -12 }],
    [Mnemonic.Rsqrtps, { unit: "f32", tolerance: 3 * 2 ** -12 }],
    [Mnemonic.Rsqrtss, { unit: "f32", tolerance: 3 * 2 ** -12 }],
    // SDM vol. 1, 8.3.10: below 1 ulp when rounding to nearest, in all modes below 1.5 ulp.
    [Mnemonic.Fsin, { unit: "f80", tolerance: 2 }],
    [Mnemonic.Fcos, { unit: "f80", tolerance: 2 }],
    [Mnemonic.Fsincos, { unit: "f80", tolerance: 2 }],
    [Mnemonic.Fptan, { unit: "f80", tolerance: 2 }],
    [Mnemonic.Fpatan, { unit: "f80", tolerance: 2 }],
    [Mnemonic.F2xm1, { unit: "f80", tolerance: 2 }],
    [Mnemonic.Fyl2x, { unit: "f80", tolerance: 2 }],
    [Mnemonic.Fyl2xp1, { unit: "f80", tolerance: 2 }],
  ]);

/** Instructions that make several memory accesses, in an order that differs between processors. */
export const SEVERAL_ACCESSES: ReadonlySet<Mnemonic> = new Set([
  Mnemonic.Cmpsb,
  Mnemonic.Cmpsw,
  Mnemonic.Cmpsd,
  Mnemonic.Cmpsq,
  Mnemonic.Movsb,
  Mnemonic.Movsw,
  Mnemonic.Movsd,
  Mnemonic.Movsq,
  Mnemonic.Iret,
  Mnemonic.Iretd,
  Mnemonic.Iretq,
  Mnemonic.Retf,
  Mnemonic.Call,
  Mnemonic.Jmp,
  Mnemonic.Enter,
  Mnemonic.Pusha,
  Mnemonic.Pushad,
  Mnemonic.Popa,
  Mnemonic.Popad,
  Mnemonic.Push,
  Mnemonic.Pop,
  Mnemonic.Bound,
  Mnemonic.Lds,
  Mnemonic.Les,
  Mnemonic.Lss,
  Mnemonic.Lfs,
  Mnemonic.Lgs,
  Mnemonic.Fldenv,
  Mnemonic.Fnstenv,
  Mnemonic.Frstor,
  Mnemonic.Fnsave,
  Mnemonic.Fxsave,
  Mnemonic.Fxsave64,
  Mnemonic.Fxrstor,
  Mnemonic.Fxrstor64,
  Mnemonic.Xsave,
  Mnemonic.Xsave64,
  Mnemonic.Xrstor,
  Mnemonic.Xrstor64,
  Mnemonic.Maskmovdqu,
]);
