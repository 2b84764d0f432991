/** What happens between instructions: the delivery of faults, debug exceptions, interrupts, NMI, INIT and SIPI. */
import type { Core } from "./core.ts";
import { FAULT_ERROR, FAULT_VECTOR, FLAGS_SYSTEM, PENDING, SHADOW, SHADOW_RIP, Shadow } from "./layout.ts";
import { EVENT } from "./outside.ts";
import type { RecordPlaces } from "./record-place.ts";
import { Flag } from "./registers.ts";
import { type Slice, Stop } from "./slice.ts";
import type { CpuState } from "./state.ts";
import {
  ACTIVITY,
  Activity,
  activity,
  NMI_BLOCKED,
  PENDING_DEBUG,
  wokenByInterrupt,
} from "./system/cold-state.ts";
import { type DeliveryResult, deliverDebug, deliverEvent, deliverFault } from "./system/events.ts";
import { monitoredLineChanged } from "./system/monitored-line.ts";
import { resetCpu, startProcessor, waitForStartup } from "./system/reset.ts";

/** The interrupt shadow in force at RIP. STI's covers one instruction, known by its RIP. */
export function interruptShadow(cpu: CpuState): number {
  const shadow = cpu.i32(SHADOW);
  if (shadow === 0) return 0;
  if (shadow === Shadow.STI && cpu.u64(SHADOW_RIP) !== cpu.rip) {
    cpu.setI32(SHADOW, 0);
    return 0;
  }
  return shadow;
}

/** A processor that waits for a start-up IPI keeps an NMI for later. */
function acceptsNmi(cpu: CpuState): boolean {
  return cpu.i32(NMI_BLOCKED) === 0 && activity(cpu) !== Activity.WAIT_FOR_SIPI;
}

/** Methods that deliver return `Stop`. */
export class PendingEvents {
  readonly #core: Core;
  readonly #slice: Slice;
  readonly #places: RecordPlaces;

  constructor(core: Core, slice: Slice, places: RecordPlaces) {
    this.#core = core;
    this.#slice = slice;
    this.#places = places;
  }

  /** Delivers what is pending, in the order of SDM vol. 3A table 6-2. */
  service(cpu: CpuState): number {
    const core = this.#core;
    const pendingDebug = cpu.i32(PENDING_DEBUG);
    const shadow = interruptShadow(cpu);
    if (pendingDebug !== 0 && !(shadow & Shadow.MOV_SS)) {
      cpu.setI32(PENDING_DEBUG, 0);
      const stop = this.debugException(cpu, pendingDebug, "trap");
      if (stop !== Stop.NONE) return stop;
    }
    const events = core.port.pendingEvents(cpu.index);
    cpu.setI32(PENDING, events);
    const state = activity(cpu);
    if (state === Activity.SHUTDOWN) return Stop.SHUTDOWN;
    if (events & (EVENT.INIT | EVENT.SIPI)) this.#startOrReset(cpu, events);
    if (events & EVENT.NMI && acceptsNmi(cpu) && shadow === 0) {
      core.port.acknowledgeNmi(cpu.index);
      cpu.setI32(ACTIVITY, Activity.RUNNING);
      const repeating = this.#places.repeating(cpu);
      return this.#delivered(deliverEvent(core, cpu, { kind: "nmi", repeating }));
    }
    const flags = cpu.i32(FLAGS_SYSTEM);
    if (events & EVENT.INTR) {
      if (state !== Activity.RUNNING && wokenByInterrupt(cpu, flags)) cpu.setI32(ACTIVITY, Activity.RUNNING);
      if (flags & Flag.IF && shadow === 0) {
        const vector = core.port.acknowledgeInterrupt(cpu.index);
        const repeating = this.#places.repeating(cpu);
        return this.#delivered(deliverEvent(core, cpu, { kind: "interrupt", vector, repeating }));
      }
    }
    return activity(cpu) === Activity.RUNNING ? Stop.NONE : Stop.IDLE;
  }

  /**
   * Whether the processor, given a turn, has something to execute or to tell: it runs, or what is pending ends its
   * wait. Ends an MWAIT whose line another processor has changed.
   */
  awake(cpu: CpuState): boolean {
    const state = activity(cpu);
    if (state === Activity.RUNNING || state === Activity.SHUTDOWN) return true;
    const events = this.#core.port.pendingEvents(cpu.index);
    if (events & (EVENT.INIT | EVENT.SIPI)) return true;
    if (events & EVENT.NMI && acceptsNmi(cpu)) return true;
    if (state === Activity.WAIT_FOR_SIPI) return false;
    if (events & EVENT.INTR && wokenByInterrupt(cpu, cpu.i32(FLAGS_SYSTEM))) return true;
    if (state !== Activity.MWAIT || !monitoredLineChanged(cpu)) return false;
    cpu.setI32(ACTIVITY, Activity.RUNNING);
    return true;
  }

  /** Delivers the fault that FAULT_VECTOR and FAULT_ERROR hold; RIP is the faulting instruction's. */
  fault(cpu: CpuState): number {
    return this.#delivered(deliverFault(this.#core, cpu, cpu.i32(FAULT_VECTOR), cpu.i32(FAULT_ERROR)));
  }

  /** Delivers #DB for the conditions `hits`, bits of DR6. */
  debugException(cpu: CpuState, hits: number, kind: "fault" | "trap"): number {
    return this.#delivered(deliverDebug(this.#core, cpu, hits, kind));
  }

  #delivered(result: DeliveryResult): number {
    this.#slice.delivered();
    return result === "shutdown" ? Stop.SHUTDOWN : Stop.NONE;
  }

  /** INIT resets; a start-up IPI starts a processor that waits for one, others ignore it (SDM vol. 3A 9.4.4). */
  #startOrReset(cpu: CpuState, events: number): void {
    const core = this.#core;
    if (events & EVENT.INIT) {
      core.port.acknowledgeInit(cpu.index);
      resetCpu(core, cpu, "init");
      // Processor 0 is the bootstrap processor: it starts at the reset vector again.
      if (cpu.index !== 0) waitForStartup(cpu);
    }
    if (events & EVENT.SIPI) {
      const vector = core.port.acknowledgeStartup(cpu.index);
      if (activity(cpu) === Activity.WAIT_FOR_SIPI) startProcessor(core, cpu, vector);
    }
  }
}
