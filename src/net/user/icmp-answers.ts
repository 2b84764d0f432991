/** ICMP of the router and its name server (RFC 792): they answer echo requests, and say which packets lead nowhere. */
import { sumIsRight, sumWords } from "../checksum.ts";
import {
  echoReply,
  ICMP,
  ICMP_TYPE,
  icmpError,
  mayBeAnswered,
  UNREACHABLE,
  type UnreachableCode,
} from "../icmp.ts";
import { type Ipv4Packet, PROTOCOL } from "../ipv4.ts";
import type { Malformed } from "../malformed.ts";
import { HOST, isOwn } from "./addresses.ts";
import type { Output } from "./output.ts";

export class IcmpAnswers {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  /** A packet of the guest's. */
  arrive(packet: Ipv4Packet): Malformed | null {
    const { payload, source, destination } = packet;
    if (payload.length < ICMP.HEADER) return "icmp-short";
    if (!sumIsRight(sumWords(payload, 0, payload.length))) return "icmp-checksum";
    if (payload[ICMP.TYPE] !== ICMP_TYPE.ECHO_REQUEST || source === 0) return null;
    if (isOwn(destination)) this.#output.packet(destination, source, PROTOCOL.ICMP, echoReply(payload));
    // Echo requests of one's own need raw sockets, or those of protocol ICMP, and Node.js has neither.
    else this.unreachable(UNREACHABLE.PROHIBITED, packet);
    return null;
  }

  unreachable(code: UnreachableCode, about: Ipv4Packet): void {
    this.#error(ICMP_TYPE.UNREACHABLE, code, about);
  }

  timeExceeded(about: Ipv4Packet): void {
    this.#error(ICMP_TYPE.TIME_EXCEEDED, 0, about);
  }

  #error(type: number, code: number, about: Ipv4Packet): void {
    if (!mayBeAnswered(about)) return;
    // An error about one's own port comes from there, others from the router.
    const from = isOwn(about.destination) ? about.destination : HOST;
    this.#output.packet(from, about.source, PROTOCOL.ICMP, icmpError(type, code, about));
  }
}
