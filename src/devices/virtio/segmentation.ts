/** Cuts a frame that stands for several into those (TCP segmentation offload, 5.1.6.2). */
import { completeChecksum } from "./checksum.ts";
import { IP_PROTOCOL, type IpHeader, ipHeader, read16, read32, write16, write32 } from "./frame-headers.ts";
import { onesComplementSum } from "./internet-sum.ts";
import type { FrameWork, PartialChecksum, Segmentation } from "./network-link.ts";

/** TCP header (RFC 9293, 3.1). */
const TCP = { SEQUENCE: 4, DATA_OFFSET: 12, FLAGS: 13, CHECKSUM: 16, LENGTH: 20 } as const;
const FIN = 0x01;
const PSH = 0x08;
const CWR = 0x80;
/** IPv4 and IPv6 headers (RFC 791, 3.1; RFC 8200, 3). */
const IPV4 = { TOTAL_LENGTH: 2, IDENTIFICATION: 4, CHECKSUM: 10, ADDRESSES: 12, LENGTH: 20 } as const;
const IPV6 = { PAYLOAD_LENGTH: 4, ADDRESSES: 8, LENGTH: 40 } as const;

/** More segments than this are no frame that anybody means: 64 KiB in pieces of 256 bytes. */
export const MOST_SEGMENTS = 256;

interface Layout {
  readonly ip: IpHeader;
  /** Offset of the TCP header, and of the payload. */
  readonly tcp: number;
  readonly payload: number;
}

/** Where the headers of a frame lie that is to be cut; null if it cannot be. */
function layoutOf(
  frame: Uint8Array,
  checksum: PartialChecksum,
  protocol: Segmentation["protocol"],
): Layout | null {
  const ip = ipHeader(frame);
  if (ip === null || ip.fragment || ip.version !== (protocol === "tcp4" ? 4 : 6)) return null;
  const tcp = checksum.start;
  if (checksum.offset !== TCP.CHECKSUM || tcp < ip.end || tcp + TCP.LENGTH > frame.length) return null;
  // With IPv6 extension headers may lie between.
  if (ip.version === 4 && (tcp !== ip.end || ip.protocol !== IP_PROTOCOL.TCP)) return null;
  const length = 4 * (frame[tcp + TCP.DATA_OFFSET]! >> 4);
  if (length < TCP.LENGTH || tcp + length > frame.length) return null;
  return { ip, tcp, payload: tcp + length };
}

/** Bytes of the headers that each segment repeats; null if the frame is not one that can be cut. */
export function headerLength(frame: Uint8Array, { checksum, segmentation }: FrameWork): number | null {
  if (checksum === null || segmentation === null) return null;
  return layoutOf(frame, checksum, segmentation.protocol)?.payload ?? null;
}

/**
 * Cuts a frame up. Every segment is a frame of its own with nothing left to do.
 * @returns null if it is not what its `work` says, or would be more than `MOST_SEGMENTS`
 */
export function segments(frame: Uint8Array, { checksum, segmentation }: FrameWork): Uint8Array[] | null {
  if (checksum === null || segmentation === null || segmentation.size < 1) return null;
  const layout = layoutOf(frame, checksum, segmentation.protocol);
  if (layout === null) return null;
  const { payload } = layout;
  const count = Math.max(1, Math.ceil((frame.length - payload) / segmentation.size));
  if (count > MOST_SEGMENTS) return null;
  return Array.from({ length: count }, (_, i) => {
    const from = payload + i * segmentation.size;
    const data = frame.subarray(from, Math.min(from + segmentation.size, frame.length));
    const segment = new Uint8Array(payload + data.length);
    segment.set(frame.subarray(0, payload));
    segment.set(data, payload);
    finish(segment, layout, { index: i, last: i === count - 1, offset: from - payload });
    return segment;
  });
}

interface Place {
  readonly index: number;
  readonly last: boolean;
  /** Of its payload in the frame's. */
  readonly offset: number;
}

/** Makes a copy of the headers those of one segment. */
function finish(segment: Uint8Array, { ip, tcp }: Layout, { index, last, offset }: Place): void {
  finishIp(segment, ip, index);
  write32(segment, tcp + TCP.SEQUENCE, (read32(segment, tcp + TCP.SEQUENCE) + offset) >>> 0);
  // RFC 3168, 6.1.2: one answer to a congestion signal is enough. What ends the data belongs to its end.
  let flags = segment[tcp + TCP.FLAGS]!;
  if (index > 0) flags &= ~CWR;
  if (!last) flags &= ~(FIN | PSH);
  segment[tcp + TCP.FLAGS] = flags;
  write16(segment, tcp + TCP.CHECKSUM, pseudoHeaderSum(segment, ip, segment.length - tcp));
  completeChecksum(segment, { start: tcp, offset: TCP.CHECKSUM });
}

function finishIp(segment: Uint8Array, { version, start, end }: IpHeader, index: number): void {
  if (version === 6) {
    write16(segment, start + IPV6.PAYLOAD_LENGTH, segment.length - start - IPV6.LENGTH);
    return;
  }
  write16(segment, start + IPV4.TOTAL_LENGTH, segment.length - start);
  write16(segment, start + IPV4.IDENTIFICATION, read16(segment, start + IPV4.IDENTIFICATION) + index);
  write16(segment, start + IPV4.CHECKSUM, 0);
  write16(segment, start + IPV4.CHECKSUM, ~onesComplementSum(segment, start, end));
}

/** The sum of TCP's pseudo header (RFC 9293, 3.1; RFC 8200, 8.1) for `length` bytes of segment. */
function pseudoHeaderSum(frame: Uint8Array, { version, start }: IpHeader, length: number): number {
  const [from, to] =
    version === 4
      ? [start + IPV4.ADDRESSES, start + IPV4.LENGTH]
      : [start + IPV6.ADDRESSES, start + IPV6.LENGTH];
  return onesComplementSum(frame, from, to, IP_PROTOCOL.TCP + length);
}
