/**
 * Where QEMU's own interpreter of x86 (`-accel tcg`, seen with 7.2) does not do what the manual says: data, so
 * that a test of this emulator is not bent to it. Section numbers are those of the SDM.
 */

/** Guests that QEMU cannot get through at all. */
export const QEMU_CANNOT_RUN: Readonly<Record<string, string>> = {
  "control-registers-refused-64":
    "QEMU takes MOV to CR0, CR3 and CR4 with refused values and stops making progress (vol. 2B, MOV to CR)",
  "cpuid-gating-refused-64": "as control-registers-refused-64",
  "segment-limits-32": "QEMU checks no segment limits and runs past the end of a code segment (vol. 3A 5.3)",
};

/** What QEMU does, and the names of the checks that show it. */
const GROUPS: readonly (readonly [string, readonly string[]])[] = [
  [
    "MOV to a control register or WRMSR ignores reserved bits (vol. 2B, MOV to CR, WRMSR; vol. 3A 2.5)",
    [
      "MOV to CR0 with bits 32-63 set raises #GP(0)",
      "CR0.NW without CR0.CD raises #GP(0)",
      "MOV to CR8 with bits 4-63 set raises #GP(0)",
      "a reserved bit of IA32_EFER (1) raises #GP(0)",
      "a reserved bit of IA32_EFER (16) raises #GP(0)",
      "changing IA32_EFER.LME with paging on raises #GP(0)",
      "WRMSR of IA32_PAT with a reserved memory type raises #GP(0)",
      "IA32_PAT holds its reset value",
      "PAE: MOV to CR3 with a reserved bit set in a present PDPTE raises #GP(0)",
    ],
  ],
  [
    "RDMSR and WRMSR of unknown registers do not fault (vol. 2, RDMSR, WRMSR)",
    [
      "RDMSR of a register that does not exist raises #GP(0)",
      "and leaves EAX as it was",
      "and leaves EDX as it was",
      "WRMSR of a register that does not exist raises #GP(0)",
    ],
  ],
  [
    "base registers take non-canonical addresses (vol. 2, WRMSR, WRGSBASE)",
    [
      "WRMSR of a non-canonical IA32_LSTAR raises #GP(0)",
      "WRMSR of a non-canonical IA32_GS_BASE raises #GP(0)",
      "WRMSR of a non-canonical IA32_KERNEL_GS_BASE raises #GP(0)",
      "WRGSBASE of a non-canonical address raises #GP(0)",
    ],
  ],
  [
    "a branch to a non-canonical address completes and faults at the target (vol. 2, each instruction)",
    [
      "JMP to a non-canonical address raises #GP(0) at the JMP",
      "CALL to a non-canonical address raises #GP(0) at the CALL",
      "RET to a non-canonical address raises #GP(0) at the RET",
      "JMP to a non-canonical address raises #GP(0)",
      "IRETQ to a non-canonical RIP raises #GP(0)",
      "a call gate to a non-canonical address raises #GP(0)",
      "SYSRET with a non-canonical RCX raises #GP(0)",
      "SYSRET with a non-canonical RCX raises #GP at CPL 0",
      "SYSEXIT to a non-canonical RDX raises #GP(0)",
    ],
  ],
  [
    "non-canonical addresses raise #GP where they go through SS (vol. 1 3.3.7.1)",
    [
      "a non-canonical address through RBP raises #SS(0)",
      "a DS prefix changes nothing in 64-bit mode: RBP still means #SS",
      "PUSH with a non-canonical RSP raises #SS(0)",
      "POP with a non-canonical RSP raises #SS(0)",
      "a non-canonical RSP0 raises #SS with the new SS, null",
    ],
  ],
  [
    "error codes of 64-bit gates hold the vector times 16 and no EXT (vol. 3A 6.13)",
    [
      "INT n at CPL 3 through a 64-bit gate of DPL 0 raises #GP with the vector, IDT bit set",
      "INT3 at CPL 3 through a gate of DPL 0 raises #GP",
      "a gate that is not present raises #NP with the vector, IDT bit set",
      "a call gate in the IDT raises #GP",
      "a task gate in the IDT of IA-32e mode raises #GP",
      "a vector beyond the IDT limit raises #GP with the vector, IDT bit set",
      "a bad gate of an exception raises #GP with EXT set",
      "#NP while delivering #UD, a benign exception, is #NP",
    ],
  ],
  ["INT1 is #UD (vol. 2A, INT n)", ["INT1 raises #DB as a trap", "INT1 does not look at the gate's DPL"]],
  ["LOCK is ignored before MOV (vol. 2A, LOCK)", ["LOCK MOV is #UD", "LOCK before a load is #UD"]],
  [
    "reserved bits in paging-structure entries report P clear (vol. 3A 4.7)",
    [
      "bit 63 is reserved while EFER.NXE is clear",
      "an address bit above MAXPHYADDR is reserved: P, RSVD",
      "RSVD comes with U/S and W/R",
      "bits 13-20 of a 2-MiB entry are reserved",
      "bit 7 of a PML4 entry is reserved",
      "bit 7 of a PML5 entry is reserved",
      "bits 13-29 of a 1-GiB entry are reserved",
      "bit 7 of a PDPTE without 1-GiB pages is reserved: P, RSVD",
      "bit 21 of a 4-MiB entry is reserved: P, RSVD",
      "PAE: bit 63 without IA32_EFER.NXE is reserved: P, RSVD",
      "PAE: an address bit above MAXPHYADDR is reserved: P, RSVD",
    ],
  ],
  [
    "a read-modify-write instruction faults at its read (vol. 3A 4.7)",
    ["a read-modify-write faults as a write"],
  ],
  [
    "PDPTEs of PAE paging are not registers (vol. 3A 4.4.1)",
    ["PAE: a changed PDPTE has no effect before MOV to CR3"],
  ],
  [
    "SMAP does not cover implicit accesses (vol. 3A 4.6.1)",
    ["SMAP: an implicit access to a user page faults whatever AC says"],
  ],
  [
    "segment limits and types are not checked on accesses (vol. 3A 5.3, 5.5)",
    [
      "a segment limit holds in compatibility mode",
      "a write to a read-only segment raises #GP(0)",
      "a write to a code segment raises #GP(0)",
      "an access through a null segment register raises #GP(0)",
      "an offset above FFFFH is beyond the limit: #GP, vector 13",
      "a word at offset FFFFH is beyond the limit: #GP, vector 13",
      "through SS: #SS, vector 12",
      "an offset above FFFFH raises #GP(0)",
      "through SS #SS(0)",
    ],
  ],
  [
    "alignment is not checked (vol. 3A 6.15, interrupt 17)",
    [
      "a misaligned access at CPL 3 with CR0.AM and EFLAGS.AC raises #AC(0)",
      "a word at an odd address with AC set raises #AC(0)",
    ],
  ],
  [
    "checks of descriptors are incomplete (vol. 2, CALL, JMP, LTR; vol. 3A table 8-1)",
    [
      "LTR of a null selector raises #GP(0)",
      "JMP far to a code segment with L and D set raises #GP with the selector",
      "an SS1 that is not present raises #SS with its selector",
      "a segment that is not present in SS of the new TSS raises #SS with the selector",
    ],
  ],
  [
    "task switches know no T flag, and save the old task's EIP for faults in the new one (vol. 3A 8.3, 6.15)",
    [
      "the T flag of a TSS raises #DB before the task's first instruction",
      "with DR6.BT set",
      "the saved EIP is that of the new task's first instruction",
    ],
  ],
  [
    "faults do not set RF in the image they push (vol. 3B 18.3.1.1)",
    ["the frame of a fault holds TF, and RF set"],
  ],
  [
    "debug registers: GD is not implemented, bit 12 of DR6 can be set (vol. 3B 18.2)",
    [
      "DR6: bits 4-11 and 16-31 are always 1, bit 12 is always 0",
      "MOV from a debug register with DR7.GD set raises #DB as a fault",
      "it sets DR6.BD",
      "GD is cleared on entry to the handler",
    ],
  ],
  [
    "MOV SS holds no instruction breakpoint off (vol. 3A 6.8.3)",
    ["an instruction breakpoint behind MOV SS does not hit", "nor does it set DR6"],
  ],
  [
    "data breakpoints: one is reported of two, and neighbours are hit (vol. 3B 18.2.5)",
    ["a 1-byte breakpoint does not hit on its neighbours", "a write over two breakpoints sets both bits"],
  ],
  [
    "I/O breakpoints: before REP OUTS, and without CR4.DE (vol. 3B 18.2.4)",
    [
      "an I/O breakpoint inside REP OUTSB: after its first iteration",
      "two iterations are left",
      "without CR4.DE there are no I/O breakpoints",
      "nothing is set",
    ],
  ],
  [
    "SYSCALL drops the status flags, exists in compatibility mode; SYSRET loads RF and VM (vol. 2B)",
    [
      "SYSCALL clears the flags of IA32_FMASK",
      "SYSCALL in compatibility mode is #UD",
      "whose frame holds the 32-bit CS",
      "SYSRET goes to RCX",
      "SYSRET loads RFLAGS from R11 without RF, VM and the reserved bits",
    ],
  ],
  [
    "EMMS looks at neither CR0.TS nor CR0.EM (vol. 3A table 13-1)",
    ["EMMS with CR0.TS raises #NM", "an MMX instruction with CR0.EM is #UD"],
  ],
  [
    "floating-point errors that are not masked raise nothing, MXCSR has no reserved bits (vol. 1 8.7, 11.5)",
    [
      "the next x87 instruction raises #MF (CR0.NE)",
      "a SIMD division by zero that is not masked raises #XM as a fault",
      "the destination is as it was",
      "without CR4.OSXMMEXCPT it is #UD",
      "LDMXCSR with a reserved bit set raises #GP(0)",
      "FXRSTOR of an MXCSR with a reserved bit raises #GP(0)",
    ],
  ],
];

/** By the name of the check: what QEMU does. */
export const QEMU_DIFFERENCES: Readonly<Record<string, string>> = Object.fromEntries(
  GROUPS.flatMap(([reason, checks]) => checks.map((check) => [check, reason])),
);
