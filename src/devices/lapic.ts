/**
 * Local APIC: its registers, interrupt acceptance and IPIs (Intel SDM 3A, chapter "Advanced Programmable
 * Interrupt Controller"; 11 in present editions). The x2APIC face and IA32_APIC_BASE are in `lapic-msr`.
 *
 * Each processor has one. It takes interrupts from its LVT, from LINT0 (INTR of the 8259 pair) and from the
 * message bus, holds them in IRR and ISR, and tells its processor that something waits.
 */

import {
  BROADCAST,
  DELIVERY,
  type InterruptMessage,
  type InterruptTarget,
  type IpiSender,
} from "./apic-bus.ts";
import type { AccessSize, Clock, Device, DeviceState, Log } from "./device.ts";
import { matchesDestination, x2apicLogicalDestination } from "./lapic-destination.ts";
import { ErrorStatus } from "./lapic-errors.ts";
import { decodeIcr, sendIpi } from "./lapic-ipi.ts";
import { ENTRY, LocalVectorTable } from "./lapic-lvt.ts";
import { PriorityQueue } from "./lapic-priority.ts";
import {
  ESR,
  FIRST_LEGAL_VECTOR,
  ICR_WRITABLE,
  LVT,
  lvtIndex,
  REG,
  SVR,
  VERSION_VALUE,
} from "./lapic-registers.ts";
import { CoreSignals } from "./lapic-signals.ts";
import { LapicTimer } from "./lapic-timer.ts";
import { restoreRecord, saveRecord } from "./state.ts";
import type { TickRate } from "./tick-rate.ts";

/** The processor that a local APIC belongs to. */
export interface LapicCore {
  /** INTR, NMI, INIT, SIPI or SMI may have changed. */
  changed(): void;
  /** Virtual ns at which the time-stamp counter reaches a value; `Infinity` if never. */
  timeOfTsc(low: number, high: number): number;
  /** The INTA cycle to the 8259 pair, for an ExtINT interrupt; gives the vector. */
  acknowledgeExternal(): number;
}

export interface LapicOptions {
  /** x2APIC ID; its low byte is the xAPIC ID. */
  readonly apicId: number;
  readonly clock: Clock;
  readonly timerRate: TickRate;
  /** CPUID.01H:ECX.TSC_Deadline: LVT timer bit 18 exists. */
  readonly tscDeadline: boolean;
  readonly bus: IpiSender;
  readonly core: LapicCore;
  readonly log: Log;
}

export class Lapic implements Device, InterruptTarget {
  readonly apicId: number;
  readonly timer: LapicTimer;
  readonly #options: LapicOptions;
  /** State after power-up (SDM 3A 11.4.7.1). */
  readonly #s = {
    enabled: true,
    x2apic: false,
    ldr: 0,
    dfr: 0xffff_ffff,
    svr: 0xff,
    icrLow: 0,
    icrHigh: 0,
    /** An ExtINT message waits for its INTA cycle. */
    externalMessage: false,
  };
  readonly #queue = new PriorityQueue();
  readonly #errors = new ErrorStatus(() => this.lvt.raise(ENTRY.ERROR));
  readonly lvt: LocalVectorTable;
  readonly signals = new CoreSignals();

  constructor(options: LapicOptions) {
    this.#options = options;
    this.apicId = options.apicId;
    this.timer = new LapicTimer({
      name: `lapic ${options.apicId}`,
      clock: options.clock,
      rate: options.timerRate,
      timeOfTsc: (low, high) => options.core.timeOfTsc(low, high),
      onExpire: () => this.lvt.raise(ENTRY.TIMER),
    });
    this.lvt = new LocalVectorTable({
      tscDeadline: options.tscDeadline,
      timer: this.timer,
      onInterrupt: (mode, vector, levelTriggered) => this.#localInterrupt(mode, vector, levelTriggered),
    });
  }

  // ---- what the processor asks ----

  /** Whether INTR is asserted to the processor. */
  get interruptPending(): boolean {
    if (!this.#s.enabled) return this.lvt.intr;
    return this.#externalPending() || this.#queue.deliverable() >= 0;
  }

  /** The interrupt acknowledge cycle; gives the vector, the spurious one if nothing waits any more. */
  acknowledge(): number {
    const s = this.#s;
    // A disabled APIC leaves LINT0 wired to INTR. An ExtINT interrupt bypasses IRR, ISR and priorities.
    if (!s.enabled || this.#externalPending()) {
      s.externalMessage = false;
      const vector = this.#options.core.acknowledgeExternal();
      this.#options.core.changed();
      return vector;
    }
    const vector = this.#queue.acknowledge();
    this.#options.core.changed();
    return vector < 0 ? s.svr & SVR.VECTOR : vector;
  }

  // ---- mode, from IA32_APIC_BASE ----

  get enabled(): boolean {
    return this.#s.enabled;
  }

  get x2apic(): boolean {
    return this.#s.x2apic;
  }

  /** Clearing EN loses the APIC's state (SDM 3A 11.4.3); entering x2APIC mode keeps it (11.12.5.1). */
  setMode(enabled: boolean, x2apic: boolean): void {
    const s = this.#s;
    if (!enabled && s.enabled) this.#powerUpState();
    s.enabled = enabled;
    if (x2apic && !s.x2apic) s.icrHigh = 0;
    s.x2apic = x2apic;
    this.#options.core.changed();
  }

  /** What firmware leaves in the bootstrap processor's APIC: enabled, virtual wire mode (MP 1.4, 3.6.2.2). */
  setVirtualWireMode(): void {
    this.writeRegister(REG.SVR, SVR.ENABLE | 0xff);
    this.writeRegister(REG.LVT_LINT0, DELIVERY.EXTINT << LVT.DELIVERY_MODE_SHIFT);
    this.writeRegister(REG.LVT_LINT1, DELIVERY.NMI << LVT.DELIVERY_MODE_SHIFT);
  }

  // ---- InterruptTarget ----

  get softwareEnabled(): boolean {
    return (this.#s.svr & SVR.ENABLE) !== 0;
  }

  matches(destination: number, logical: boolean): boolean {
    const { enabled, x2apic, dfr } = this.#s;
    const { apicId } = this;
    if (!enabled) return false;
    return matchesDestination({ x2apic, apicId, ldr: this.#logicalDestination(), dfr }, destination, logical);
  }

  accept(message: InterruptMessage): void {
    switch (message.deliveryMode) {
      case DELIVERY.FIXED:
      case DELIVERY.LOWEST_PRIORITY:
        // SDM 3A 11.4.7.2: software-disabled, it still responds to INIT, NMI, SMI and SIPI.
        if (!this.softwareEnabled) return;
        this.#request(message.vector, message.levelTriggered);
        return;
      case DELIVERY.NMI:
        this.signals.raise("nmi");
        break;
      case DELIVERY.SMI:
        this.signals.raise("smi");
        break;
      case DELIVERY.INIT:
        this.#powerUpState();
        this.signals.raise("init");
        break;
      case DELIVERY.STARTUP:
        this.signals.raiseStartup(message.vector);
        break;
      case DELIVERY.EXTINT:
        this.#s.externalMessage = true;
        break;
      default:
        this.#options.log.unknown(`lapic: reserved delivery mode ${message.deliveryMode}`);
    }
    this.#options.core.changed();
  }

  get processorPriority(): number {
    return this.#queue.processorPriority;
  }

  /** Drives LINT0 or LINT1. */
  setLint(pin: 0 | 1, level: boolean): void {
    this.lvt.setLint(pin, level, this.#s.enabled);
    this.#options.core.changed();
  }

  // ---- registers: both faces ----

  get taskPriority(): number {
    return this.#queue.taskPriority;
  }

  set taskPriority(value: number) {
    this.#queue.taskPriority = value;
    this.#options.core.changed();
  }

  /** Reads the 32-bit register at `register`, an offset in the xAPIC page. */
  readRegister(register: number): number {
    const s = this.#s;
    if (register >= REG.ISR && register < REG.ESR) return this.#queue.readWord(register);
    switch (register) {
      case REG.ID:
        return s.x2apic ? this.apicId : ((this.apicId & 0xff) << 24) >>> 0;
      case REG.VERSION:
        return VERSION_VALUE;
      case REG.TPR:
        return this.taskPriority;
      case REG.PPR:
        return this.processorPriority;
      case REG.APR:
      case REG.RRD:
      case REG.EOI:
        // Arbitration and remote read ended with the APIC bus (SDM 3A table 11-1); EOI is write-only.
        return 0;
      case REG.LDR:
        return this.#logicalDestination();
      case REG.DFR:
        return s.dfr;
      case REG.SVR:
        return s.svr;
      case REG.ESR:
        return this.#errors.value;
      case REG.ICR_LOW:
        return s.icrLow;
      case REG.ICR_HIGH:
        return s.icrHigh;
      case REG.INITIAL_COUNT:
        return this.timer.initialCount;
      case REG.CURRENT_COUNT:
        return this.timer.currentCount;
      case REG.DIVIDE_CONFIGURATION:
        return this.timer.divideConfiguration;
      default:
        if (register >= REG.LVT_TIMER && register <= REG.LVT_ERROR) {
          return this.lvt.read(lvtIndex(register));
        }
        this.#illegalRegister(register, "read");
        return 0;
    }
  }

  /** Writes the 32-bit register at `register`; reserved bits are ignored. */
  writeRegister(register: number, value: number): void {
    const s = this.#s;
    switch (register) {
      case REG.TPR:
        this.taskPriority = value & 0xff;
        return;
      case REG.EOI:
        this.#endOfInterrupt();
        return;
      case REG.LDR:
        s.ldr = (value & 0xff00_0000) >>> 0;
        return;
      case REG.DFR:
        s.dfr = (value | 0x0fff_ffff) >>> 0;
        return;
      case REG.SVR:
        this.#writeSvr(value);
        return;
      case REG.ESR:
        this.#errors.latch();
        return;
      case REG.ICR_LOW:
        s.icrLow = value & ICR_WRITABLE;
        this.#sendIpi();
        return;
      case REG.ICR_HIGH:
        s.icrHigh = s.x2apic ? value : (value & 0xff00_0000) >>> 0;
        return;
      case REG.INITIAL_COUNT:
        this.timer.setInitialCount(value);
        return;
      case REG.DIVIDE_CONFIGURATION:
        this.timer.setDivideConfiguration(value);
        return;
      case REG.ID:
      case REG.VERSION:
      case REG.APR:
      case REG.PPR:
      case REG.RRD:
      case REG.CURRENT_COUNT:
        // Read-only.
        return;
      default:
        if (register >= REG.LVT_TIMER && register <= REG.LVT_ERROR) {
          this.lvt.write(lvtIndex(register), value, !this.softwareEnabled);
          this.#options.core.changed();
        } else if (register < REG.ISR || register >= REG.ESR) this.#illegalRegister(register, "write");
    }
  }

  // ---- Device: the xAPIC page ----

  /** Registers lie on 16-byte boundaries; the rest of each 16 bytes is undefined and reads as zero. */
  read(offset: number, _size: AccessSize): number {
    return (offset & 0xf) === 0 ? this.readRegister(offset) : 0;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    if ((offset & 0xf) === 0) this.writeRegister(offset, value);
  }

  /** RESET#; LINT levels stay as they are driven. */
  reset(): void {
    this.#powerUpState();
    this.signals.reset();
    Object.assign(this.#s, { enabled: true, x2apic: false });
    this.#options.core.changed();
  }

  save(): DeviceState {
    return {
      registers: saveRecord(this.#s),
      queue: this.#queue.save(),
      errors: this.#errors.save(),
      signals: this.signals.save(),
      lvt: this.lvt.save(),
      timer: this.timer.save(),
    };
  }

  restore(state: DeviceState): void {
    const { registers, queue, errors, signals, lvt, timer } = state as { [part: string]: DeviceState };
    restoreRecord(this.#s, registers);
    this.#queue.restore(queue);
    this.#errors.restore(errors);
    this.signals.restore(signals);
    this.lvt.restore(lvt);
    this.timer.restore(timer);
  }

  // ---- inside ----

  /** SDM 3A 11.4.7.1 and, for INIT, 11.4.7.3: everything but the APIC ID. */
  #powerUpState(): void {
    const s = this.#s;
    Object.assign(s, { ldr: 0, dfr: 0xffff_ffff, svr: 0xff, icrLow: 0, icrHigh: 0, externalMessage: false });
    this.#errors.reset();
    this.lvt.reset();
    this.#queue.reset();
    this.timer.reset();
  }

  #logicalDestination(): number {
    return this.#s.x2apic ? x2apicLogicalDestination(this.apicId) : this.#s.ldr;
  }

  #externalPending(): boolean {
    return this.#s.externalMessage || this.lvt.externalAsserted;
  }

  #request(vector: number, levelTriggered: boolean): void {
    if (vector < FIRST_LEGAL_VECTOR) {
      this.#errors.note(ESR.RECEIVE_ILLEGAL_VECTOR);
      return;
    }
    this.#queue.request(vector, levelTriggered);
    this.#options.core.changed();
  }

  /** An LVT entry interrupts; the source of a fixed interrupt is the APIC itself. */
  #localInterrupt(deliveryMode: number, vector: number, levelTriggered: boolean): void {
    if (deliveryMode === DELIVERY.FIXED) this.#request(vector, levelTriggered);
    else this.accept({ vector, deliveryMode, levelTriggered, destination: BROADCAST, logical: false });
  }

  #writeSvr(value: number): void {
    const s = this.#s;
    s.svr = value & (SVR.VECTOR | SVR.ENABLE | SVR.FOCUS_DISABLE);
    if (!this.softwareEnabled) this.lvt.maskAll();
    this.#options.core.changed();
  }

  #endOfInterrupt(): void {
    const vector = this.#queue.endOfInterrupt();
    if (vector < 0) return;
    if (this.#queue.levelTriggered(vector)) {
      this.lvt.endOfInterrupt(vector);
      this.#options.bus.broadcastEoi(vector);
    }
    this.#options.core.changed();
  }

  /** x2APIC's SELF IPI register (SDM 3A 11.12.11). */
  sendSelfIpi(vector: number): void {
    if (vector < FIRST_LEGAL_VECTOR) this.#errors.note(ESR.SEND_ILLEGAL_VECTOR);
    else if (this.softwareEnabled) this.#request(vector, false);
  }

  #sendIpi(): void {
    const { bus, log } = this.#options;
    const ipi = decodeIcr(this.#s.icrLow, this.#s.icrHigh, this.#s.x2apic);
    if (!sendIpi(ipi, this, bus, log)) this.#errors.note(ESR.SEND_ILLEGAL_VECTOR);
  }

  #illegalRegister(register: number, what: string): void {
    this.#options.log.unknown(`lapic: ${what} of reserved register 0x${register.toString(16)}`);
    this.#errors.note(ESR.ILLEGAL_REGISTER);
  }
}
