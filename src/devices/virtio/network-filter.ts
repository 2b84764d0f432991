/** What a network device lets through to the guest (5.1.6.5.1 to 5.1.6.5.3). */
import type { DeviceState } from "../device.ts";
import { restoreRecord, saveRecord } from "../state.ts";
import { ETHERNET_HEADER, ETHERTYPE, read16 } from "./frame-headers.ts";

export const MAC_LENGTH = 6;
/** Entries of each of the two MAC tables; with more the table counts as "all". */
export const MAC_TABLE_LIMIT = 64;
const VLAN_IDS = 4096;

/** The switches of the class CTRL_RX (5.1.6.5.1), by command. */
export const RX_MODES = [
  "promiscuous",
  "allMulticast",
  "allUnicast",
  "noMulticast",
  "noUnicast",
  "noBroadcast",
] as const;
export type RxMode = (typeof RX_MODES)[number];

const isGroup = (frame: Uint8Array): boolean => (frame[0]! & 1) !== 0;

/** Whether the address at the start of `frame` is the one at `at` of `table`. */
function isAddress(frame: Uint8Array, table: Uint8Array, at: number): boolean {
  for (let i = 0; i < MAC_LENGTH; i++) if (frame[i] !== table[at + i]) return false;
  return true;
}

/** A table of addresses, one after the other; `all` if there were more than it holds. */
type MacTable = {
  addresses: Uint8Array;
  count: number;
  all: boolean;
};

const emptyTable = (): MacTable => ({
  addresses: new Uint8Array(MAC_TABLE_LIMIT * MAC_LENGTH),
  count: 0,
  all: false,
});

function isListed(frame: Uint8Array, { addresses, count, all }: MacTable): boolean {
  if (all) return true;
  for (let i = 0; i < count; i++) if (isAddress(frame, addresses, i * MAC_LENGTH)) return true;
  return false;
}

export class NetworkFilter {
  readonly #s = {
    /** A driver that can set the filter: without one everything passes. */
    filters: false,
    /** A driver that says which VLANs it is in. */
    filtersVlans: false,
    modes: {
      promiscuous: false,
      allMulticast: false,
      allUnicast: false,
      noMulticast: false,
      noUnicast: false,
      noBroadcast: false,
    } as Record<RxMode, boolean>,
    unicast: emptyTable(),
    multicast: emptyTable(),
    /** A bit for each VLAN. */
    vlans: new Uint8Array(VLAN_IDS / 8),
  };

  /** The driver took CTRL_RX, and CTRL_VLAN. */
  begin(filters: boolean, filtersVlans: boolean): void {
    this.reset();
    Object.assign(this.#s, { filters, filtersVlans });
  }

  setMode(mode: RxMode, on: boolean): void {
    this.#s.modes[mode] = on;
  }

  /** @param addresses the entries of one table, 6 bytes each; null if they are more than `MAC_TABLE_LIMIT` */
  setTable(table: "unicast" | "multicast", addresses: Uint8Array | null): void {
    const target = this.#s[table];
    target.all = addresses === null;
    target.count = (addresses?.length ?? 0) / MAC_LENGTH;
    target.addresses.fill(0);
    if (addresses !== null) target.addresses.set(addresses);
  }

  /** @returns false if there is no such VLAN */
  setVlan(id: number, on: boolean): boolean {
    if (id >= VLAN_IDS) return false;
    if (on) this.#s.vlans[id >> 3]! |= 1 << (id & 7);
    else this.#s.vlans[id >> 3]! &= ~(1 << (id & 7));
    return true;
  }

  /** @param own the device's address */
  passes(frame: Uint8Array, own: Uint8Array): boolean {
    const { filters, modes } = this.#s;
    if (filters && modes.promiscuous) return true;
    return (!filters || this.#passesAddress(frame, own)) && this.#passesVlan(frame);
  }

  #passesAddress(frame: Uint8Array, own: Uint8Array): boolean {
    const { modes, unicast, multicast } = this.#s;
    if (frame.subarray(0, MAC_LENGTH).every((byte) => byte === 0xff)) return !modes.noBroadcast;
    if (isGroup(frame)) {
      if (modes.noMulticast) return false;
      return modes.allMulticast || isListed(frame, multicast);
    }
    if (modes.noUnicast) return false;
    return modes.allUnicast || isAddress(frame, own, 0) || isListed(frame, unicast);
  }

  /** A frame without a tag, or with the tag of no VLAN (priority alone), belongs to everybody. */
  #passesVlan(frame: Uint8Array): boolean {
    if (!this.#s.filtersVlans || frame.length < ETHERNET_HEADER + 2) return true;
    if (read16(frame, ETHERNET_HEADER - 2) !== ETHERTYPE.VLAN) return true;
    const id = read16(frame, ETHERNET_HEADER) & 0xfff;
    return id === 0 || ((this.#s.vlans[id >> 3]! >> (id & 7)) & 1) !== 0;
  }

  reset(): void {
    const s = this.#s;
    Object.assign(s, { filters: false, filtersVlans: false });
    for (const mode of RX_MODES) s.modes[mode] = false;
    this.setTable("unicast", new Uint8Array());
    this.setTable("multicast", new Uint8Array());
    s.vlans.fill(0);
  }

  save(): DeviceState {
    return saveRecord(this.#s);
  }

  restore(state: DeviceState): void {
    restoreRecord(this.#s, state);
  }
}
