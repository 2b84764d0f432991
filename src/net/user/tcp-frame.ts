/** Frames of TCP connections: headers before what the connection has written, and a checksum, or the word that one is missing. */
import { COMPLETE, type FrameWork } from "../../devices/virtio/network-link.ts";
import type { OutgoingFrame } from "../backend.ts";
import { put16 } from "../bytes.ts";
import { checksumOf, fold, pseudoHeader, sumWords } from "../checksum.ts";
import { ETHERNET, ETHERTYPE, writeEthernet } from "../ethernet.ts";
import { IPV4, PROTOCOL, writeIpv4 } from "../ipv4.ts";
import type { TcpConnection } from "../tcp/connection.ts";
import { TCP } from "../tcp/segment.ts";
import { sourceMac } from "./output.ts";

/** Where TCP headers are in frames of this side. */
export const TCP_AT: number = ETHERNET.HEADER + IPV4.HEADER;
/** Payload of a frame that its receiver cuts up. */
export const LARGEST_PAYLOAD: number = 65_535 - IPV4.HEADER - TCP.HEADER;

export interface TcpFrameOptions {
  /** The guest's. */
  readonly mac: Uint8Array;
  readonly identification: number;
  /** Whether the receiver finishes checksums and cuts up what is longer than a segment. */
  readonly unfinished: boolean;
}

/** @param frame Ethernet and IPv4 headers are put before the segment at `TCP_AT`, which goes to its end */
export function tcpFrame(
  frame: Uint8Array,
  { local, remote, segmentSize }: TcpConnection,
  { mac, identification, unfinished }: TcpFrameOptions,
): OutgoingFrame {
  const length = frame.length - TCP_AT;
  writeEthernet(frame, mac, sourceMac(local.address), ETHERTYPE.IPV4);
  writeIpv4(frame, ETHERNET.HEADER, {
    source: local.address,
    destination: remote.address,
    protocol: PROTOCOL.TCP,
    identification,
    length,
  });
  const sum = pseudoHeader(local.address, remote.address, PROTOCOL.TCP, length);
  if (!unfinished) {
    put16(frame, TCP_AT + TCP.CHECKSUM, checksumOf(sumWords(frame, TCP_AT, frame.length, sum)));
    return { frame, work: COMPLETE };
  }
  put16(frame, TCP_AT + TCP.CHECKSUM, fold(sum));
  const payload = length - (frame[TCP_AT + TCP.DATA_OFFSET]! >> 4) * 4;
  const work: FrameWork = {
    checksum: { start: TCP_AT, offset: TCP.CHECKSUM },
    segmentation: payload > segmentSize ? { protocol: "tcp4", size: segmentSize, ecn: false } : null,
  };
  return { frame, work };
}
