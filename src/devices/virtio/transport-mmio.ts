/** Virtio over MMIO (4.2), version 2: one page of registers and one interrupt line for each device. */

import type { AccessSize, Device, DeviceState, IrqLine } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import { type TransportSide, VirtioCore, type VirtioCoreOptions } from "./core.ts";
import { CAUSE } from "./device.ts";

/** Registers (4.2.2, table 4.1). */
const REGISTER = {
  MAGIC_VALUE: 0x000,
  VERSION: 0x004,
  DEVICE_ID: 0x008,
  VENDOR_ID: 0x00c,
  DEVICE_FEATURES: 0x010,
  DEVICE_FEATURES_SEL: 0x014,
  DRIVER_FEATURES: 0x020,
  DRIVER_FEATURES_SEL: 0x024,
  QUEUE_SEL: 0x030,
  QUEUE_NUM_MAX: 0x034,
  QUEUE_NUM: 0x038,
  QUEUE_READY: 0x044,
  QUEUE_NOTIFY: 0x050,
  INTERRUPT_STATUS: 0x060,
  INTERRUPT_ACK: 0x064,
  STATUS: 0x070,
  QUEUE_DESC_LOW: 0x080,
  QUEUE_DESC_HIGH: 0x084,
  QUEUE_DRIVER_LOW: 0x090,
  QUEUE_DRIVER_HIGH: 0x094,
  QUEUE_DEVICE_LOW: 0x0a0,
  QUEUE_DEVICE_HIGH: 0x0a4,
  SHM_SEL: 0x0ac,
  SHM_LEN_LOW: 0x0b0,
  SHM_BASE_HIGH: 0x0bc,
  QUEUE_RESET: 0x0c0,
  CONFIG_GENERATION: 0x0fc,
  CONFIG: 0x100,
} as const;

/** Bytes that the registers and the configuration take on the bus. */
export const VIRTIO_MMIO_SIZE = 0x1000;

const MAGIC = 0x7472_6976;
const VERSION = 2;
const VENDOR_ID = 0x1af4;

/** Queue areas by the offset of their addresses. */
const AREAS = {
  [REGISTER.QUEUE_DESC_LOW]: ["descriptors", 0],
  [REGISTER.QUEUE_DESC_HIGH]: ["descriptors", 1],
  [REGISTER.QUEUE_DRIVER_LOW]: ["driver", 0],
  [REGISTER.QUEUE_DRIVER_HIGH]: ["driver", 1],
  [REGISTER.QUEUE_DEVICE_LOW]: ["device", 0],
  [REGISTER.QUEUE_DEVICE_HIGH]: ["device", 1],
} as const;

export interface VirtioMmioOptions extends VirtioCoreOptions {
  readonly irq: IrqLine;
}

export class VirtioMmio implements Device, TransportSide {
  readonly mayAccessMemory = true;
  readonly #core: VirtioCore;
  readonly #irq: IrqLine;
  readonly #s = { interruptStatus: 0 };

  constructor({ irq, ...options }: VirtioMmioOptions) {
    this.#core = new VirtioCore(options);
    this.#core.transport = this;
    this.#irq = irq;
  }

  usedBuffer(): void {
    this.#setStatus(this.#s.interruptStatus | CAUSE.QUEUE);
  }

  configurationChange(): void {
    this.#setStatus(this.#s.interruptStatus | CAUSE.CONFIGURATION);
  }

  #setStatus(value: number): void {
    this.#s.interruptStatus = value;
    this.#irq.set(value !== 0);
  }

  read(offset: number, size: AccessSize): number {
    if (offset >= REGISTER.CONFIG) return this.#core.readConfig(offset - REGISTER.CONFIG, size);
    if (!this.#isRegister(offset, size)) return 0;
    const core = this.#core;
    switch (offset) {
      case REGISTER.MAGIC_VALUE:
        return MAGIC;
      case REGISTER.VERSION:
        return VERSION;
      case REGISTER.DEVICE_ID:
        return core.device.deviceId;
      case REGISTER.VENDOR_ID:
        return VENDOR_ID;
      case REGISTER.DEVICE_FEATURES:
        return core.deviceFeatures;
      case REGISTER.QUEUE_NUM_MAX:
        return core.queue?.maximum ?? 0;
      case REGISTER.QUEUE_READY:
        return core.queue?.enabled === true ? 1 : 0;
      case REGISTER.INTERRUPT_STATUS:
        return this.#s.interruptStatus;
      case REGISTER.STATUS:
        return core.status;
      default:
        // 4.2.2.1: the length and base of a shared memory region that does not exist are all ones.
        return offset >= REGISTER.SHM_LEN_LOW && offset <= REGISTER.SHM_BASE_HIGH ? 0xffff_ffff : 0;
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset >= REGISTER.CONFIG) {
      this.#core.writeConfig(offset - REGISTER.CONFIG, size, value);
      return;
    }
    if (!this.#isRegister(offset, size)) return;
    const core = this.#core;
    switch (offset) {
      case REGISTER.DEVICE_FEATURES_SEL:
        core.deviceFeatureSelect = value;
        return;
      case REGISTER.DRIVER_FEATURES:
        core.driverFeatures = value;
        return;
      case REGISTER.DRIVER_FEATURES_SEL:
        core.driverFeatureSelect = value;
        return;
      case REGISTER.QUEUE_SEL:
        core.queueSelect = value;
        return;
      case REGISTER.QUEUE_NUM:
        if (core.queue !== null) core.queue.size = value;
        return;
      case REGISTER.QUEUE_READY:
        // 4.2.2.2: writing 0 stops the queue.
        if (value === 1) core.enableQueue();
        else if (value === 0) core.queue?.disable();
        return;
      case REGISTER.QUEUE_RESET:
        // 4.2.2.1: it is done at once, so that the register never reads as 1.
        if (value === 1) core.resetQueue();
        return;
      case REGISTER.QUEUE_NOTIFY:
        core.notify(value);
        return;
      case REGISTER.INTERRUPT_ACK:
        this.#setStatus(this.#s.interruptStatus & ~value);
        return;
      case REGISTER.STATUS:
        if (core.setStatus(value & 0xff)) this.#setStatus(0);
        return;
      default: {
        const area = AREAS[offset as keyof typeof AREAS];
        if (area !== undefined) core.queue?.setAddress(area[0], area[1], value);
      }
    }
  }

  /** 4.2.2.2: registers are accessed as aligned words of 32 bits. */
  #isRegister(offset: number, size: AccessSize): boolean {
    if (size === 4 && offset % 4 === 0) return true;
    this.#core.log.unknown(`${this.#core.device.name}: a register in another width than 32 bits`);
    return false;
  }

  reset(): void {
    this.#core.reset();
    this.#setStatus(0);
  }

  save(): DeviceState {
    return { transport: saveRecord(this.#s), core: this.#core.save() };
  }

  restore(state: DeviceState): void {
    const { transport, core } = state as { transport: DeviceState; core: DeviceState };
    restoreRecord(this.#s, transport);
    this.#core.restore(core);
    this.#irq.set(this.#s.interruptStatus !== 0);
  }
}
