/**
 * The cold and intricate part of the processor, in plain TypeScript over the state in memory.
 *
 * Reading order: `helper.ts` (the contract with emitted code), `descriptor.ts` and `segmentation.ts`,
 * `interrupt-entry.ts` and `events.ts`, `far-transfer.ts` and `iret.ts`; the rest by name.
 *
 * Helper names are mnemonics in lower case; suffixes tell forms apart: `mov_to_cr`, `in_imm`, `jmp_far`.
 */
import { msrInstructions } from "../msr/index.ts";
import { controlInstructions } from "./control.ts";
import { controlRegisterInstructions } from "./control-registers.ts";
import { counterInstructions } from "./counters.ts";
import { debugRegisterInstructions } from "./debug-registers.ts";
import { farTransferInstructions } from "./far-transfer.ts";
import { flagInstructions } from "./flags.ts";
import { fpuStateInstructions } from "./fpu-state.ts";
import type { SystemHelpers } from "./helper.ts";
import { ioInstructions } from "./io.ts";
import { iretInstructions } from "./iret.ts";
import { segmentInstructions } from "./segment-instructions.ts";
import { softwareInterruptInstructions } from "./software-interrupts.ts";
import { systemCallInstructions } from "./system-calls.ts";
import { tableRegisterInstructions } from "./table-registers.ts";
import { xsaveInstructions } from "./xsave.ts";

export const systemHelpers: SystemHelpers = {
  ...segmentInstructions,
  ...tableRegisterInstructions,
  ...farTransferInstructions,
  ...iretInstructions,
  ...systemCallInstructions,
  ...softwareInterruptInstructions,
  ...flagInstructions,
  ...controlRegisterInstructions,
  ...controlInstructions,
  ...debugRegisterInstructions,
  ...counterInstructions,
  ...ioInstructions,
  ...msrInstructions,
  ...fpuStateInstructions,
  ...xsaveInstructions,
};

export { readMsr, setFirmwareMtrrs, writeMsr } from "../msr/index.ts";
export {
  ACTIVITY,
  Activity,
  activity,
  COLD_END,
  NMI_BLOCKED,
  PENDING_DEBUG,
  wokenByInterrupt,
} from "./cold-state.ts";
export { Dr6 } from "./debug-registers.ts";
export {
  type DeliveryResult,
  deliverDebug,
  deliverEvent,
  deliverFault,
  interruptAllowed,
  nmiAllowed,
  type SystemEvent,
  takePendingDebug,
} from "./events.ts";
export {
  CONTINUE,
  EVENT,
  type Helper,
  type HelperResult,
  JUMP,
  RecordView,
  type SystemHelpers,
} from "./helper.ts";
export { DEFAULT_IDENTITY, hasFeature, type Identity, identityOf, setIdentity } from "./identity.ts";
export { checkedAddress, legacyAddress, legacyLinear } from "./operand.ts";
export { type ResetKind, resetCpu, startProcessor, waitForStartup } from "./reset.ts";
