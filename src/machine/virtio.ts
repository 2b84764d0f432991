/** The machine's virtio devices: what a machine is asked for, as devices and their ways to the guest. */
import { type BlockStore, VirtioBlock } from "../devices/virtio/block.ts";
import type { VirtioDevice } from "../devices/virtio/device.ts";
import { VirtioRng } from "../devices/virtio/rng.ts";

export type VirtioTransport = "pci" | "mmio";

/** A virtio device and how the guest reaches it. */
export interface VirtioAttachment {
  readonly transport: VirtioTransport;
  readonly device: VirtioDevice;
}

/** A disk of the machine. */
export interface MachineDrive {
  /** Its name in messages, and the serial number that the guest sees: up to 20 bytes, unique in the machine. */
  readonly id: string;
  readonly store: BlockStore;
  readonly transport: VirtioTransport;
}

export interface VirtioOptions {
  /** Disks, first to last. */
  readonly drives?: readonly MachineDrive[];
  /** A virtio entropy device, which the seed starts too. */
  readonly rng?: VirtioTransport;
  readonly seed?: bigint;
}

export function virtioDevices({ drives = [], rng, seed = 0n }: VirtioOptions): VirtioAttachment[] {
  const attachments: VirtioAttachment[] = drives.map(({ id, store, transport }) => ({
    transport,
    device: new VirtioBlock({ name: `virtio ${id}`, store, serial: id }),
  }));
  if (rng !== undefined) attachments.push({ transport: rng, device: new VirtioRng(seed) });
  return attachments;
}
