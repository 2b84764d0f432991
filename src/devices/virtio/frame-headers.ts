/** Where the headers of an Ethernet frame lie: for those who cut frames up, sum them or spread them over queues. */

/** EtherTypes (IEEE 802, as IANA lists them). */
export const ETHERTYPE = {
  IPV4: 0x0800,
  ARP: 0x0806,
  VLAN: 0x8100,
  IPV6: 0x86dd,
  SERVICE_VLAN: 0x88a8,
} as const;
/** IP protocol numbers. */
export const IP_PROTOCOL = { TCP: 6, UDP: 17 } as const;

/** Destination and source address, EtherType. */
export const ETHERNET_HEADER = 14;
const VLAN_TAG = 4;
/** Tags that are looked through: a service tag and a customer's. */
const MOST_TAGS = 2;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;

export const read16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
export const read32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;

export function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function write32(bytes: Uint8Array, at: number, value: number): void {
  write16(bytes, at, value >>> 16);
  write16(bytes, at + 2, value);
}

/** An IP packet in a frame. */
export interface IpHeader {
  readonly version: 4 | 6;
  /** Offset of the header in the frame. */
  readonly start: number;
  /** Offset of what follows: for IPv6, what follows the fixed header. */
  readonly end: number;
  /** Of what follows; for IPv6 it may be an extension header. */
  readonly protocol: number;
  /** The packet is a part of one that was cut up by IP itself. */
  readonly fragment: boolean;
}

/** The IP header of a frame, behind VLAN tags too; null if it has none, or none that is whole. */
export function ipHeader(frame: Uint8Array): IpHeader | null {
  let start = ETHERNET_HEADER;
  for (let tags = 0; ; tags++) {
    if (frame.length < start) return null;
    const type = read16(frame, start - 2);
    if (type === ETHERTYPE.IPV4) return ipv4Header(frame, start);
    if (type === ETHERTYPE.IPV6) return ipv6Header(frame, start);
    const isTag = type === ETHERTYPE.VLAN || type === ETHERTYPE.SERVICE_VLAN;
    if (!isTag || tags === MOST_TAGS) return null;
    start += VLAN_TAG;
  }
}

/** RFC 791, 3.1. */
function ipv4Header(frame: Uint8Array, start: number): IpHeader | null {
  if (frame.length < start + IPV4_HEADER || frame[start]! >> 4 !== 4) return null;
  const end = start + 4 * (frame[start]! & 15);
  if (end < start + IPV4_HEADER || end > frame.length) return null;
  // Everything but "may be fragmented": more fragments, and the offset.
  const fragment = (read16(frame, start + 6) & 0x3fff) !== 0;
  return { version: 4, start, end, protocol: frame[start + 9]!, fragment };
}

/** RFC 8200, 3. */
function ipv6Header(frame: Uint8Array, start: number): IpHeader | null {
  const end = start + IPV6_HEADER;
  if (frame.length < end || frame[start]! >> 4 !== 6) return null;
  return { version: 6, start, end, protocol: frame[start + 6]!, fragment: false };
}
