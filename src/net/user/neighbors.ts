/** Which Ethernet address is whose on the guest's network: learned from what the guest sends, asked for by ARP. */
import { ARP_OPERATION, type ArpPacket, encodeArp } from "../arp.ts";
import type { NetworkClock } from "../clock.ts";
import { BROADCAST_MAC, isGroup, sameMac } from "../ethernet.ts";
import { HOST, HOST_MAC, isGuests, isOwn, macOf } from "./addresses.ts";

/** RFC 1122, 2.3.2.1: no more than one request in a second. */
const REQUEST_INTERVAL_MS = 1000;

export class Neighbors {
  /** At most as many as the network has addresses. */
  readonly #known = new Map<number, Uint8Array>();
  readonly #asked = new Map<number, number>();
  readonly #clock: NetworkClock;
  readonly #send: (frame: Uint8Array) => void;
  readonly #learned: (address: number) => void;

  /** @param learned called when an address becomes known */
  constructor(clock: NetworkClock, send: (frame: Uint8Array) => void, learned: (address: number) => void) {
    this.#clock = clock;
    this.#send = send;
    this.#learned = learned;
  }

  find(address: number): Uint8Array | undefined {
    return this.#known.get(address);
  }

  /** The address's owner has sent something. */
  learn(address: number, mac: Uint8Array): void {
    if (!isGuests(address) || isGroup(mac)) return;
    const known = this.#known.get(address);
    if (known !== undefined && sameMac(known, mac)) return;
    this.#known.set(address, mac.slice());
    this.#asked.delete(address);
    if (known === undefined) this.#learned(address);
  }

  /** Asks for an address, unless it was asked for just now. */
  ask(address: number): void {
    const now = this.#clock.now();
    if (now - (this.#asked.get(address) ?? Number.NEGATIVE_INFINITY) < REQUEST_INTERVAL_MS) return;
    this.#asked.set(address, now);
    const request: ArpPacket = {
      operation: ARP_OPERATION.REQUEST,
      senderMac: HOST_MAC,
      senderAddress: HOST,
      targetMac: new Uint8Array(6),
      targetAddress: address,
    };
    this.#send(encodeArp(request, BROADCAST_MAC));
  }

  arrive(packet: ArpPacket): void {
    this.learn(packet.senderAddress, packet.senderMac);
    if (packet.operation !== ARP_OPERATION.REQUEST || !isOwn(packet.targetAddress)) return;
    const reply: ArpPacket = {
      operation: ARP_OPERATION.REPLY,
      senderMac: macOf(packet.targetAddress),
      senderAddress: packet.targetAddress,
      targetMac: packet.senderMac,
      targetAddress: packet.senderAddress,
    };
    this.#send(encodeArp(reply, packet.senderMac));
  }
}
