/**
 * What can be wrong with a frame. The texts are fixed: nothing that a guest controls gets into a log. Each kind is told once
 * when it first occurs, and all are counted.
 */
export const MALFORMED = {
  "frame-short": "a frame shorter than an Ethernet header",
  "frame-long": "a frame longer than 65,550 bytes",
  arp: "an ARP packet that is cut short or not about IPv4 on Ethernet",
  "ipv4-short": "an IPv4 packet that is cut short",
  "ipv4-version": "an IPv4 packet of another version",
  "ipv4-header": "an IPv4 header of a wrong length",
  "ipv4-length": "an IPv4 total length that does not fit the frame",
  "ipv4-checksum": "a wrong IPv4 header checksum",
  "ipv4-source": "an IPv4 source address that is not the guest's",
  "ipv4-destination": "an IPv4 destination that packets cannot be sent to",
  "ipv4-fragment": "an IPv4 fragment that overlaps, is empty, uneven, or goes past 65,535 bytes",
  "icmp-short": "an ICMP message that is cut short",
  "icmp-checksum": "a wrong ICMP checksum",
  "udp-short": "a UDP datagram that is cut short",
  "udp-length": "a UDP length that does not fit the packet",
  "udp-checksum": "a wrong UDP checksum",
  "tcp-short": "a TCP segment that is cut short",
  "tcp-header": "a TCP header of a wrong length",
  "tcp-checksum": "a wrong TCP checksum",
  "tcp-options": "TCP options of a wrong length",
  "tcp-flags": "a TCP segment with SYN and FIN or RST",
  "tcp-port": "a TCP or UDP port 0",
  dhcp: "a DHCP message that is cut short or not of a client",
} as const;

export type Malformed = keyof typeof MALFORMED;

export class MalformedCounts {
  readonly #counts = new Map<Malformed, number>();
  readonly #log: (line: string) => void;

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  count(kind: Malformed): void {
    const before = this.#counts.get(kind) ?? 0;
    this.#counts.set(kind, before + 1);
    if (before === 0) this.#log(`user network: dropped a frame of the guest's: ${MALFORMED[kind]}`);
  }

  get all(): ReadonlyMap<Malformed, number> {
    return this.#counts;
  }

  /** One line for each kind that came more than once. */
  summarize(): void {
    for (const [kind, count] of this.#counts) {
      if (count > 1) this.#log(`user network: dropped ${count} frames of the guest's: ${MALFORMED[kind]}`);
    }
  }
}
