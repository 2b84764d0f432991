/** The address resolution protocol (RFC 826) for IPv4 on Ethernet. */
import { get16, get32, put16, put32 } from "./bytes.ts";
import { ETHERNET, ETHERTYPE, writeEthernet } from "./ethernet.ts";

const FIELD = {
  HARDWARE_TYPE: 0,
  PROTOCOL_TYPE: 2,
  HARDWARE_LENGTH: 4,
  PROTOCOL_LENGTH: 5,
  OPERATION: 6,
  SENDER_MAC: 8,
  SENDER_ADDRESS: 14,
  TARGET_MAC: 18,
  TARGET_ADDRESS: 24,
  LENGTH: 28,
} as const;

const HARDWARE_ETHERNET = 1;

export const ARP_OPERATION = { REQUEST: 1, REPLY: 2 } as const;

export interface ArpPacket {
  readonly operation: number;
  readonly senderMac: Uint8Array;
  readonly senderAddress: number;
  readonly targetMac: Uint8Array;
  readonly targetAddress: number;
}

/** @returns null if it is cut short, or not about IPv4 on Ethernet */
export function parseArp(frame: Uint8Array): ArpPacket | null {
  const arp = frame.subarray(ETHERNET.HEADER);
  if (
    arp.length < FIELD.LENGTH ||
    get16(arp, FIELD.HARDWARE_TYPE) !== HARDWARE_ETHERNET ||
    get16(arp, FIELD.PROTOCOL_TYPE) !== ETHERTYPE.IPV4 ||
    arp[FIELD.HARDWARE_LENGTH] !== 6 ||
    arp[FIELD.PROTOCOL_LENGTH] !== 4
  ) {
    return null;
  }
  return {
    operation: get16(arp, FIELD.OPERATION),
    senderMac: arp.slice(FIELD.SENDER_MAC, FIELD.SENDER_MAC + 6),
    senderAddress: get32(arp, FIELD.SENDER_ADDRESS),
    targetMac: arp.slice(FIELD.TARGET_MAC, FIELD.TARGET_MAC + 6),
    targetAddress: get32(arp, FIELD.TARGET_ADDRESS),
  };
}

/** A whole frame. @param destination of the frame: for requests the broadcast address */
export function encodeArp(packet: ArpPacket, destination: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ETHERNET.HEADER + FIELD.LENGTH);
  writeEthernet(frame, destination, packet.senderMac, ETHERTYPE.ARP);
  const arp = frame.subarray(ETHERNET.HEADER);
  put16(arp, FIELD.HARDWARE_TYPE, HARDWARE_ETHERNET);
  put16(arp, FIELD.PROTOCOL_TYPE, ETHERTYPE.IPV4);
  arp[FIELD.HARDWARE_LENGTH] = 6;
  arp[FIELD.PROTOCOL_LENGTH] = 4;
  put16(arp, FIELD.OPERATION, packet.operation);
  arp.set(packet.senderMac, FIELD.SENDER_MAC);
  put32(arp, FIELD.SENDER_ADDRESS, packet.senderAddress);
  arp.set(packet.targetMac, FIELD.TARGET_MAC);
  put32(arp, FIELD.TARGET_ADDRESS, packet.targetAddress);
  return frame;
}
