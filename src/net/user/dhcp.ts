/** The DHCP server (RFC 2131, options of RFC 2132): one address to give, always the same. */
import { get32, put32 } from "../bytes.ts";
import {
  DNS_SERVER,
  GUEST,
  HOST,
  isGuests,
  LIMITED_BROADCAST,
  NETMASK,
  NETWORK_BROADCAST,
} from "./addresses.ts";

export const DHCP_PORT = { SERVER: 67, CLIENT: 68 } as const;

const FIELD = {
  OPERATION: 0,
  HARDWARE_TYPE: 1,
  HARDWARE_LENGTH: 2,
  TRANSACTION: 4,
  FLAGS: 10,
  CLIENT_ADDRESS: 12,
  YOUR_ADDRESS: 16,
  SERVER_ADDRESS: 20,
  CLIENT_MAC: 28,
  COOKIE: 236,
  OPTIONS: 240,
} as const;

const OPERATION = { REQUEST: 1, REPLY: 2 } as const;
const MAGIC_COOKIE = 0x6382_5363;
const BROADCAST_FLAG = 0x80;
/** A reply that is at least as long as BOOTP's (RFC 951): some clients insist. */
const LEAST_LENGTH = 300;

const OPTION = {
  PAD: 0,
  SUBNET_MASK: 1,
  ROUTER: 3,
  DNS: 6,
  HOST_NAME: 12,
  MTU: 26,
  BROADCAST: 28,
  REQUESTED_ADDRESS: 50,
  LEASE_TIME: 51,
  MESSAGE_TYPE: 53,
  SERVER: 54,
  END: 255,
} as const;

const MESSAGE = { DISCOVER: 1, OFFER: 2, REQUEST: 3, ACK: 5, NAK: 6, INFORM: 8 } as const;

/** A day. Clients renew after half of it; the answer is always yes. */
const LEASE_SECONDS = 86_400;

export interface DhcpOptions {
  readonly restrict: boolean;
  /** Told to the client unless it is null. */
  readonly mtu: number | null;
  readonly hostname: string | null;
}

export interface DhcpReply {
  readonly destination: number;
  readonly message: Uint8Array;
  /** The client's: with an address, where it goes even before the client has told it. */
  readonly client: { readonly mac: Uint8Array; readonly address: number } | null;
}

type ClientOptions = ReadonlyMap<number, Uint8Array>;

/** @returns null if a length goes past the end. Options that come twice are joined (RFC 3396). */
function parseOptions(bytes: Uint8Array): ClientOptions | null {
  const options = new Map<number, Uint8Array>();
  for (let at = 0; at < bytes.length && bytes[at] !== OPTION.END; ) {
    if (bytes[at] === OPTION.PAD) {
      at++;
      continue;
    }
    const end = at + 2 + (bytes[at + 1] ?? 255);
    if (end > bytes.length) return null;
    const before = options.get(bytes[at]!) ?? new Uint8Array();
    options.set(bytes[at]!, Uint8Array.from([...before, ...bytes.subarray(at + 2, end)]));
    at = end;
  }
  return options;
}

const addressIn = (options: ClientOptions, option: number): number | null => {
  const bytes = options.get(option);
  return bytes?.length === 4 ? get32(bytes, 0) : null;
};

/** @returns what to answer, null for nothing, "malformed" for what is not a client's message */
export function answerDhcp(request: Uint8Array, settings: DhcpOptions): DhcpReply | "malformed" | null {
  if (
    request.length < FIELD.OPTIONS ||
    request[FIELD.OPERATION] !== OPERATION.REQUEST ||
    request[FIELD.HARDWARE_TYPE] !== 1 ||
    request[FIELD.HARDWARE_LENGTH] !== 6 ||
    get32(request, FIELD.COOKIE) !== MAGIC_COOKIE
  ) {
    return "malformed";
  }
  const options = parseOptions(request.subarray(FIELD.OPTIONS));
  const type = options?.get(OPTION.MESSAGE_TYPE);
  if (options === null || type?.length !== 1) return "malformed";
  const current = get32(request, FIELD.CLIENT_ADDRESS);
  switch (type[0]) {
    case MESSAGE.DISCOVER:
      return reply(request, MESSAGE.OFFER, current, settings);
    case MESSAGE.REQUEST: {
      const server = addressIn(options, OPTION.SERVER);
      // It has chosen another server.
      if (server !== null && server !== HOST) return null;
      const wanted = addressIn(options, OPTION.REQUESTED_ADDRESS) ?? current;
      return reply(request, wanted === GUEST ? MESSAGE.ACK : MESSAGE.NAK, current, settings);
    }
    case MESSAGE.INFORM:
      return isGuests(current) ? reply(request, MESSAGE.ACK, current, settings, true) : null;
    default:
      // DECLINE and RELEASE: there is no other address, and no one else to give it to.
      return null;
  }
}

/** @param inform the client has an address and only asks for the rest (RFC 2131, 4.3.5) */
function reply(
  request: Uint8Array,
  type: number,
  current: number,
  { restrict, mtu, hostname }: DhcpOptions,
  inform = false,
): DhcpReply {
  const refused = type === MESSAGE.NAK;
  const message = new Uint8Array(FIELD.OPTIONS + 312);
  message.set(request.subarray(0, FIELD.FLAGS + 2));
  message[FIELD.OPERATION] = OPERATION.REPLY;
  message[3] = 0; // hops
  message.set(request.subarray(FIELD.CLIENT_MAC, FIELD.CLIENT_MAC + 16), FIELD.CLIENT_MAC);
  if (!refused) {
    put32(message, FIELD.CLIENT_ADDRESS, type === MESSAGE.ACK ? current : 0);
    put32(message, FIELD.YOUR_ADDRESS, inform ? 0 : GUEST);
    put32(message, FIELD.SERVER_ADDRESS, HOST);
  }
  put32(message, FIELD.COOKIE, MAGIC_COOKIE);
  let at: number = FIELD.OPTIONS;
  const option = (code: number, bytes: ArrayLike<number>): void => {
    message[at] = code;
    message[at + 1] = bytes.length;
    message.set(bytes, at + 2);
    at += 2 + bytes.length;
  };
  const number = (value: number): Uint8Array => {
    const bytes = new Uint8Array(4);
    put32(bytes, 0, value);
    return bytes;
  };
  option(OPTION.MESSAGE_TYPE, [type]);
  option(OPTION.SERVER, number(HOST));
  if (!refused) {
    if (!inform) option(OPTION.LEASE_TIME, number(LEASE_SECONDS));
    option(OPTION.SUBNET_MASK, number(NETMASK));
    option(OPTION.BROADCAST, number(NETWORK_BROADCAST));
    // A guest that reaches nothing needs no way to it.
    if (!restrict) {
      option(OPTION.ROUTER, number(HOST));
      option(OPTION.DNS, number(DNS_SERVER));
    }
    if (mtu !== null) option(OPTION.MTU, [mtu >> 8, mtu & 0xff]);
    if (hostname !== null) option(OPTION.HOST_NAME, new TextEncoder().encode(hostname).subarray(0, 63));
  }
  message[at++] = OPTION.END;
  // 4.1: to the address that it uses already, to everyone if it asks for that, else to the one that it gets.
  const known = isGuests(current);
  const broadcast = (request[FIELD.FLAGS]! & BROADCAST_FLAG) !== 0 && !known;
  const address = known ? current : GUEST;
  return {
    destination: refused || broadcast ? LIMITED_BROADCAST : address,
    message: message.subarray(0, Math.max(at, LEAST_LENGTH)),
    client: refused ? null : { mac: request.slice(FIELD.CLIENT_MAC, FIELD.CLIENT_MAC + 6), address },
  };
}
