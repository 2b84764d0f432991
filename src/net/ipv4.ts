/** IPv4 headers (RFC 791). Options are skipped, as RFC 1122, 3.2.1.8 allows for those that are not understood. */
import { get16, get32, put16, put32 } from "./bytes.ts";
import { checksumOf, sumIsRight, sumWords } from "./checksum.ts";
import { ETHERNET } from "./ethernet.ts";
import type { Malformed } from "./malformed.ts";

export const IPV4 = {
  VERSION_IHL: 0,
  TYPE_OF_SERVICE: 1,
  TOTAL_LENGTH: 2,
  IDENTIFICATION: 4,
  FRAGMENT: 6,
  TIME_TO_LIVE: 8,
  PROTOCOL: 9,
  CHECKSUM: 10,
  SOURCE: 12,
  DESTINATION: 16,
  /** Length of a header without options. */
  HEADER: 20,
} as const;

export const PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17 } as const;

/** Bits of the field FRAGMENT. */
const FRAGMENT_BITS = { DONT: 0x4000, MORE: 0x2000, OFFSET: 0x1fff } as const;

const DEFAULT_TTL = 64;

export interface Ipv4Packet {
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  readonly timeToLive: number;
  readonly identification: number;
  readonly moreFragments: boolean;
  /** Bytes. */
  readonly fragmentOffset: number;
  /** The header with its options. */
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
}

/** The packet in a frame. What follows its total length is padding. */
export function parseIpv4Packet(frame: Uint8Array): Ipv4Packet | Malformed {
  const start = ETHERNET.HEADER;
  if (frame.length < start + IPV4.HEADER) return "ipv4-short";
  if (frame[start]! >> 4 !== 4) return "ipv4-version";
  const headerLength = (frame[start]! & 15) * 4;
  if (headerLength < IPV4.HEADER || start + headerLength > frame.length) return "ipv4-header";
  const totalLength = get16(frame, start + IPV4.TOTAL_LENGTH);
  if (totalLength < headerLength || start + totalLength > frame.length) return "ipv4-length";
  if (!sumIsRight(sumWords(frame, start, start + headerLength))) return "ipv4-checksum";
  const fragment = get16(frame, start + IPV4.FRAGMENT);
  return {
    source: get32(frame, start + IPV4.SOURCE),
    destination: get32(frame, start + IPV4.DESTINATION),
    protocol: frame[start + IPV4.PROTOCOL]!,
    timeToLive: frame[start + IPV4.TIME_TO_LIVE]!,
    identification: get16(frame, start + IPV4.IDENTIFICATION),
    moreFragments: (fragment & FRAGMENT_BITS.MORE) !== 0,
    fragmentOffset: (fragment & FRAGMENT_BITS.OFFSET) * 8,
    header: frame.subarray(start, start + headerLength),
    payload: frame.subarray(start + headerLength, start + totalLength),
  };
}

export interface Ipv4Fields {
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  readonly identification: number;
  /** Bytes after the header. */
  readonly length: number;
  /** For fragments: where it belongs, in bytes, and whether more follow. Otherwise the packet may not be fragmented. */
  readonly fragment?: { readonly offset: number; readonly more: boolean };
}

/** Writes a header without options, checksum included. */
export function writeIpv4(bytes: Uint8Array, at: number, fields: Ipv4Fields): void {
  const { fragment } = fields;
  bytes[at + IPV4.VERSION_IHL] = 0x45;
  bytes[at + IPV4.TYPE_OF_SERVICE] = 0;
  put16(bytes, at + IPV4.TOTAL_LENGTH, IPV4.HEADER + fields.length);
  put16(bytes, at + IPV4.IDENTIFICATION, fields.identification);
  const bits =
    fragment === undefined
      ? FRAGMENT_BITS.DONT
      : (fragment.offset >> 3) | (fragment.more ? FRAGMENT_BITS.MORE : 0);
  put16(bytes, at + IPV4.FRAGMENT, bits);
  bytes[at + IPV4.TIME_TO_LIVE] = DEFAULT_TTL;
  bytes[at + IPV4.PROTOCOL] = fields.protocol;
  put16(bytes, at + IPV4.CHECKSUM, 0);
  put32(bytes, at + IPV4.SOURCE, fields.source);
  put32(bytes, at + IPV4.DESTINATION, fields.destination);
  put16(bytes, at + IPV4.CHECKSUM, checksumOf(sumWords(bytes, at, at + IPV4.HEADER)));
}
