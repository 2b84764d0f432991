/** INT n, INT3, INTO, INT1 (SDM vol. 2A, INT n; virtual-8086: vol. 3A 20.3). */
import type { Core } from "../core.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Cr4, Flag } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { clearGeneralDetect } from "./events.ts";
import {
  CONTINUE,
  EVENT,
  type Helper,
  type HelperResult,
  type RecordView,
  type SystemHelpers,
} from "./helper.ts";
import { enterHandler, enterRealMode, type HandlerEntry } from "./interrupt-entry.ts";
import { iopl, is64BitCode, isVirtual8086, nextRip } from "./modes.ts";
import { redirectedToProtectedMode } from "./task-state.ts";

function softwareEntry(cpu: CpuState, record: RecordView, vector: number, privileged: boolean): HandlerEntry {
  return {
    vector,
    errorCode: null,
    software: !privileged,
    ext: privileged ? 1 : 0,
    returnRip: nextRip(cpu, record.length),
    flags: cpu.rflags,
  };
}

function enter(core: Core, cpu: CpuState, entry: HandlerEntry): HelperResult {
  core.observer?.event?.(cpu, "software", entry.vector, 0);
  enterHandler(core, cpu, entry);
  cpu.setI32(L.SHADOW, 0);
  if (entry.vector === Vector.DB) clearGeneralDetect(cpu);
  return EVENT;
}

/** CD ib: INT n. */
const int: Helper = (core, cpu, record) => {
  const vector = record.imm32 & 0xff;
  const entry = softwareEntry(cpu, record, vector, false);
  if (isVirtual8086(cpu)) {
    if (cpu.cr4 & Cr4.VME && !redirectedToProtectedMode(core, cpu, vector)) {
      return enterVirtualHandler(core, cpu, entry);
    }
    // #GP(0) in virtual-8086 mode if IOPL is less than 3.
    if (iopl(cpu) < 3) throw new Fault(Vector.GP, 0);
  }
  return enter(core, cpu, entry);
};

/**
 * Virtual-8086 mode extensions: a clear bit of the redirection map sends INT n to the 8086 program's own
 * table. With IOPL < 3 the saved IF is VIF, and VIF is cleared in place of IF (SDM vol. 3A 20.3.3.4-5).
 */
function enterVirtualHandler(core: Core, cpu: CpuState, entry: HandlerEntry): HelperResult {
  const virtual = iopl(cpu) < 3;
  const vif = (entry.flags & Flag.VIF) !== 0 ? Flag.IF : 0;
  const flags = virtual ? (entry.flags & ~Flag.IF) | vif | Flag.IOPL : entry.flags;
  core.observer?.event?.(cpu, "software", entry.vector, 0);
  enterRealMode(core, cpu, { ...entry, flags }, 0n);
  cpu.rflags = cpu.rflags & ~(virtual ? Flag.VIF : Flag.IF);
  return EVENT;
}

/** CC: INT3, not sensitive to IOPL in virtual-8086 mode. */
const int3: Helper = (core, cpu, record) => enter(core, cpu, softwareEntry(cpu, record, Vector.BP, false));

/** F1: INT1, for hardware vendors: a #DB trap that no gate's DPL keeps away; DR6 does not change. */
const int1: Helper = (core, cpu, record) => enter(core, cpu, softwareEntry(cpu, record, Vector.DB, true));

/** CE: INTO. */
const into: Helper = (core, cpu, record) => {
  // #UD in 64-bit mode.
  if (is64BitCode(cpu)) throw new Fault(Vector.UD);
  if ((cpu.statusFlags & Flag.OF) === 0) return CONTINUE;
  return enter(core, cpu, softwareEntry(cpu, record, Vector.OF, false));
};

export const softwareInterruptInstructions: SystemHelpers = { int, int3, int1, icebp: int1, into };
