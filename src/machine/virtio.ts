/** The machine's virtio devices: what a machine is asked for, as devices and their ways to the guest. */
import { type BlockStore, VirtioBlock } from "../devices/virtio/block.ts";
import { VirtioConsole } from "../devices/virtio/console.ts";
import type { VirtioDevice } from "../devices/virtio/device.ts";
import { MOST_QUEUE_PAIRS, MTU_RANGE, VirtioNet } from "../devices/virtio/net.ts";
import type { NetworkLink } from "../devices/virtio/network-link.ts";
import { VirtioRng } from "../devices/virtio/rng.ts";
import type { FrameSource } from "./outside-input.ts";

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
  /** Whether packed rings are offered; true unless given. */
  readonly packed?: boolean;
}

/** A network device of the machine. Frames for the guest go to `Machine.networks`. */
export interface MachineNetwork {
  /** What it is plugged into: takes the guest's frames. */
  readonly link: NetworkLink;
  /** Where frames for the guest come from, mostly the link itself; without it they come by `Machine.outside` in a replay only. */
  readonly source?: FrameSource;
  /** Ethernet address of one station: 6 bytes, or "52:54:00:12:34:56". */
  readonly mac: Uint8Array | string;
  /** Bytes of an IP packet that the link carries, 68 to 65,535. The guest is told if it is given; else it takes 1500. */
  readonly mtu?: number;
  /** Queue pairs, 1 to 8; 1 unless given. */
  readonly queuePairs?: number;
  readonly transport: VirtioTransport;
  /** Feature bits (`NETWORK_FEATURE`) that the device does not offer. */
  readonly without?: readonly number[];
  /** Whether packed rings are offered; true unless given. */
  readonly packed?: boolean;
}

export interface VirtioOptions {
  /** Disks, first to last. */
  readonly drives?: readonly MachineDrive[];
  /** Network devices, first to last. */
  readonly networks?: readonly MachineNetwork[];
  /**
   * A virtio console. What the guest writes to it goes where the serial console's bytes go; what is typed comes to it
   * once a driver has opened it.
   */
  readonly virtioConsole?: VirtioTransport;
  /** A virtio entropy device, which the seed starts too. */
  readonly rng?: VirtioTransport;
  readonly seed?: bigint;
}

export interface VirtioDevices {
  /** In the order of their places. */
  readonly attachments: readonly VirtioAttachment[];
  readonly networks: readonly VirtioNet[];
  readonly console: VirtioConsole | null;
}

/**
 * The six bytes of an Ethernet address.
 * @throws RangeError if it is none, or that of a group
 */
export function macAddress(mac: Uint8Array | string): Uint8Array {
  const isText = typeof mac === "string";
  const wellFormed = isText ? /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac) : mac.length === 6;
  const bytes = isText ? Uint8Array.from(mac.split(":"), (part) => Number.parseInt(part, 16)) : mac;
  if (wellFormed && (bytes[0]! & 1) === 0) return bytes;
  throw new RangeError(
    `mac: expected an address of one station, e.g. 52:54:00:12:34:56, found "${isText ? mac : [...mac]}"`,
  );
}

/** @throws RangeError */
function within(name: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return;
  throw new RangeError(`${name}: expected a whole number from ${least} to ${most}, found ${value}`);
}

function networkDevice(
  { mac, transport: _, source: _source, ...options }: MachineNetwork,
  index: number,
): VirtioNet {
  within("mtu", options.mtu, MTU_RANGE.least, MTU_RANGE.most);
  within("queuePairs", options.queuePairs, 1, MOST_QUEUE_PAIRS);
  return new VirtioNet({ ...options, name: `virtio net ${index}`, mac: macAddress(mac) });
}

/**
 * @param onConsole takes what the guest writes to the console
 * @throws RangeError for an address, MTU or number of queue pairs that no device has
 */
export function virtioDevices(
  { drives = [], networks = [], virtioConsole, rng, seed = 0n }: VirtioOptions,
  onConsole: (byte: number) => void = () => {},
): VirtioDevices {
  const attachments: VirtioAttachment[] = drives.map(({ transport, id, ...options }) => ({
    transport,
    device: new VirtioBlock({ ...options, name: `virtio ${id}`, serial: id }),
  }));
  const networkDevices = networks.map(networkDevice);
  networkDevices.forEach((device, i) => {
    attachments.push({ transport: networks[i]!.transport, device });
  });
  if (rng !== undefined) attachments.push({ transport: rng, device: new VirtioRng(seed) });
  const console = virtioConsole === undefined ? null : new VirtioConsole({ onOutput: onConsole });
  if (console !== null) attachments.push({ transport: virtioConsole!, device: console });
  return { attachments, networks: networkDevices, console };
}
