/** `struct virtio_net_hdr` (5.1.6), which lies before each frame in a queue, and what it says about the frame. */
import { isInside } from "./checksum.ts";
import { COMPLETE, type FrameWork, type Segmentation } from "./network-link.ts";
import { headerLength } from "./segmentation.ts";

const FIELD = {
  FLAGS: 0,
  GSO_TYPE: 1,
  HDR_LEN: 2,
  GSO_SIZE: 4,
  CSUM_START: 6,
  CSUM_OFFSET: 8,
  NUM_BUFFERS: 10,
} as const;
/** Bytes of the header for every driver of version 1 (5.1.6.1). */
export const NETWORK_HEADER = 12;

const NEEDS_CSUM = 1;
const GSO = { NONE: 0, TCPV4: 1, TCPV6: 4, ECN: 0x80 } as const;

const get16 = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8);

function set16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

/** What a driver may leave to the device. */
export interface OffloadsTaken {
  readonly checksum: boolean;
  readonly tcp4: boolean;
  readonly tcp6: boolean;
  readonly ecn: boolean;
}

/**
 * Reads the header of a frame that the driver sends (5.1.6.2).
 * @returns null if it asks for what was not negotiated, or for what cannot be done to the frame
 */
export function decodeHeader(header: Uint8Array, frame: Uint8Array, taken: OffloadsTaken): FrameWork | null {
  const type = header[FIELD.GSO_TYPE]!;
  if ((header[FIELD.FLAGS]! & NEEDS_CSUM) === 0) return type === GSO.NONE ? COMPLETE : null;
  const checksum = { start: get16(header, FIELD.CSUM_START), offset: get16(header, FIELD.CSUM_OFFSET) };
  if (!taken.checksum || !isInside(checksum, frame.length)) return null;
  if (type === GSO.NONE) return { checksum, segmentation: null };
  const protocol = protocolOf(type & ~GSO.ECN);
  const ecn = (type & GSO.ECN) !== 0;
  const size = get16(header, FIELD.GSO_SIZE);
  if (protocol === null || !taken[protocol] || (ecn && !taken.ecn) || size === 0) return null;
  const work = { checksum, segmentation: { protocol, size, ecn } };
  return headerLength(frame, work) === null ? null : work;
}

function protocolOf(type: number): Segmentation["protocol"] | null {
  if (type === GSO.TCPV4) return "tcp4";
  return type === GSO.TCPV6 ? "tcp6" : null;
}

/**
 * Writes the header of a frame for the driver (5.1.6.4), for one buffer.
 * @param work what the driver is to do; it must fit the frame
 */
export function encodeHeader(header: Uint8Array, frame: Uint8Array, work: FrameWork): void {
  const { checksum, segmentation } = work;
  header.fill(0, 0, NETWORK_HEADER);
  setBuffers(header, 1);
  if (checksum !== null) {
    header[FIELD.FLAGS] = NEEDS_CSUM;
    set16(header, FIELD.CSUM_START, checksum.start);
    set16(header, FIELD.CSUM_OFFSET, checksum.offset);
  }
  if (segmentation === null) return;
  const type = segmentation.protocol === "tcp4" ? GSO.TCPV4 : GSO.TCPV6;
  header[FIELD.GSO_TYPE] = type | (segmentation.ecn ? GSO.ECN : 0);
  set16(header, FIELD.GSO_SIZE, segmentation.size);
  set16(header, FIELD.HDR_LEN, headerLength(frame, work) ?? 0);
}

/** The number of buffers that the frame is in. */
export function setBuffers(header: Uint8Array, count: number): void {
  set16(header, FIELD.NUM_BUFFERS, count);
}
