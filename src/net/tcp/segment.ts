/** TCP segments (RFC 9293, 3.1; RFC 7323 for the window scale). */
import { get16, get32, put16, put32 } from "../bytes.ts";
import { pseudoHeader, sumIsRight, sumWords } from "../checksum.ts";
import { type Ipv4Packet, PROTOCOL } from "../ipv4.ts";
import type { Malformed } from "../malformed.ts";

export const TCP = {
  SOURCE: 0,
  DESTINATION: 2,
  SEQUENCE: 4,
  ACKNOWLEDGMENT: 8,
  DATA_OFFSET: 12,
  FLAGS: 13,
  WINDOW: 14,
  CHECKSUM: 16,
  URGENT: 18,
  /** Length of a header without options. */
  HEADER: 20,
} as const;

export const FLAG = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32 } as const;

const OPTION = { END: 0, NO_OPERATION: 1, MAXIMUM_SEGMENT_SIZE: 2, WINDOW_SCALE: 3 } as const;

/** Larger shifts are taken as this one (RFC 7323, 2.3). */
export const LARGEST_SCALE = 14;

export interface Segment {
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  /** As on the wire: not scaled. */
  readonly window: number;
  /** Of a SYN; null if it has none. */
  readonly maximumSegmentSize: number | null;
  readonly windowScale: number | null;
  readonly payload: Uint8Array;
}

export interface AddressedSegment extends Segment {
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** Sequence numbers that a segment takes. */
export const segmentLength = ({ payload, flags }: Segment): number =>
  payload.length + (flags & FLAG.SYN ? 1 : 0) + (flags & FLAG.FIN ? 1 : 0);

/** @param verify false if the sender left the checksum to the device */
export function parseSegment(packet: Ipv4Packet, verify: boolean): AddressedSegment | Malformed {
  const { source, destination, payload: bytes } = packet;
  if (bytes.length < TCP.HEADER) return "tcp-short";
  const headerLength = (bytes[TCP.DATA_OFFSET]! >> 4) * 4;
  if (headerLength < TCP.HEADER || headerLength > bytes.length) return "tcp-header";
  if (verify) {
    const sum = pseudoHeader(source, destination, PROTOCOL.TCP, bytes.length);
    if (!sumIsRight(sumWords(bytes, 0, bytes.length, sum))) return "tcp-checksum";
  }
  const flags = bytes[TCP.FLAGS]! & 63;
  if (flags & FLAG.SYN && flags & (FLAG.FIN | FLAG.RST)) return "tcp-flags";
  const sourcePort = get16(bytes, TCP.SOURCE);
  const destinationPort = get16(bytes, TCP.DESTINATION);
  if (sourcePort === 0 || destinationPort === 0) return "tcp-port";
  const options = flags & FLAG.SYN ? parseOptions(bytes.subarray(TCP.HEADER, headerLength)) : NO_OPTIONS;
  if (options === null) return "tcp-options";
  return {
    sourcePort,
    destinationPort,
    sequence: get32(bytes, TCP.SEQUENCE),
    acknowledgment: get32(bytes, TCP.ACKNOWLEDGMENT),
    flags,
    window: get16(bytes, TCP.WINDOW),
    ...options,
    payload: bytes.subarray(headerLength),
  };
}

type Options = Pick<Segment, "maximumSegmentSize" | "windowScale">;
const NO_OPTIONS: Options = { maximumSegmentSize: null, windowScale: null };

/** Options of other kinds are skipped by their lengths. */
function parseOptions(bytes: Uint8Array): Options | null {
  let { maximumSegmentSize, windowScale } = NO_OPTIONS;
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes[at]!;
    if (kind === OPTION.END) break;
    if (kind === OPTION.NO_OPERATION) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) return null;
    if (kind === OPTION.MAXIMUM_SEGMENT_SIZE && length === 4) maximumSegmentSize = get16(bytes, at + 2);
    if (kind === OPTION.WINDOW_SCALE && length === 3) windowScale = Math.min(bytes[at + 2]!, LARGEST_SCALE);
    at += length;
  }
  return { maximumSegmentSize, windowScale };
}

export interface SegmentFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Wrapped by the encoder. */
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  /** For a SYN: the maximum segment size, and the window scale unless it is null. */
  readonly options?: { readonly maximumSegmentSize: number; readonly windowScale: number | null };
}

/** Writes a header with a checksum field of 0. @returns its length */
export function writeTcpHeader(bytes: Uint8Array, at: number, fields: SegmentFields): number {
  const { options } = fields;
  let length: number = TCP.HEADER;
  if (options !== undefined) {
    bytes[at + length] = OPTION.MAXIMUM_SEGMENT_SIZE;
    bytes[at + length + 1] = 4;
    put16(bytes, at + length + 2, options.maximumSegmentSize);
    length += 4;
    if (options.windowScale !== null) {
      bytes[at + length] = OPTION.NO_OPERATION;
      bytes[at + length + 1] = OPTION.WINDOW_SCALE;
      bytes[at + length + 2] = 3;
      bytes[at + length + 3] = options.windowScale;
      length += 4;
    }
  }
  put16(bytes, at + TCP.SOURCE, fields.sourcePort);
  put16(bytes, at + TCP.DESTINATION, fields.destinationPort);
  put32(bytes, at + TCP.SEQUENCE, fields.sequence >>> 0);
  put32(bytes, at + TCP.ACKNOWLEDGMENT, fields.acknowledgment >>> 0);
  bytes[at + TCP.DATA_OFFSET] = (length / 4) << 4;
  bytes[at + TCP.FLAGS] = fields.flags;
  put16(bytes, at + TCP.WINDOW, fields.window);
  put16(bytes, at + TCP.CHECKSUM, 0);
  put16(bytes, at + TCP.URGENT, 0);
  return length;
}
