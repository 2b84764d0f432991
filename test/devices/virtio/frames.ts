/** Frames for tests of the network device. */

import { onesComplementSum } from "../../../src/devices/virtio/internet-sum.ts";

export const MAC = Uint8Array.of(0x52, 0x54, 0, 0, 0, 1);
export const PEER = Uint8Array.of(0x52, 0x54, 0, 0, 0, 2);
export const BROADCAST = new Uint8Array(6).fill(0xff);

export function frameTo(address: Uint8Array, length = 60, fill = 0): Uint8Array {
  const frame = new Uint8Array(length).fill(fill);
  frame.set(address);
  frame.set(PEER, 6);
  frame.set([0x88, 0xb5], 12);
  return frame;
}

/** A TCP frame of the given payload, its checksum field holding the pseudo header's sum. */
export function tcpFrame(version: 4 | 6, payload: number, { vlan = false, port = 1000 } = {}) {
  const ip = vlan ? 18 : 14;
  const tcp = ip + (version === 4 ? 20 : 40);
  const frame = new Uint8Array(tcp + 20 + payload);
  const view = new DataView(frame.buffer);
  frame.set(MAC);
  frame.set(PEER, 6);
  if (vlan) frame.set([0x81, 0, 0, 5], 12);
  view.setUint16(ip - 2, version === 4 ? 0x0800 : 0x86dd);
  if (version === 4) {
    frame.set([0x45, 0, 0, 0, 0xff, 0xff, 0x40, 0, 64, 6], ip);
    view.setUint16(ip + 2, frame.length - ip);
    frame.set([10, 0, 0, 1, 10, 0, 0, 2], ip + 12);
    view.setUint16(ip + 10, ~onesComplementSum(frame, ip, ip + 20) & 0xffff);
  } else {
    frame.set([0x60, 0, 0, 0, 0, 0, 6, 64], ip);
    view.setUint16(ip + 4, frame.length - ip - 40);
    frame.set([0xfd, 1], ip + 8);
    frame.set([0xfd, 2], ip + 24);
  }
  view.setUint16(tcp, port);
  view.setUint16(tcp + 2, 80);
  view.setUint32(tcp + 4, 0xffff_fff0);
  // CWR, PSH, ACK and FIN.
  frame.set([0x50, 0x99], tcp + 12);
  for (let i = 0; i < payload; i++) frame[tcp + 20 + i] = i * 7;
  view.setUint16(tcp + 16, pseudoSum(frame, version, ip, frame.length - tcp));
  return { frame, ip, tcp, checksum: { start: tcp, offset: 16 } };
}

const pseudoSum = (frame: Uint8Array, version: 4 | 6, ip: number, length: number): number =>
  version === 4
    ? onesComplementSum(frame, ip + 12, ip + 20, 6 + length)
    : onesComplementSum(frame, ip + 8, ip + 40, 6 + length);

/** 0xffff if IP and TCP checksums are right. */
export function sums(frame: Uint8Array, version: 4 | 6, ip: number, tcp: number): number[] {
  const segment = onesComplementSum(
    frame,
    tcp,
    frame.length,
    pseudoSum(frame, version, ip, frame.length - tcp),
  );
  return version === 4 ? [onesComplementSum(frame, ip, tcp), segment] : [0xffff, segment];
}
