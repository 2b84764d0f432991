/** ICMP (RFC 792) as a router and a host answer with it. Functions give messages without IPv4 header. */
import { put16 } from "./bytes.ts";
import { checksumOf, sumWords } from "./checksum.ts";
import type { Ipv4Packet } from "./ipv4.ts";

export const ICMP = { TYPE: 0, CODE: 1, CHECKSUM: 2, MTU: 6, HEADER: 8 } as const;

export const ICMP_TYPE = {
  ECHO_REPLY: 0,
  UNREACHABLE: 3,
  ECHO_REQUEST: 8,
  TIME_EXCEEDED: 11,
} as const;

/** Codes of UNREACHABLE (RFC 792, RFC 1812, 5.2.7.1). */
export const UNREACHABLE = {
  NETWORK: 0,
  HOST: 1,
  PROTOCOL: 2,
  PORT: 3,
  PROHIBITED: 13,
} as const;
export type UnreachableCode = (typeof UNREACHABLE)[keyof typeof UNREACHABLE];

/** How much of the packet goes into an answer at most: with both headers 576 bytes (RFC 1812, 4.3.2.3). */
const QUOTE = 576 - 20 - ICMP.HEADER;

function sealed(message: Uint8Array): Uint8Array {
  put16(message, ICMP.CHECKSUM, 0);
  put16(message, ICMP.CHECKSUM, checksumOf(sumWords(message, 0, message.length)));
  return message;
}

/** An error about a packet. */
export function icmpError(type: number, code: number, about: Ipv4Packet): Uint8Array {
  const payload = about.payload.subarray(0, QUOTE - about.header.length);
  const message = new Uint8Array(ICMP.HEADER + about.header.length + payload.length);
  message[ICMP.TYPE] = type;
  message[ICMP.CODE] = code;
  message.set(about.header, ICMP.HEADER);
  message.set(payload, ICMP.HEADER + about.header.length);
  return sealed(message);
}

/** The answer to an echo request: the same identifier, sequence number and data. */
export function echoReply(request: Uint8Array): Uint8Array {
  const message = request.slice();
  message[ICMP.TYPE] = ICMP_TYPE.ECHO_REPLY;
  return sealed(message);
}

/**
 * Whether errors may be sent about a packet (RFC 1122, 3.2.2): not about ICMP errors, fragments but the first, or packets to groups
 * or from nobody.
 */
export function mayBeAnswered({
  source,
  destination,
  fragmentOffset,
  protocol,
  payload,
}: Ipv4Packet): boolean {
  if (source === 0 || destination >>> 28 >= 14 || fragmentOffset > 0) return false;
  return protocol !== 1 || payload[ICMP.TYPE] === ICMP_TYPE.ECHO_REQUEST;
}
