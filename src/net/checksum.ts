/** The Internet checksum (RFC 1071) in the headers of IPv4, ICMP, UDP and TCP. */
import { fold } from "../devices/virtio/internet-sum.ts";

export { fold, sumWords } from "../devices/virtio/internet-sum.ts";

/** What goes into a checksum field. */
export const checksumOf = (sum: number): number => fold(sum) ^ 0xffff;

/** Whether a sum over everything, checksum field included, is as it should be. */
export const sumIsRight = (sum: number): boolean => fold(sum) === 0xffff;

/** The pseudo header of UDP and TCP over IPv4 (RFC 768, RFC 9293, 3.1). @param length of the header and what follows it */
export function pseudoHeader(source: number, destination: number, protocol: number, length: number): number {
  return (
    (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length
  );
}
