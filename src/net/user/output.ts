/**
 * Frames for the guest, but for those of TCP connections: a queue with a limit, IPv4 headers, fragments, and packets that wait for
 * an Ethernet address.
 */
import { put16 } from "../bytes.ts";
import { checksumOf, pseudoHeader, sumWords } from "../checksum.ts";
import type { NetworkClock } from "../clock.ts";
import { BROADCAST_MAC, ETHERNET, ETHERTYPE, writeEthernet } from "../ethernet.ts";
import { IPV4, PROTOCOL, writeIpv4 } from "../ipv4.ts";
import type { Endpoint } from "../ipv4-address.ts";
import { TCP } from "../tcp/segment.ts";
import { type Datagram, encodeUdp } from "../udp.ts";
import { DNS_MAC, DNS_SERVER, HOST_MAC, LIMITED_BROADCAST } from "./addresses.ts";
import { Neighbors } from "./neighbors.ts";

/** What a guest does not take is lost, as on any network. */
const MOST_FRAMES = 1024;
const MOST_BYTES = 4 << 20;
/** Packets that wait for one Ethernet address (RFC 1122, 2.3.2.2). */
const MOST_WAITING = 8;

export class Output {
  readonly neighbors: Neighbors;
  readonly #frames: Uint8Array[] = [];
  readonly #waiting = new Map<number, Uint8Array[]>();
  readonly #mtu: number;
  readonly #wake: () => void;
  #bytes = 0;
  #identification = 0;
  dropped = 0;

  /** @param learned called when a guest's Ethernet address becomes known */
  constructor(mtu: number, clock: NetworkClock, wake: () => void, learned: () => void) {
    this.#mtu = mtu;
    this.#wake = wake;
    this.neighbors = new Neighbors(
      clock,
      (frame) => this.push(frame),
      (address) => {
        this.#release(address);
        learned();
      },
    );
  }

  get size(): number {
    return this.#frames.length;
  }

  push(frame: Uint8Array): void {
    if (this.#frames.length >= MOST_FRAMES || this.#bytes + frame.length > MOST_BYTES) {
      this.dropped++;
      return;
    }
    this.#frames.push(frame);
    this.#bytes += frame.length;
    this.#wake();
  }

  shift(): Uint8Array | null {
    const frame = this.#frames.shift();
    if (frame === undefined) return null;
    this.#bytes -= frame.length;
    return frame;
  }

  clear(): void {
    this.#frames.length = 0;
    this.#waiting.clear();
    this.#bytes = 0;
  }

  nextIdentification(): number {
    this.#identification = (this.#identification + 1) & 0xffff;
    return this.#identification;
  }

  udp(datagram: Datagram): void {
    this.packet(datagram.source.address, datagram.destination.address, PROTOCOL.UDP, encodeUdp(datagram));
  }

  /** @param segment with a checksum field of 0 */
  tcp(source: Endpoint, destination: Endpoint, segment: Uint8Array): void {
    const sum = pseudoHeader(source.address, destination.address, PROTOCOL.TCP, segment.length);
    put16(segment, TCP.CHECKSUM, checksumOf(sumWords(segment, 0, segment.length, sum)));
    this.packet(source.address, destination.address, PROTOCOL.TCP, segment);
  }

  /** Sends an IPv4 packet, in fragments if it is longer than the network takes. */
  packet(source: number, destination: number, protocol: number, payload: Uint8Array): void {
    const most = this.#mtu - IPV4.HEADER;
    const identification = this.nextIdentification();
    const fields = { source, destination, protocol, identification };
    if (payload.length <= most) {
      this.#send(destination, source, { ...fields, length: payload.length }, payload);
      return;
    }
    const step = most - (most % 8);
    for (let offset = 0; offset < payload.length; offset += step) {
      const part = payload.subarray(offset, offset + step);
      const fragment = { offset, more: offset + step < payload.length };
      this.#send(destination, source, { ...fields, length: part.length, fragment }, part);
    }
  }

  #send(
    destination: number,
    source: number,
    fields: Parameters<typeof writeIpv4>[2],
    payload: Uint8Array,
  ): void {
    const frame = new Uint8Array(ETHERNET.HEADER + IPV4.HEADER + payload.length);
    const mac = destination === LIMITED_BROADCAST ? BROADCAST_MAC : this.neighbors.find(destination);
    writeEthernet(frame, mac ?? BROADCAST_MAC, sourceMac(source), ETHERTYPE.IPV4);
    writeIpv4(frame, ETHERNET.HEADER, fields);
    frame.set(payload, ETHERNET.HEADER + IPV4.HEADER);
    if (mac !== undefined) this.push(frame);
    else this.#wait(destination, frame);
  }

  #wait(address: number, frame: Uint8Array): void {
    const frames = this.#waiting.get(address) ?? [];
    this.#waiting.set(address, frames);
    frames.push(frame);
    if (frames.length > MOST_WAITING) frames.shift();
    this.neighbors.ask(address);
  }

  #release(address: number): void {
    const frames = this.#waiting.get(address) ?? [];
    this.#waiting.delete(address);
    for (const frame of frames) {
      frame.set(this.neighbors.find(address)!, ETHERNET.DESTINATION);
      this.push(frame);
    }
  }
}

/** All but the DNS server's packets come through the router. */
export const sourceMac = (source: number): Uint8Array => (source === DNS_SERVER ? DNS_MAC : HOST_MAC);
