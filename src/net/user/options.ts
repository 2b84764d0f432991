/** What a user of the network can choose. */
import type { NetworkClock } from "../clock.ts";
import { parseIpv4 } from "../ipv4-address.ts";
import { NetworkError } from "../network-error.ts";
import { GUEST, isGuests } from "./addresses.ts";

/** A port of the host that leads to one of the guest's. */
export interface HostForward {
  readonly protocol: "tcp" | "udp";
  /** IPv4 address to listen on. */
  readonly hostAddress: string;
  /** 0: any that is free. */
  readonly hostPort: number;
  readonly guestAddress: number;
  readonly guestPort: number;
}

export interface UserNetworkOptions {
  /** The host's time if not given. */
  readonly clock?: NetworkClock;
  /** Whether sockets of the host are used at all; true if not given. Without them only programs within this process are there. */
  readonly hostSockets?: boolean;
  readonly hostForwards?: readonly HostForward[];
  /** The guest reaches nothing of the host or beyond; only forwarded connections come in. */
  readonly restrict?: boolean;
  /** 10.0.2.2 is the host's loopback address, for what the guest opens. */
  readonly loopback?: boolean;
  /** Bytes of an IPv4 packet, 576 to 65,535; 1500 if not given. If given, DHCP tells the guest. */
  readonly mtu?: number;
  /** Name that DHCP gives the guest. */
  readonly hostname?: string;
  /** Whether the device takes frames with checksums and segmentation left to do; true if not given. */
  readonly unfinished?: boolean;
  /** Numbers of 32 bits for initial sequence numbers and the like; of the host's random generator if not given. */
  readonly random?: () => number;
  /** Takes lines about frames that were dropped, and the like. */
  readonly log?: (line: string) => void;
}

export const DEFAULT_MTU = 1500;
export const LEAST_MTU = 576;
export const MOST_MTU = 65_535;

function port(text: string, least: number, what: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (value < least || value > 65_535) {
    throw new NetworkError(`hostfwd: expected ${what} from ${least} to 65535, found "${text}"`);
  }
  return value;
}

/**
 * `tcp:127.0.0.1:8080-10.0.2.15:80`, where both addresses may be missing.
 * @throws NetworkError
 */
export function parseHostForward(text: string): HostForward {
  const match = /^(tcp|udp)?:([^:-]*):([^:-]*)-([^:-]*):([^:-]*)$/.exec(text);
  if (match === null) {
    throw new NetworkError(`hostfwd: expected tcp|udp:[ADDRESS]:PORT-[GUEST]:PORT, found "${text}"`);
  }
  const [, protocol, hostAddress, hostPort, guestAddress, guestPort] = match as unknown as string[];
  const address = (given: string, otherwise: string): string => {
    if (given !== "" && parseIpv4(given) === null) {
      throw new NetworkError(`hostfwd: expected an IPv4 address, found "${given}"`);
    }
    return given === "" ? otherwise : given;
  };
  const host = address(hostAddress!, "127.0.0.1");
  const guest = guestAddress === "" ? GUEST : parseIpv4(address(guestAddress!, ""))!;
  if (!isGuests(guest)) {
    throw new NetworkError(
      `hostfwd: expected an address of the guest's network, 10.0.2.0/24, found "${guestAddress}"`,
    );
  }
  return {
    protocol: protocol === "udp" ? "udp" : "tcp",
    hostAddress: host,
    hostPort: port(hostPort!, 0, "a port of the host"),
    guestAddress: guest,
    guestPort: port(guestPort!, 1, "a port of the guest"),
  };
}
