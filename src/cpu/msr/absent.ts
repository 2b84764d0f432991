/**
 * Registers that kernels try, prepared for #GP(0), and that this processor rightly lacks: refused without a
 * line in the log. Everything else that is not in the table is logged.
 */
export const ABSENT: ReadonlyMap<number, string> = new Map([
  [0x33, "MSR_TEST_CTRL: split-lock detection"],
  [0x34, "MSR_SMI_COUNT: no system-management mode"],
  [0x3a, "IA32_FEATURE_CONTROL: no VMX, no SGX"],
  [0x48, "IA32_SPEC_CTRL: no speculation to control"],
  [0x49, "IA32_PRED_CMD: no branch predictor"],
  [0xcf, "IA32_CORE_CAPABILITIES: not enumerated"],
  [0x10b, "IA32_FLUSH_CMD: not enumerated"],
  [0x122, "IA32_TSX_CTRL: no transactional memory"],
  [0x140, "MSR_MISC_FEATURES_ENABLES: no CPUID faulting, no ring-3 MWAIT"],
  [0x345, "IA32_PERF_CAPABILITIES: no performance counters"],
  [0x606, "MSR_RAPL_POWER_UNIT: no power meter"],
  [0xc001_0015, "HWCR: AMD"],
  [0xc001_001f, "NB_CFG: AMD"],
  [0xc001_1020, "LS_CFG: AMD"],
  [0xc001_1029, "DE_CFG: AMD; saved over suspend on every processor with LFENCE as a barrier"],
]);
