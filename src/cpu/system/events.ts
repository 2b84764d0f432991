/**
 * Delivery of exceptions and interrupts: what happens to an event until its handler's first instruction,
 * double and triple faults included (SDM vol. 3A chapter 6). How a handler is entered is in `interrupt-entry.ts`.
 */
import type { Core } from "../core.ts";
import type { Charge } from "../cost.ts";
import { Fault, pushesErrorCode, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Flag } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { ACTIVITY, Activity, NMI_BLOCKED, PENDING_DEBUG } from "./cold-state.ts";
import { enterHandler } from "./interrupt-entry.ts";
import { isProtected } from "./modes.ts";

/** What is delivered. `cpu.rip` is where the interrupted program goes on: for a fault, at its instruction. */
export type SystemEvent =
  /** An exception that restarts its instruction (or, for #DF and #MC, an abort). */
  | { readonly kind: "fault"; readonly vector: number; readonly error: number }
  /** An exception reported after its instruction: #DB of a single step or a data breakpoint. */
  | { readonly kind: "trap"; readonly vector: number }
  /** A maskable interrupt. `repeating`: between two iterations of a string instruction. */
  | { readonly kind: "interrupt"; readonly vector: number; readonly repeating?: boolean }
  | { readonly kind: "nmi"; readonly repeating?: boolean };

/** `shutdown`: a triple fault; the processor waits for NMI, INIT or RESET. */
export type DeliveryResult = "delivered" | "shutdown";

const CONTRIBUTORY = new Set<number>([Vector.DE, Vector.TS, Vector.NP, Vector.SS, Vector.GP, Vector.CP]);

type ExceptionClass = "benign" | "contributory" | "page fault";

function classOf(vector: number): ExceptionClass {
  if (vector === Vector.PF) return "page fault";
  return CONTRIBUTORY.has(vector) ? "contributory" : "benign";
}

/**
 * SDM vol. 3A table 6-5: what a second exception during the delivery of a first one makes. Interrupts,
 * NMIs and software interrupts are benign whatever their vector.
 */
export function combine(first: SystemEvent, second: number): "serial" | "double fault" | "shutdown" {
  if (first.kind === "interrupt" || first.kind === "nmi") return "serial";
  const later = classOf(second);
  if (later === "benign") return "serial";
  if (first.vector === Vector.DF) return "shutdown";
  const earlier = classOf(first.vector);
  if (earlier === "contributory" && later === "contributory") return "double fault";
  if (earlier === "page fault") return "double fault";
  return "serial";
}

function vectorOf(event: SystemEvent): number {
  return event.kind === "nmi" ? Vector.NMI : event.vector;
}

/**
 * The RFLAGS image that is saved: RF is set so that a restarted instruction does not meet its instruction
 * breakpoint again: for faults, but not for #DB itself, and for interrupts between the iterations of a
 * string instruction (SDM vol. 3B 18.3.1.1).
 */
function savedFlags(cpu: CpuState, event: SystemEvent): number {
  const flags = cpu.rflags;
  if (event.kind === "fault") return event.vector === Vector.DB ? flags : flags | Flag.RF;
  return event.kind !== "trap" && event.repeating ? flags | Flag.RF : flags;
}

/**
 * Delivers an event, and whatever exceptions its delivery meets. Afterwards `cpu.rip` is the handler's first
 * instruction, and the state that the event interrupted is on its stack. `EXT` is set in the error code of
 * exceptions met on the way, since no instruction of the program caused them.
 */
export function deliverEvent(core: Core, cpu: CpuState, event: SystemEvent): DeliveryResult {
  let current = event;
  for (;;) {
    const vector = vectorOf(current);
    const error = current.kind === "fault" ? current.error : 0;
    const withError = current.kind === "fault" && isProtected(cpu) && pushesErrorCode(vector);
    core.observer?.event?.(cpu, current.kind === "trap" ? "fault" : current.kind, vector, error);
    const level = cpu.cpl;
    try {
      enterHandler(core, cpu, {
        vector,
        errorCode: withError ? error : null,
        software: false,
        ext: 1,
        returnRip: cpu.rip,
        flags: savedFlags(cpu, current),
      });
    } catch (second) {
      if (!(second instanceof Fault)) throw second;
      const outcome = combine(current, second.vector);
      if (outcome === "shutdown") {
        cpu.setI32(ACTIVITY, Activity.SHUTDOWN);
        return "shutdown";
      }
      // The delivery that failed has read its gate and segment before the push faulted: it has its price too.
      core.charges?.charge(deliveryCost(current, false));
      // A #PF met on the way has set CR2 already; #DF keeps it, so that its handler can restart the program.
      current =
        outcome === "serial"
          ? { kind: "fault", vector: second.vector, error: second.error }
          : { kind: "fault", vector: Vector.DF, error: 0 };
      continue;
    }
    entered(cpu, current);
    core.charges?.charge(deliveryCost(current, cpu.cpl !== level));
    return "delivered";
  }
}

/** What one delivery costs; a double fault is two, the one that failed and its own. */
function deliveryCost(event: SystemEvent, inner: boolean): Charge {
  if (event.kind === "interrupt" || event.kind === "nmi") return inner ? "interrupt.inner" : "interrupt.same";
  if (event.vector === Vector.PF) return inner ? "page-fault.inner" : "page-fault.same";
  return inner ? "exception.inner" : "exception.same";
}

/** State that every delivery leaves behind. */
function entered(cpu: CpuState, event: SystemEvent): void {
  cpu.setI32(L.SHADOW, 0);
  cpu.setI32(ACTIVITY, Activity.RUNNING);
  // NMIs stay blocked until the next IRET (SDM vol. 3A 6.7.1).
  if (event.kind === "nmi") cpu.setI32(NMI_BLOCKED, 1);
  if (vectorOf(event) === Vector.DB) clearGeneralDetect(cpu);
}

/** DR7.GD is cleared on entry to the debug handler, so that it can use the debug registers. */
export function clearGeneralDetect(cpu: CpuState): void {
  const DR7_GD = 1 << 13;
  const dr7 = L.DR + 7 * 8;
  cpu.setI32(dr7, cpu.i32(dr7) & ~DR7_GD);
}

/** Delivers what a helper threw or emitted code reported. */
export function deliverFault(core: Core, cpu: CpuState, vector: number, error: number): DeliveryResult {
  return deliverEvent(core, cpu, { kind: "fault", vector, error });
}

/** Whether an NMI may be delivered now. */
export function nmiAllowed(cpu: CpuState): boolean {
  return cpu.i32(NMI_BLOCKED) === 0 && cpu.i32(L.SHADOW) === 0;
}

/** Whether a maskable interrupt may be delivered now: IF set, no shadow of STI or MOV SS. */
export function interruptAllowed(cpu: CpuState): boolean {
  return (cpu.i32(L.FLAGS_SYSTEM) & Flag.IF) !== 0 && cpu.i32(L.SHADOW) === 0;
}

/** Reports `bits` of DR6 in a #DB: as a fault for instruction breakpoints and general detect, else as a trap. */
export function deliverDebug(
  core: Core,
  cpu: CpuState,
  bits: number,
  kind: "fault" | "trap",
): DeliveryResult {
  recordDebug(cpu, bits);
  return deliverEvent(
    core,
    cpu,
    kind === "trap" ? { kind, vector: Vector.DB } : { kind, vector: Vector.DB, error: 0 },
  );
}

/** Sets bits of DR6; B0-B3 are those of this exception, the others accumulate (SDM vol. 3B 18.2.3). */
export function recordDebug(cpu: CpuState, bits: number): void {
  const dr6 = L.DR + 6 * 8;
  cpu.setI32(dr6, (cpu.i32(dr6) & ~0xf) | bits);
}

/** Takes the debug traps that an instruction has left behind, as DR6 bits; 0 for none. */
export function takePendingDebug(cpu: CpuState): number {
  const bits = cpu.i32(PENDING_DEBUG);
  if (bits !== 0) cpu.setI32(PENDING_DEBUG, 0);
  return bits;
}
