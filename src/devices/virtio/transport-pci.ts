/**
 * Virtio over PCI (4.1), the modern interface alone: four structures in one BAR, found through vendor capabilities, and
 * a window to them in configuration space. Interrupts are MSI-X, or INTx while that is off.
 */

import type { AccessSize, Device, DeviceState } from "../device.ts";
import { HEADER } from "../pci/config-space.ts";
import { type FunctionDescription, PciFunction } from "../pci/function.ts";
import { MSIX_BAR_SIZE, Msix, type SendMessage } from "../pci/msix.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import { type TransportSide, VirtioCore, type VirtioCoreOptions } from "./core.ts";
import { CAUSE } from "./device.ts";

/** 4.1.2: vendor ID, and the ID of the first device. */
const VENDOR_ID = 0x1af4;
const FIRST_DEVICE_ID = 0x1040;
/** 4.1.2.1: a device without the legacy interface has revision 1 at least. */
const REVISION = 1;
/** "Any subsystem ID may be given" (4.1.2.1): the one of virtual machines. */
const SUBSYSTEM_ID = 0x1100;

const CAPABILITY_VENDOR = 0x09;
/** cfg_type of a capability (4.1.4). */
const TYPE = { COMMON: 1, NOTIFY: 2, ISR: 3, DEVICE: 4, PCI: 5 } as const;
/** Fields of `struct virtio_pci_cap` from its start (4.1.4). */
const CAP = { BAR: 4, OFFSET: 8, LENGTH: 12, DATA: 16 } as const;

const MSIX_BAR = 1;
const BAR = 4;
/** The BAR: a page for each structure. */
const REGION_SHIFT = 12;
const REGION = { COMMON: 0, ISR: 1, DEVICE: 2, NOTIFY: 3 } as const;
const REGION_SIZE = 1 << REGION_SHIFT;
const BAR_SIZE = 4 * REGION_SIZE;
/** Bytes between the notification addresses of two queues (4.1.4.4). */
const NOTIFY_MULTIPLIER = 4;

/** `struct virtio_pci_common_cfg` (4.1.4.3). */
const COMMON = {
  DEVICE_FEATURE_SELECT: 0x00,
  DEVICE_FEATURE: 0x04,
  DRIVER_FEATURE_SELECT: 0x08,
  DRIVER_FEATURE: 0x0c,
  CONFIG_MSIX_VECTOR: 0x10,
  NUM_QUEUES: 0x12,
  DEVICE_STATUS: 0x14,
  CONFIG_GENERATION: 0x15,
  QUEUE_SELECT: 0x16,
  QUEUE_SIZE: 0x18,
  QUEUE_MSIX_VECTOR: 0x1a,
  QUEUE_ENABLE: 0x1c,
  QUEUE_NOTIFY_OFF: 0x1e,
  QUEUE_DESC: 0x20,
  QUEUE_DRIVER: 0x28,
  QUEUE_DEVICE: 0x30,
  QUEUE_NOTIFY_DATA: 0x38,
  QUEUE_RESET: 0x3a,
  LENGTH: 0x3c,
} as const;

/** Width of the field at each offset; 4.1.3.1: drivers use it, and two words for 64 bits. */
const WIDTHS = new Map<number, AccessSize>([
  ...[0x00, 0x04, 0x08, 0x0c, 0x20, 0x24, 0x28, 0x2c, 0x30, 0x34].map((at) => [at, 4] as const),
  ...[0x10, 0x12, 0x16, 0x18, 0x1a, 0x1c, 0x1e, 0x38, 0x3a].map((at) => [at, 2] as const),
  ...[0x14, 0x15].map((at) => [at, 1] as const),
]);

const NO_VECTOR = 0xffff;

/** Areas of a queue by the offset of their addresses. */
const AREAS = {
  [COMMON.QUEUE_DESC]: "descriptors",
  [COMMON.QUEUE_DRIVER]: "driver",
  [COMMON.QUEUE_DEVICE]: "device",
} as const;

/** The BAR with the four structures. */
class Structures implements Device, TransportSide {
  readonly #core: VirtioCore;
  readonly #msix: Msix;
  function: PciFunction | null = null;
  readonly #s: { isr: number; configVector: number; queueVectors: number[] };

  constructor(core: VirtioCore, msix: Msix) {
    this.#core = core;
    this.#msix = msix;
    this.#s = { isr: 0, configVector: NO_VECTOR, queueVectors: core.queues.map(() => NO_VECTOR) };
    core.transport = this;
  }

  get mayAccessMemory(): boolean {
    return this.function?.busMaster === true;
  }

  usedBuffer(index: number): void {
    this.#interrupt(CAUSE.QUEUE, this.#s.queueVectors[index]!);
  }

  configurationChange(): void {
    this.#interrupt(CAUSE.CONFIGURATION, this.#s.configVector);
  }

  /** 4.1.5.3 and 4.1.5.4: a message with MSI-X, otherwise the ISR status and INTx. */
  #interrupt(cause: number, vector: number): void {
    if (this.#msix.enabled) {
      this.#msix.signal(vector);
      return;
    }
    this.#s.isr |= cause;
    this.function?.setInterrupt(true);
  }

  read(offset: number, size: AccessSize): number {
    const at = offset & (REGION_SIZE - 1);
    switch (offset >> REGION_SHIFT) {
      case REGION.COMMON:
        return at < COMMON.LENGTH && this.#natural(at, size) ? this.#readCommon(at) : 0;
      case REGION.ISR:
        return at === 0 ? this.#takeIsr() : 0;
      case REGION.DEVICE:
        return this.#core.readConfig(at, size);
      default:
        return 0;
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    const at = offset & (REGION_SIZE - 1);
    switch (offset >> REGION_SHIFT) {
      case REGION.COMMON:
        if (at < COMMON.LENGTH && this.#natural(at, size)) this.#writeCommon(at, value);
        return;
      case REGION.DEVICE:
        this.#core.writeConfig(at, size, value);
        return;
      case REGION.NOTIFY:
        // 4.1.5.2: the address names the queue; the value repeats it.
        if (at % NOTIFY_MULTIPLIER === 0) this.#core.notify(at / NOTIFY_MULTIPLIER);
    }
  }

  #natural(at: number, size: AccessSize): boolean {
    if (WIDTHS.get(at) === size) return true;
    this.#core.log.unknown(
      `${this.#core.device.name}: common configuration in another width than its fields'`,
    );
    return false;
  }

  /** 4.1.4.5.1: reading clears the status and releases INTx. */
  #takeIsr(): number {
    const { isr } = this.#s;
    this.#s.isr = 0;
    this.function?.setInterrupt(false);
    return isr;
  }

  #readCommon(at: number): number {
    const core = this.#core;
    const { queue } = core;
    switch (at) {
      case COMMON.DEVICE_FEATURE_SELECT:
        return core.deviceFeatureSelect;
      case COMMON.DEVICE_FEATURE:
        return core.deviceFeatures;
      case COMMON.DRIVER_FEATURE_SELECT:
        return core.driverFeatureSelect;
      case COMMON.DRIVER_FEATURE:
        return core.driverFeatures;
      case COMMON.CONFIG_MSIX_VECTOR:
        return this.#s.configVector;
      case COMMON.NUM_QUEUES:
        return core.queues.length;
      case COMMON.DEVICE_STATUS:
        return core.status;
      case COMMON.CONFIG_GENERATION:
        return 0;
      case COMMON.QUEUE_SELECT:
        return core.queueSelect;
      // 4.1.4.3.1: a queue that does not exist has size 0.
      case COMMON.QUEUE_SIZE:
        return queue === null ? 0 : queue.size;
      case COMMON.QUEUE_MSIX_VECTOR:
        return this.#s.queueVectors[core.queueSelect] ?? NO_VECTOR;
      case COMMON.QUEUE_ENABLE:
        return queue?.enabled === true ? 1 : 0;
      case COMMON.QUEUE_NOTIFY_OFF:
      case COMMON.QUEUE_NOTIFY_DATA:
        return queue === null ? 0 : core.queueSelect;
      case COMMON.QUEUE_RESET:
        // 4.1.4.3.1: a reset is done at once, so that it never reads as 1.
        return 0;
      default: {
        const area = AREAS[(at & ~7) as keyof typeof AREAS];
        return queue === null ? 0 : queue.address(area, at & 4 ? 1 : 0);
      }
    }
  }

  #writeCommon(at: number, value: number): void {
    const core = this.#core;
    const { queue } = core;
    switch (at) {
      case COMMON.DEVICE_FEATURE_SELECT:
        core.deviceFeatureSelect = value;
        return;
      case COMMON.DRIVER_FEATURE_SELECT:
        core.driverFeatureSelect = value;
        return;
      case COMMON.DRIVER_FEATURE:
        core.driverFeatures = value;
        return;
      case COMMON.CONFIG_MSIX_VECTOR:
        this.#s.configVector = this.#vector(value);
        return;
      case COMMON.DEVICE_STATUS:
        if (core.setStatus(value)) this.#forget();
        return;
      case COMMON.QUEUE_SELECT:
        core.queueSelect = value;
        return;
      case COMMON.QUEUE_SIZE:
        if (queue !== null) queue.size = value;
        return;
      case COMMON.QUEUE_MSIX_VECTOR:
        if (queue !== null) this.#s.queueVectors[core.queueSelect] = this.#vector(value);
        return;
      case COMMON.QUEUE_ENABLE:
        // 4.1.4.3.2: the driver must not write 0.
        if (value === 1) core.enableQueue();
        return;
      case COMMON.QUEUE_RESET:
        if (value === 1 && core.resetQueue()) this.#s.queueVectors[core.queueSelect] = NO_VECTOR;
        return;
      case COMMON.DEVICE_FEATURE:
      case COMMON.QUEUE_NOTIFY_DATA:
      case COMMON.NUM_QUEUES:
      case COMMON.CONFIG_GENERATION:
      case COMMON.QUEUE_NOTIFY_OFF:
        return;
      default: {
        const area = AREAS[(at & ~7) as keyof typeof AREAS];
        queue?.setAddress(area, at & 4 ? 1 : 0, value);
      }
    }
  }

  /** 4.1.5.1.2.1: a vector that cannot be had reads back as none. */
  #vector(value: number): number {
    return value < this.#msix.vectors ? value : NO_VECTOR;
  }

  /** What the transport keeps goes with a reset of the device. */
  #forget(): void {
    this.#s.isr = 0;
    this.#s.configVector = NO_VECTOR;
    this.#s.queueVectors.fill(NO_VECTOR);
    this.function?.setInterrupt(false);
  }

  reset(): void {
    this.#core.reset();
    this.#forget();
  }

  save(): DeviceState {
    return { transport: saveRecord(this.#s), core: this.#core.save() };
  }

  restore(state: DeviceState): void {
    const { transport, core } = state as { transport: DeviceState; core: DeviceState };
    restoreRecord(this.#s, transport);
    this.#core.restore(core);
  }
}

/** `struct virtio_pci_cap` without its first two bytes, and `more` behind it. */
function capability(type: number, bar: number, offset: number, length: number, more: readonly number[] = []) {
  const size = 16 + 4 * more.length;
  const view = new DataView(new ArrayBuffer(size));
  view.setUint8(2, size);
  view.setUint8(3, type);
  view.setUint8(CAP.BAR, bar);
  view.setUint32(CAP.OFFSET, offset, true);
  view.setUint32(CAP.LENGTH, length, true);
  more.forEach((word, i) => {
    view.setUint32(16 + 4 * i, word, true);
  });
  return new Uint8Array(view.buffer, 2);
}

/** The function: configuration space with the window of 4.1.4.9 in it. */
class VirtioFunction extends PciFunction {
  readonly #core: VirtioCore;
  readonly #msix: Msix;
  readonly #structures: Structures;
  readonly #window: number;

  constructor(description: FunctionDescription, core: VirtioCore, msix: Msix, structures: Structures) {
    super(description);
    this.#core = core;
    this.#msix = msix;
    this.#structures = structures;
    structures.function = this;
    const { config } = this;
    msix.addCapability(config, MSIX_BAR);
    const place = (region: number) => region << REGION_SHIFT;
    const add = (type: number, region: number, length: number, more?: readonly number[]) =>
      config.addCapability(CAPABILITY_VENDOR, capability(type, BAR, place(region), length, more));
    add(TYPE.COMMON, REGION.COMMON, COMMON.LENGTH);
    add(TYPE.ISR, REGION.ISR, 1);
    if (core.device.configLength > 0) add(TYPE.DEVICE, REGION.DEVICE, core.device.configLength);
    add(TYPE.NOTIFY, REGION.NOTIFY, core.queues.length * NOTIFY_MULTIPLIER, [NOTIFY_MULTIPLIER]);
    this.#window = config.addCapability(CAPABILITY_VENDOR, capability(TYPE.PCI, 0, 0, 0, [0]));
    config.allow(this.#window + CAP.BAR, 1, 0xff);
    config.allow(this.#window + CAP.OFFSET, 4, 0xffff_ffff);
    config.allow(this.#window + CAP.LENGTH, 4, 0xffff_ffff);
    config.allow(this.#window + CAP.DATA, 4, 0xffff_ffff);
  }

  override readConfig(offset: number, size: AccessSize): number {
    const target = this.#throughWindow(offset, size);
    if (target !== null)
      this.config.set(this.#window + CAP.DATA, 4, this.#structures.read(target.at, target.size));
    return super.readConfig(offset, size);
  }

  override writeConfig(offset: number, size: AccessSize, value: number): void {
    super.writeConfig(offset, size, value);
    const target = this.#throughWindow(offset, size);
    if (target !== null) {
      const data = this.config.get(this.#window + CAP.DATA, target.size);
      this.#structures.write(target.at, target.size, data);
    }
    // The command register and Message Control may have let something through that waited.
    this.#msix.deliverPending();
    if (offset < HEADER.STATUS && this.busMaster) this.#core.resume();
  }

  /** What an access to `pci_cfg_data` reaches; null if it is no such access, or reaches nothing (4.1.4.9.1). */
  #throughWindow(offset: number, size: AccessSize): { at: number; size: AccessSize } | null {
    const data = this.#window + CAP.DATA;
    if (offset + size <= data || offset >= data + 4) return null;
    const at = this.config.get(this.#window + CAP.OFFSET, 4);
    const length = this.config.get(this.#window + CAP.LENGTH, 4);
    if (this.config.get(this.#window + CAP.BAR, 1) !== BAR) return null;
    if ((length !== 1 && length !== 2 && length !== 4) || at % length !== 0) return null;
    return at + length <= BAR_SIZE ? { at, size: length } : null;
  }
}

export interface VirtioPciOptions extends VirtioCoreOptions {
  /** Sends an MSI. */
  readonly sendMessage: SendMessage;
}

/** A virtio device as a PCI function, to be plugged into a bus. */
export function createVirtioPci({ sendMessage, ...options }: VirtioPciOptions): PciFunction {
  const core = new VirtioCore(options);
  const { device } = core;
  // One vector for each queue, and one for configuration changes.
  const msix: Msix = new Msix(core.queues.length + 1, (low, high, data) => {
    // A message is a write to memory like any other (PCI 3.0 6.2.2): it needs the bus.
    if (content.busMaster) sendMessage(low, high, data);
  });
  const structures = new Structures(core, msix);
  const content: PciFunction = new VirtioFunction(
    {
      name: device.name,
      vendorId: VENDOR_ID,
      deviceId: FIRST_DEVICE_ID + device.deviceId,
      classCode: device.classCode,
      revision: REVISION,
      subsystemVendorId: VENDOR_ID,
      subsystemId: SUBSYSTEM_ID,
      interruptPin: 1,
      bars: [
        { index: MSIX_BAR, kind: "memory32", size: MSIX_BAR_SIZE, device: msix, widths: [4] },
        {
          index: BAR,
          kind: "memory64",
          prefetchable: true,
          size: BAR_SIZE,
          device: structures,
          widths: [1, 2, 4],
        },
      ],
    },
    core,
    msix,
    structures,
  );
  return content;
}
