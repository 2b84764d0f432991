/**
 * The network device (5.1): checksum and segmentation left to either side, mergeable receive buffers, a receive filter,
 * several queue pairs.
 *
 * Where frames go to and come from is the link's business. A frame for the guest waits in a bounded backlog until the
 * next batch finds buffers for it. Work that the driver does not take is done before it gets there.
 */

import type { AccessSize, DeviceState } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import type { Chain } from "./chain.ts";
import { completeChecksum, isInside } from "./checksum.ts";
import {
  type Completion,
  DEVICE_ID,
  DriverError,
  type FeatureWords,
  type Filled,
  hasFeature,
  type VirtioDevice,
  type VirtioHost,
} from "./device.ts";
import { ETHERNET_HEADER } from "./frame-headers.ts";
import { Backlog } from "./network-backlog.ts";
import { handleControl } from "./network-control.ts";
import { MAC_LENGTH, NetworkFilter } from "./network-filter.ts";
import { decodeHeader, encodeHeader, NETWORK_HEADER, setBuffers } from "./network-header.ts";
import { COMPLETE, type FrameWork, type NetworkLink, type NetworkPort } from "./network-link.ts";
import { Steering } from "./network-steering.ts";
import type { Ring } from "./queue.ts";
import { headerLength, segments } from "./segmentation.ts";

/** Feature bits (5.1.3). */
export const NETWORK_FEATURE = {
  CSUM: 0,
  GUEST_CSUM: 1,
  MTU: 3,
  MAC: 5,
  GUEST_TSO4: 7,
  GUEST_TSO6: 8,
  GUEST_ECN: 9,
  HOST_TSO4: 11,
  HOST_TSO6: 12,
  HOST_ECN: 13,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  CTRL_VLAN: 19,
  CTRL_RX_EXTRA: 20,
  MQ: 22,
  CTRL_MAC_ADDR: 23,
} as const;
const F = NETWORK_FEATURE;

/** Work that the driver may leave to the device. */
const HOST_OFFLOADS: readonly number[] = [F.CSUM, F.HOST_TSO4, F.HOST_TSO6, F.HOST_ECN];

/** 5.1.3.1, in an order in which none comes before one that it needs. */
const DEPENDENCIES: NonNullable<VirtioDevice["dependencies"]> = [
  [F.GUEST_TSO4, [F.GUEST_CSUM]],
  [F.GUEST_TSO6, [F.GUEST_CSUM]],
  [F.GUEST_ECN, [F.GUEST_TSO4, F.GUEST_TSO6]],
  [F.HOST_TSO4, [F.CSUM]],
  [F.HOST_TSO6, [F.CSUM]],
  [F.HOST_ECN, [F.HOST_TSO4, F.HOST_TSO6]],
  [F.CTRL_RX, [F.CTRL_VQ]],
  [F.CTRL_VLAN, [F.CTRL_VQ]],
  [F.CTRL_RX_EXTRA, [F.CTRL_VQ]],
  [F.MQ, [F.CTRL_VQ]],
  [F.CTRL_MAC_ADDR, [F.CTRL_VQ]],
];

/** `struct virtio_net_config` (5.1.4), as far as the features reach. */
const CONFIG = { MAC: 0, STATUS: 6, MAX_VIRTQUEUE_PAIRS: 8, MTU: 10, LENGTH: 12 } as const;
const STATUS_LINK_UP = 1;

const QUEUE_SIZE = 256;
export const MOST_QUEUE_PAIRS = 8;
/** The smallest MTU that IPv4 allows (RFC 791, 3.2), and the largest that its lengths can say. */
export const MTU_RANGE = { least: 68, most: 65_535 } as const;
/** The longest IP packet behind an Ethernet header with two VLAN tags. */
export const LONGEST_FRAME = 65_535 + ETHERNET_HEADER + 8;
/** A VLAN tag does not count as a part of the frame's contents. */
const MTU_OVERHEAD = ETHERNET_HEADER + 4;

export interface NetworkOptions {
  /** For messages, e.g. "virtio net 0". */
  readonly name: string;
  readonly link: NetworkLink;
  /** Ethernet address, 6 bytes. */
  readonly mac: Uint8Array;
  /** Bytes of an IP packet that the link carries; the driver is told if it is given. */
  readonly mtu?: number;
  /** Queue pairs, 1 to 8; 1 unless given. */
  readonly queuePairs?: number;
  /** Feature bits that are not offered, e.g. for a test of drivers. */
  readonly without?: readonly number[];
  /** Whether packed rings are offered; true unless given. */
  readonly packed?: boolean;
}

/** Frames that ended in the device. */
export interface NetworkDrops {
  /** No driver had taken the device over. */
  noDriver: number;
  /** The backlog was full. */
  full: number;
  /** The filter did not let them through. */
  filtered: number;
  /** Longer than any frame, the MTU, or the driver's buffers. */
  tooLong: number;
  /** Shorter than a header, or not what their work said. Frames from the guest count here too. */
  malformed: number;
}

export class VirtioNet implements VirtioDevice, NetworkPort {
  readonly name: string;
  readonly deviceId = DEVICE_ID.NETWORK;
  /** Ethernet controller. */
  readonly classCode = 0x02_0000;
  readonly features: readonly number[];
  readonly dependencies = DEPENDENCIES;
  readonly queueSizes: readonly number[];
  readonly configLength = CONFIG.LENGTH;
  readonly packed: boolean;
  /** Frames and bytes from the guest that the link was given, and those that the guest was. */
  readonly counters = { sentFrames: 0, sentBytes: 0, receivedFrames: 0, receivedBytes: 0 };
  readonly drops: NetworkDrops = { noDriver: 0, full: 0, filtered: 0, tooLong: 0, malformed: 0 };
  readonly #link: NetworkLink;
  readonly #ownMac: Uint8Array;
  readonly #mtu: number;
  readonly #mostPairs: number;
  readonly #filter = new NetworkFilter();
  readonly #steering = new Steering();
  readonly #backlog: Backlog;
  readonly #s = {
    mac: new Uint8Array(MAC_LENGTH),
    /** What the driver took. */
    negotiated: [0, 0] as number[],
    /** Queue pairs in use. */
    pairs: 1,
  };
  /** A frame from the guest with its header. */
  readonly #outgoing = new Uint8Array(NETWORK_HEADER + LONGEST_FRAME);
  #host: VirtioHost | null = null;

  constructor({ name, link, mac, mtu, queuePairs = 1, without = [], packed = true }: NetworkOptions) {
    this.name = name;
    this.packed = packed;
    this.#link = link;
    this.#ownMac = mac.slice();
    this.#mtu = mtu ?? 0;
    this.#mostPairs = queuePairs;
    this.#backlog = new Backlog(queuePairs);
    const offered = Object.values(NETWORK_FEATURE).filter((bit) => {
      if (bit === F.MTU) return mtu !== undefined;
      if (bit === F.MQ) return queuePairs > 1;
      return link.takesUnfinished || !HOST_OFFLOADS.includes(bit);
    });
    // 2.2.2: what needs a feature that is not offered is not offered either.
    const left = new Set<number>(offered.filter((bit) => !without.includes(bit)));
    for (const [bit, needed] of DEPENDENCIES) if (!needed.some((other) => left.has(other))) left.delete(bit);
    this.features = [...left];
    this.queueSizes = new Array(2 * queuePairs + 1).fill(QUEUE_SIZE);
    this.reset();
  }

  connect(host: VirtioHost): void {
    this.#host = host;
  }

  #has(bit: number): boolean {
    return hasFeature(this.#s.negotiated as [number, number], bit);
  }

  readConfig(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#configByte(offset + i);
    return value;
  }

  #configByte(at: number): number {
    if (at < CONFIG.STATUS) return this.#s.mac[at]!;
    const words = [STATUS_LINK_UP, this.#mostPairs, this.#mtu];
    return (words[(at - CONFIG.STATUS) >> 1]! >> (8 * (at & 1))) & 0xff;
  }

  /** 5.1.4: the fields are read-only for a driver of version 1. */
  writeConfig(): void {}

  negotiated([low, high]: FeatureWords): void {
    this.#s.negotiated = [low, high];
    this.#filter.begin(this.#has(F.CTRL_RX), this.#has(F.CTRL_VLAN));
  }

  /** 5.1.2: receive and transmit queues in turn; this one follows those that the driver knows of. */
  get #controlQueue(): number {
    return this.#has(F.MQ) ? 2 * this.#mostPairs : 2;
  }

  isFilled(queue: number): boolean {
    return queue % 2 === 0 && queue < this.#controlQueue;
  }

  handle(queue: number, chain: Chain): Completion {
    if (queue === this.#controlQueue) return this.#control(chain);
    if (queue > this.#controlQueue) throw new DriverError("a request in a queue that was not negotiated");
    return { written: 0, moved: this.#send(queue >> 1, chain) };
  }

  #control(chain: Chain): Completion {
    if (!this.#has(F.CTRL_VQ)) throw new DriverError("a control command that was not negotiated");
    const features = {
      rx: this.#has(F.CTRL_RX),
      rxExtra: this.#has(F.CTRL_RX_EXTRA),
      vlan: this.#has(F.CTRL_VLAN),
      macAddress: this.#has(F.CTRL_MAC_ADDR),
      multiqueue: this.#has(F.MQ),
    };
    handleControl(chain, features, {
      filter: this.#filter,
      setMac: (mac) => this.#s.mac.set(mac),
      setPairs: (count) => this.#setPairs(count),
    });
    return { written: 1, moved: 0 };
  }

  #setPairs(count: number): boolean {
    if (count < 1 || count > this.#mostPairs) return false;
    this.#s.pairs = count;
    this.#backlog.narrow(count);
    this.#host?.requestWork(0);
    return true;
  }

  /** A frame from the guest (5.1.6.2). @returns its bytes */
  #send(pair: number, chain: Chain): number {
    if (chain.readable < NETWORK_HEADER) throw new DriverError("a frame without its header");
    const length = chain.readable - NETWORK_HEADER;
    if (length > LONGEST_FRAME) {
      this.drops.tooLong++;
      return 0;
    }
    chain.read(0, this.#outgoing.subarray(0, NETWORK_HEADER + length));
    const frame = this.#outgoing.subarray(NETWORK_HEADER, NETWORK_HEADER + length);
    const work = length < ETHERNET_HEADER ? null : this.#decode(frame);
    if (work === null) {
      this.drops.malformed++;
      return 0;
    }
    if (this.#s.pairs > 1) this.#steering.sent(frame, pair);
    this.counters.sentFrames++;
    this.counters.sentBytes += length;
    this.#link.send(frame, work);
    return length;
  }

  #decode(frame: Uint8Array): FrameWork | null {
    return decodeHeader(this.#outgoing, frame, {
      checksum: this.#has(F.CSUM),
      tcp4: this.#has(F.HOST_TSO4),
      tcp6: this.#has(F.HOST_TSO6),
      ecn: this.#has(F.HOST_ECN),
    });
  }

  /** While no driver runs, frames are taken and lost, as on a cable to a machine that is still starting. */
  get hasRoom(): boolean {
    return !this.#isRunning || this.#backlog.hasRoom;
  }

  get #isRunning(): boolean {
    return this.#host?.running === true;
  }

  receive(frame: Uint8Array, work: FrameWork): boolean {
    if (!this.#isRunning) return this.#drop("noDriver");
    if (frame.length < ETHERNET_HEADER) return this.#drop("malformed");
    if (frame.length > LONGEST_FRAME) return this.#drop("tooLong");
    if (!this.hasRoom) return this.#drop("full");
    if (!this.#filter.passes(frame, this.#s.mac)) {
      this.drops.filtered++;
      return true;
    }
    if (work.segmentation !== null) return this.#receiveSegmented(frame, work);
    const { checksum } = work;
    if (checksum === null) return this.#enqueue(frame, COMPLETE);
    if (!isInside(checksum, frame.length)) return this.#drop("malformed");
    if (this.#has(F.GUEST_CSUM)) return this.#enqueue(frame, work);
    const whole = frame.slice();
    completeChecksum(whole, checksum);
    return this.#enqueue(whole, COMPLETE);
  }

  #receiveSegmented(frame: Uint8Array, work: FrameWork): boolean {
    const { protocol, ecn } = work.segmentation!;
    const taken = this.#has(protocol === "tcp4" ? F.GUEST_TSO4 : F.GUEST_TSO6);
    if (taken && (!ecn || this.#has(F.GUEST_ECN)) && headerLength(frame, work) !== null) {
      return this.#enqueue(frame, work);
    }
    const parts = segments(frame, work);
    if (parts === null) return this.#drop("malformed");
    return parts.map((part) => this.#enqueue(part, COMPLETE)).every(Boolean);
  }

  #drop(reason: keyof NetworkDrops): false {
    this.drops[reason]++;
    return false;
  }

  #enqueue(frame: Uint8Array, work: FrameWork): boolean {
    // 5.1.4.1: a driver that took the MTU gets no packet beyond it, unless it is to be cut.
    const limit = this.#has(F.MTU) && work.segmentation === null ? this.#mtu + MTU_OVERHEAD : LONGEST_FRAME;
    if (frame.length > limit) return this.#drop("tooLong");
    const packet = new Uint8Array(NETWORK_HEADER + frame.length);
    encodeHeader(packet, frame, work);
    packet.set(frame, NETWORK_HEADER);
    const pair = this.#steering.pairFor(frame, this.#s.pairs);
    this.#backlog.push(pair, packet);
    this.#host?.requestWork(2 * pair);
    return true;
  }

  fill(queue: number, ring: Ring): Filled {
    const pair = queue >> 1;
    const packet = this.#backlog.first(pair);
    if (packet === null) return "nothing";
    const chains = this.#takeBuffers(ring, packet.length);
    if (chains === "no buffers") return chains;
    this.#backlog.shift(pair);
    if (chains === "too small") {
      this.drops.tooLong++;
      return 0;
    }
    setBuffers(packet, chains.length);
    let at = 0;
    for (const chain of chains) {
      const written = chain.write(0, packet.subarray(at));
      ring.give(chain, written);
      at += written;
    }
    this.counters.receivedFrames++;
    this.counters.receivedBytes += packet.length - NETWORK_HEADER;
    return packet.length - NETWORK_HEADER;
  }

  /** Buffers for `length` bytes: one, or as many as it takes if the driver merges them (5.1.6.4). */
  #takeBuffers(ring: Ring, length: number): Chain[] | "no buffers" | "too small" {
    const chains: Chain[] = [];
    const most = this.#has(F.MRG_RXBUF) ? ring.size : 1;
    for (let room = 0; room < length; ) {
      const isFull = chains.length === most;
      const chain = isFull ? null : ring.take();
      if (chain === null) {
        while (chains.length > 0) ring.putBack(chains.pop()!);
        return isFull ? "too small" : "no buffers";
      }
      if (chain.readable > 0 || chain.writable < NETWORK_HEADER) {
        throw new DriverError("a receive buffer that cannot take a header");
      }
      chains.push(chain);
      room += chain.writable;
    }
    return chains;
  }

  counts(): Readonly<Record<string, number>> {
    const drops = Object.entries(this.drops).filter(([, count]) => count > 0);
    const named = drops.map(([reason, count]) => [
      `dropped${reason[0]!.toUpperCase()}${reason.slice(1)}`,
      count,
    ]);
    return { ...this.counters, ...Object.fromEntries(named) };
  }

  reset(): void {
    this.#s.mac.set(this.#ownMac);
    this.#s.negotiated.fill(0);
    this.#s.pairs = 1;
    this.#filter.reset();
    this.#steering.reset();
    this.#backlog.clear();
  }

  save(): DeviceState {
    return {
      device: saveRecord(this.#s),
      filter: this.#filter.save(),
      steering: this.#steering.save(),
      backlog: this.#backlog.save(),
    };
  }

  restore(state: DeviceState): void {
    const { device, filter, steering, backlog } = state as Record<string, DeviceState>;
    restoreRecord(this.#s, device!);
    this.#filter.restore(filter!);
    this.#steering.restore(steering!);
    this.#backlog.restore(backlog!);
  }
}
