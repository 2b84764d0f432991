/** Ethernet frames without preamble and frame check sequence. */
import { get16, put16 } from "./bytes.ts";

export const ETHERNET = {
  DESTINATION: 0,
  SOURCE: 6,
  TYPE: 12,
  /** Length of the header. */
  HEADER: 14,
} as const;

export const ETHERTYPE = { IPV4: 0x0800, ARP: 0x0806 } as const;

export const BROADCAST_MAC: Uint8Array = new Uint8Array(6).fill(0xff);

/** Whether the address is that of a group, broadcast included. */
export const isGroup = (mac: Uint8Array): boolean => (mac[0]! & 1) !== 0;

export const sameMac = (a: Uint8Array, b: Uint8Array): boolean => {
  for (let i = 0; i < 6; i++) if (a[i] !== b[i]) return false;
  return true;
};

export const etherType = (frame: Uint8Array): number => get16(frame, ETHERNET.TYPE);

export function writeEthernet(
  frame: Uint8Array,
  destination: Uint8Array,
  source: Uint8Array,
  type: number,
): void {
  frame.set(destination, ETHERNET.DESTINATION);
  frame.set(source, ETHERNET.SOURCE);
  put16(frame, ETHERNET.TYPE, type);
}
