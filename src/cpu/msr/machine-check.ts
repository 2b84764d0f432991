/** Machine-check registers (SDM vol. 3B 16.3): banks that never report an error. */
import { MC_BANKS, MSR_MC_CTL, MSR_MCG_CTL, MSR_MCG_STATUS } from "../system/cold-state.ts";
import { constant, gp, type MsrRow, stored } from "./types.ts";

const ALL = (1n << 64n) - 1n;
/** IA32_MCG_CAP: number of banks, and MCG_CTL_P. */
const MCG_CAPABILITIES = BigInt(MC_BANKS) | (1n << 8n);
/** IA32_MCG_STATUS: RIPV, EIPV, MCIP. */
const MCG_STATUS_BITS = 7n;

const Bank = { CTL: 0, STATUS: 1, ADDR: 2, MISC: 3 } as const;

const banks: MsrRow = {
  index: 0x400,
  count: MC_BANKS * 4,
  name: "IA32_MC",
  feature: "mca",
  read: (_core, cpu, index) => {
    const register = index & 3;
    // No error is ever logged: status, address and miscellany read as zero.
    return register === Bank.CTL ? cpu.u64(MSR_MC_CTL + ((index - 0x400) >> 2) * 8) : 0n;
  },
  write: (_core, cpu, value, index) => {
    if ((index & 3) === Bank.CTL) {
      cpu.setU64(MSR_MC_CTL + ((index - 0x400) >> 2) * 8, value);
      return;
    }
    // Software may clear a log, but not make one: #GP(0) for other values.
    if (value !== 0n) throw gp();
  },
};

export const machineCheckRows: readonly MsrRow[] = [
  constant(0x179, "IA32_MCG_CAP", MCG_CAPABILITIES, "mca"),
  stored(
    0x17a,
    "IA32_MCG_STATUS",
    MSR_MCG_STATUS,
    (_core, _cpu, value) => (value & ~MCG_STATUS_BITS) === 0n,
    "mca",
  ),
  // All ones or all zeros: #GP(0) for anything else.
  stored(0x17b, "IA32_MCG_CTL", MSR_MCG_CTL, (_core, _cpu, value) => value === 0n || value === ALL, "mca"),
  banks,
];
