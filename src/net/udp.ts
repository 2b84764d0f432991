/** UDP (RFC 768). */
import { get16, put16 } from "./bytes.ts";
import { checksumOf, pseudoHeader, sumIsRight, sumWords } from "./checksum.ts";
import { type Ipv4Packet, PROTOCOL } from "./ipv4.ts";
import type { Endpoint } from "./ipv4-address.ts";
import type { Malformed } from "./malformed.ts";

const UDP = { SOURCE: 0, DESTINATION: 2, LENGTH: 4, CHECKSUM: 6, HEADER: 8 } as const;

/** What fits into an IPv4 packet. */
export const LARGEST_DATAGRAM: number = 65_535 - 20 - UDP.HEADER;

export interface Datagram {
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly data: Uint8Array;
}

/** @param verify false if the sender left the checksum to the device */
export function parseUdp(
  { source, destination, payload }: Ipv4Packet,
  verify: boolean,
): Datagram | Malformed {
  if (payload.length < UDP.HEADER) return "udp-short";
  const length = get16(payload, UDP.LENGTH);
  if (length < UDP.HEADER || length > payload.length) return "udp-length";
  // A checksum of 0 says that there is none.
  if (verify && get16(payload, UDP.CHECKSUM) !== 0) {
    const sum = pseudoHeader(source, destination, PROTOCOL.UDP, length);
    if (!sumIsRight(sumWords(payload, 0, length, sum))) return "udp-checksum";
  }
  const ports = [get16(payload, UDP.SOURCE), get16(payload, UDP.DESTINATION)] as const;
  if (ports[1] === 0) return "tcp-port";
  return {
    source: { address: source, port: ports[0] },
    destination: { address: destination, port: ports[1] },
    data: payload.subarray(UDP.HEADER, length),
  };
}

/** Header and data, to be put into an IPv4 packet, or several. */
export function encodeUdp({ source, destination, data }: Datagram): Uint8Array {
  const bytes = new Uint8Array(UDP.HEADER + data.length);
  put16(bytes, UDP.SOURCE, source.port);
  put16(bytes, UDP.DESTINATION, destination.port);
  put16(bytes, UDP.LENGTH, bytes.length);
  bytes.set(data, UDP.HEADER);
  const sum = pseudoHeader(source.address, destination.address, PROTOCOL.UDP, bytes.length);
  put16(bytes, UDP.CHECKSUM, checksumOf(sumWords(bytes, 0, bytes.length, sum)) || 0xffff);
  return bytes;
}
