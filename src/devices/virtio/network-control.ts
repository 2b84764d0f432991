/** Commands of the control queue (5.1.6.5). */
import type { Chain } from "./chain.ts";
import { DriverError } from "./device.ts";
import { MAC_LENGTH, MAC_TABLE_LIMIT, type NetworkFilter, RX_MODES } from "./network-filter.ts";

/** Classes (5.1.6.5.1 to 5.1.6.5.5), and commands of those that have several. */
const CLASS = { RX: 0, MAC: 1, VLAN: 2, MQ: 4 } as const;
const MAC = { TABLE_SET: 0, ADDR_SET: 1 } as const;
const VLAN = { ADD: 0, DEL: 1 } as const;
const MQ = { PAIRS_SET: 0 } as const;
/** The commands of RX that CTRL_RX alone allows: promiscuous and all multicast. */
const PLAIN_RX_MODES = 2;
const ACK = { OK: 0, ERR: 1 } as const;

/** What was negotiated. */
export interface ControlFeatures {
  readonly rx: boolean;
  readonly rxExtra: boolean;
  readonly vlan: boolean;
  readonly macAddress: boolean;
  readonly multiqueue: boolean;
}

/** What the commands act on. */
export interface ControlTarget {
  readonly filter: NetworkFilter;
  setMac(mac: Uint8Array): void;
  /** @returns false if there are not that many */
  setPairs(count: number): boolean;
}

/**
 * Carries out one command and acknowledges it.
 * @throws DriverError for a request that holds none
 */
export function handleControl(chain: Chain, features: ControlFeatures, target: ControlTarget): void {
  const head = new Uint8Array(2);
  if (chain.read(0, head) < 2) throw new DriverError("a control command that is not whole");
  if (chain.writable < 1) throw new DriverError("a control command without room for its answer");
  const ok = carryOut(head[0]!, head[1]!, new CommandData(chain), features, target);
  chain.write(0, Uint8Array.of(ok ? ACK.OK : ACK.ERR));
}

/** What follows class and command. */
class CommandData {
  readonly #chain: Chain;
  readonly length: number;

  constructor(chain: Chain) {
    this.#chain = chain;
    this.length = chain.readable - 2;
  }

  bytes(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#chain.read(2 + offset, bytes);
    return bytes;
  }

  /** Little-endian. */
  number(offset: number, length: number): number {
    return this.bytes(offset, length).reduceRight((value, byte) => value * 256 + byte, 0);
  }
}

function carryOut(
  class_: number,
  command: number,
  data: CommandData,
  features: ControlFeatures,
  target: ControlTarget,
): boolean {
  switch (class_) {
    case CLASS.RX: {
      const mode = RX_MODES[command];
      const allowed = command < PLAIN_RX_MODES ? features.rx : features.rxExtra;
      if (mode === undefined || !allowed || data.length < 1) return false;
      target.filter.setMode(mode, data.number(0, 1) !== 0);
      return true;
    }
    case CLASS.MAC:
      if (command === MAC.TABLE_SET && features.rx) return setTables(data, target.filter);
      if (command !== MAC.ADDR_SET || !features.macAddress || data.length < MAC_LENGTH) return false;
      target.setMac(data.bytes(0, MAC_LENGTH));
      return true;
    case CLASS.VLAN:
      if (!features.vlan || data.length < 2 || (command !== VLAN.ADD && command !== VLAN.DEL)) return false;
      return target.filter.setVlan(data.number(0, 2), command === VLAN.ADD);
    case CLASS.MQ:
      if (!features.multiqueue || command !== MQ.PAIRS_SET || data.length < 2) return false;
      return target.setPairs(data.number(0, 2));
    default:
      return false;
  }
}

/** Two tables, unicast then multicast, each after the number of its entries; both are set or none is (5.1.6.5.2). */
function setTables(data: CommandData, filter: NetworkFilter): boolean {
  const tables: (Uint8Array | null)[] = [];
  let at = 0;
  for (let i = 0; i < 2; i++) {
    if (at + 4 > data.length) return false;
    const count = data.number(at, 4);
    const length = count * MAC_LENGTH;
    if (at + 4 + length > data.length) return false;
    tables.push(count > MAC_TABLE_LIMIT ? null : data.bytes(at + 4, length));
    at += 4 + length;
  }
  filter.setTable("unicast", tables[0]!);
  filter.setTable("multicast", tables[1]!);
  return true;
}
