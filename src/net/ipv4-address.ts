/** IPv4 addresses as numbers of 32 bits, and endpoints: an address and a port. */
export interface Endpoint {
  readonly address: number;
  readonly port: number;
}

/** @returns null if it is not four decimal numbers below 256 */
export function parseIpv4(text: string): number | null {
  if (!/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text)) return null;
  let address = 0;
  for (const part of text.split(".")) {
    if (Number(part) > 255) return null;
    address = address * 256 + Number(part);
  }
  return address;
}

export const formatIpv4 = (address: number): string =>
  [address >>> 24, (address >>> 16) & 0xff, (address >>> 8) & 0xff, address & 0xff].join(".");

/** Whether packets to it can leave their host: not this network, loopback, multicast, class E, or broadcast (RFC 6890). */
export function isUnicast(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}
