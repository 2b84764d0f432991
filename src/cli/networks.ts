/** `--net` as people write it. */
import { MOST_QUEUE_PAIRS, MTU_RANGE } from "../devices/virtio/net.ts";
import { macAddress, type VirtioTransport } from "../machine/virtio.ts";
import { NetworkError } from "../net/network-error.ts";
import type { StreamAddress } from "../net/stream.ts";
import { type HostForward, LEAST_MTU, parseHostForward } from "../net/user/options.ts";
import { UserError } from "./errors.ts";
import { Suboptions, splitAtCommas } from "./suboptions.ts";

export interface UserNetworkOption {
  readonly kind: "user";
  readonly forwards: readonly HostForward[];
  /** The guest reaches nothing; only forwarded connections reach it. */
  readonly restrict: boolean;
  /** The guest reaches services on the host's loopback interface by 10.0.2.2. */
  readonly loopback: boolean;
}

export type BackendOption =
  | UserNetworkOption
  | { readonly kind: "stream"; readonly address: StreamAddress; readonly name: string };

export interface NetworkOption {
  readonly backend: BackendOption;
  /** Six bytes. */
  readonly mac: Uint8Array;
  readonly mtu: number | undefined;
  readonly queuePairs: number;
  readonly transport: VirtioTransport;
}

const OPTION = "--net";
const DEVICE_FORM = "[,mac=ADDRESS][,mtu=N][,queues=N][,transport=pci|mmio]";
const FORWARD_FORM = "tcp|udp:[ADDRESS]:PORT-[GUEST]:PORT";
const USER_FORM = `user[,hostfwd=${FORWARD_FORM}][,restrict=on][,loopback=on]${DEVICE_FORM}`;
const STREAM_FORM = `stream:PATH|HOST:PORT${DEVICE_FORM}`;
/** QEMU's first address; the devices behind it count on. */
const FIRST_MAC = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56] as const;

function parsePort(text: string, least: number): number | null {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  return port >= least && port <= 0xffff ? port : null;
}

function parseForward(text: string): HostForward {
  try {
    return parseHostForward(text);
  } catch (error) {
    if (error instanceof NetworkError) throw new UserError(`${OPTION}: ${error.message}`);
    throw error;
  }
}

/** A path has a slash in it, or no port behind it. */
function parseStreamAddress(text: string): StreamAddress {
  const match = /^(?:\[([^\]/]+)\]|([^:/]+)):(\d+)$/.exec(text);
  if (match === null) {
    if (text === "") throw new UserError(`${OPTION}: expected ${STREAM_FORM}, found nothing behind stream:`);
    return { path: text };
  }
  const port = parsePort(match[3]!, 1);
  if (port === null)
    throw new UserError(`${OPTION}: expected a port from 1 to 65535, found "${match[3]}" in "${text}"`);
  return { host: match[1] ?? match[2]!, port };
}

function parseMac(given: Suboptions, index: number): Uint8Array {
  const text = given.value("mac");
  if (text === undefined) {
    const last = FIRST_MAC[5] + index;
    return Uint8Array.of(...FIRST_MAC.slice(0, 4), FIRST_MAC[4] + (last >> 8), last & 0xff);
  }
  try {
    return macAddress(text);
  } catch {
    throw given.wrong("mac", "an address of one station such as 52:54:00:12:34:56", text);
  }
}

function parseDevice(given: Suboptions, index: number, leastMtu: number): Omit<NetworkOption, "backend"> {
  const mac = parseMac(given, index);
  return {
    mac,
    mtu: given.number("mtu", leastMtu, MTU_RANGE.most),
    queuePairs: given.number("queues", 1, MOST_QUEUE_PAIRS) ?? 1,
    transport: given.choice("transport", ["pci", "mmio"]) ?? "pci",
  };
}

/** Null: none. */
function parseNetwork(text: string, index: number): NetworkOption | null {
  const [kind = "", ...words] = splitAtCommas(text);
  if (kind === "none" && words.length === 0) return null;
  if (kind === "user") {
    const given = new Suboptions(OPTION, USER_FORM, text, words);
    const device = parseDevice(given, index, LEAST_MTU);
    const backend = {
      kind,
      forwards: given.values("hostfwd").map(parseForward),
      restrict: given.flag("restrict"),
      loopback: given.flag("loopback"),
    } as const;
    given.end();
    if (backend.restrict && backend.loopback) {
      throw new UserError(`${OPTION}: expected restrict or loopback, found both in "${text}"`);
    }
    return { ...device, backend };
  }
  if (kind.startsWith("stream:")) {
    const name = kind.slice("stream:".length);
    const given = new Suboptions(OPTION, STREAM_FORM, text, words);
    const device = parseDevice(given, index, MTU_RANGE.least);
    given.end();
    return { ...device, backend: { kind: "stream", address: parseStreamAddress(name), name } };
  }
  throw new UserError(`${OPTION}: expected none, user or stream:PATH, found "${text}"`);
}

/** @throws UserError */
export function parseNetworks(texts: readonly string[]): NetworkOption[] {
  const networks: NetworkOption[] = [];
  for (const text of texts) {
    const network = parseNetwork(text, networks.length);
    if (network !== null) networks.push(network);
    else if (texts.length > 1)
      throw new UserError(`${OPTION}: expected none by itself, found another --net beside it`);
  }
  return networks;
}

/** For messages and lists: "52:54:00:12:34:56". */
export function macText(mac: Uint8Array): string {
  return [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
