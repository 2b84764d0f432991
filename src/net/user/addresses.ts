/** The addresses of the user network: those of QEMU's, so that guests and habits fit. */
import { put32 } from "../bytes.ts";

/** 10.0.2.0/24. */
export const GUEST_NETWORK = 0x0a00_0200;
export const NETMASK = 0xffff_ff00;
export const NETWORK_BROADCAST = 0x0a00_02ff;
/** The host, and the router. */
export const HOST = 0x0a00_0202;
export const DNS_SERVER = 0x0a00_0203;
/** What DHCP gives. */
export const GUEST = 0x0a00_020f;
export const LIMITED_BROADCAST = 0xffff_ffff;

export const DNS_PORT = 53;

export const isOnNetwork = (address: number): boolean => (address & NETMASK) >>> 0 === GUEST_NETWORK;

/** Whether it is an address of this side. */
export const isOwn = (address: number): boolean => address === HOST || address === DNS_SERVER;

/** Whether a guest may have it. */
export const isGuests = (address: number): boolean =>
  isOnNetwork(address) && !isOwn(address) && address !== GUEST_NETWORK && address !== NETWORK_BROADCAST;

/** 52:55 and the IPv4 address, as QEMU does. The second bit says that it is administered locally. */
export function macOf(address: number): Uint8Array {
  const mac = new Uint8Array([0x52, 0x55, 0, 0, 0, 0]);
  put32(mac, 2, address);
  return mac;
}

export const HOST_MAC: Uint8Array = macOf(HOST);
export const DNS_MAC: Uint8Array = macOf(DNS_SERVER);
