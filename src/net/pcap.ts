/**
 * Writes what crosses network devices into a pcapng file (draft-ietf-opsawg-pcapng), which Wireshark reads: an interface
 * for each device, time stamps in virtual nanoseconds behind the date at power-on.
 *
 * Frames are kept as they crossed. One that stands for several (TSO) is one long frame here, as it is in captures on Linux
 * hosts; a comment with it says so. Checksums that were left to be computed are wrong here.
 */
import type { FrameWork } from "../devices/virtio/network-link.ts";

const BLOCK = { SECTION_HEADER: 0x0a0d_0d0a, INTERFACE_DESCRIPTION: 1, ENHANCED_PACKET: 6 } as const;
const OPTION = {
  END: 0,
  COMMENT: 1,
  SECTION_APPLICATION: 4,
  INTERFACE_NAME: 2,
  INTERFACE_MAC: 6,
  INTERFACE_TIME_RESOLUTION: 9,
  PACKET_FLAGS: 2,
} as const;
const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;
const LINKTYPE_ETHERNET = 1;
/** 10^-9 seconds. */
const NANOSECONDS = 9;
/** Bits 0 and 1 of epb_flags. */
const DIRECTION = { "to guest": 1, "from guest": 2 } as const;

export type Direction = keyof typeof DIRECTION;

export interface CaptureInterface {
  readonly name: string;
  /** Ethernet address of the guest's device, 6 bytes. */
  readonly mac: Uint8Array;
}

interface Option {
  readonly code: number;
  readonly value: Uint8Array;
}

/** Everything in a block is padded to 32 bits. */
const padded = (length: number): number => (length + 3) & ~3;

const text = (code: number, value: string): Option => ({ code, value: Buffer.from(value) });

function optionsLength(options: readonly Option[]): number {
  if (options.length === 0) return 0;
  return options.reduce((sum, { value }) => sum + 4 + padded(value.length), 4);
}

function writeOptions(block: Buffer, offset: number, options: readonly Option[]): void {
  let at = offset;
  for (const { code, value } of options) {
    block.writeUInt16LE(code, at);
    block.writeUInt16LE(value.length, at + 2);
    block.set(value, at + 4);
    at += 4 + padded(value.length);
  }
}

/** A block: type, length, body, options, length again. */
function makeBlock(type: number, bodyLength: number, options: readonly Option[]): Buffer {
  const length = 12 + padded(bodyLength) + optionsLength(options);
  const block = Buffer.alloc(length);
  block.writeUInt32LE(type, 0);
  block.writeUInt32LE(length, 4);
  writeOptions(block, 8 + padded(bodyLength), options);
  block.writeUInt32LE(length, length - 4);
  return block;
}

function sectionHeader(application: string): Buffer {
  const block = makeBlock(BLOCK.SECTION_HEADER, 16, [text(OPTION.SECTION_APPLICATION, application)]);
  block.writeUInt32LE(BYTE_ORDER_MAGIC, 8);
  block.writeUInt16LE(1, 12);
  // The section's length is not known.
  block.writeBigInt64LE(-1n, 16);
  return block;
}

function interfaceDescription({ name, mac }: CaptureInterface): Buffer {
  const options = [
    text(OPTION.INTERFACE_NAME, name),
    { code: OPTION.INTERFACE_MAC, value: mac },
    { code: OPTION.INTERFACE_TIME_RESOLUTION, value: Uint8Array.of(NANOSECONDS) },
  ];
  const block = makeBlock(BLOCK.INTERFACE_DESCRIPTION, 8, options);
  block.writeUInt16LE(LINKTYPE_ETHERNET, 8);
  // No limit on the length of packets.
  block.writeUInt32LE(0, 12);
  return block;
}

function comment({ segmentation }: FrameWork): Option[] {
  if (segmentation === null) return [];
  return [text(OPTION.COMMENT, `to be cut into segments of ${segmentation.size} bytes of payload`)];
}

/** What is kept in memory before it goes out. */
const CHUNK = 2 ** 16;

export interface CaptureOptions {
  /** Name and version of what captures. */
  readonly application: string;
  /** Date at power-on, seconds since 1970 UTC. */
  readonly startDate: number;
  readonly interfaces: readonly CaptureInterface[];
  /** Takes bytes at once. */
  readonly write: (bytes: Uint8Array) => void;
}

export class Capture {
  readonly #write: (bytes: Uint8Array) => void;
  readonly #start: bigint;
  #blocks: Buffer[] = [];
  #length = 0;

  constructor({ application, startDate, interfaces, write }: CaptureOptions) {
    this.#write = write;
    this.#start = BigInt(startDate) * 1_000_000_000n;
    for (const block of [sectionHeader(application), ...interfaces.map(interfaceDescription)])
      this.#add(block);
    this.flush();
  }

  /** @param time virtual ns since power-on. @param device number of the interface */
  frame(time: number, device: number, direction: Direction, frame: Uint8Array, work: FrameWork): void {
    const flags = Buffer.alloc(4);
    flags.writeUInt32LE(DIRECTION[direction]);
    const options = [{ code: OPTION.PACKET_FLAGS, value: flags }, ...comment(work)];
    const block = makeBlock(BLOCK.ENHANCED_PACKET, 20 + frame.length, options);
    const stamp = this.#start + BigInt(time);
    block.writeUInt32LE(device, 8);
    block.writeUInt32LE(Number(stamp >> 32n), 12);
    block.writeUInt32LE(Number(stamp & 0xffff_ffffn), 16);
    block.writeUInt32LE(frame.length, 20);
    block.writeUInt32LE(frame.length, 24);
    block.set(frame, 28);
    this.#add(block);
  }

  #add(block: Buffer): void {
    this.#blocks.push(block);
    this.#length += block.length;
    if (this.#length >= CHUNK) this.flush();
  }

  /** Passes on what is there: whole blocks. */
  flush(): void {
    if (this.#length === 0) return;
    const bytes = Buffer.concat(this.#blocks);
    this.#blocks = [];
    this.#length = 0;
    this.#write(bytes);
  }
}
