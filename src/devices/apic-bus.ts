/**
 * The message bus between interrupt sources and local APICs: IPIs, I/O APIC messages and MSIs all take it.
 * (Intel SDM 3A 11.6 "Issuing Interprocessor Interrupts", 11.11 "Message Signalled Interrupts")
 */

/** Delivery modes, as ICR, LVT, I/O APIC redirection entries and MSI data encode them. */
export const DELIVERY = {
  FIXED: 0,
  LOWEST_PRIORITY: 1,
  SMI: 2,
  NMI: 4,
  INIT: 5,
  STARTUP: 6,
  EXTINT: 7,
} as const;

/** Physical destination that names every local APIC. Senders with 8-bit destinations turn FFH into it. */
export const BROADCAST = 0xffff_ffff;

export interface InterruptMessage {
  readonly vector: number;
  /** One of `DELIVERY`. */
  readonly deliveryMode: number;
  readonly levelTriggered: boolean;
  /** Physical APIC ID or `BROADCAST`, or a message destination address if `logical`. */
  readonly destination: number;
  readonly logical: boolean;
}

/** A local APIC as the bus sees it. */
export interface InterruptTarget {
  /** Whether this APIC is named by the destination, and is enabled at all. */
  matches(destination: number, logical: boolean): boolean;
  /** Processor priority, for lowest-priority arbitration. */
  readonly processorPriority: number;
  /** Whether it takes fixed interrupts: software-enabled. */
  readonly softwareEnabled: boolean;
  accept(message: InterruptMessage): void;
}

/** What a local APIC needs in order to send. */
export interface IpiSender {
  send(message: InterruptMessage): void;
  /** The shorthands "all including self" (`except` is `null`) and "all excluding self". */
  sendToAll(message: InterruptMessage, except: InterruptTarget | null): void;
  /** A level-triggered interrupt has ended. */
  broadcastEoi(vector: number): void;
}

const MSI_LOGICAL = 1 << 2;

export class ApicBus implements IpiSender {
  readonly #targets: InterruptTarget[] = [];
  readonly #eoiListeners: ((vector: number) => void)[] = [];

  attach(target: InterruptTarget): void {
    this.#targets.push(target);
  }

  /** An I/O APIC wants to know of every EOI of a level-triggered interrupt. */
  onEoi(listener: (vector: number) => void): void {
    this.#eoiListeners.push(listener);
  }

  send(message: InterruptMessage): void {
    this.#deliver(
      this.#targets.filter((target) => target.matches(message.destination, message.logical)),
      message,
    );
  }

  sendToAll(message: InterruptMessage, except: InterruptTarget | null): void {
    this.#deliver(
      this.#targets.filter((target) => target !== except && target.matches(BROADCAST, false)),
      message,
    );
  }

  /**
   * A message-signalled interrupt: a device wrote `data` to `address` (SDM 3A 11.11.1, 11.11.2). Gives
   * `false` if the address is none of the MSI window.
   */
  sendMsi(address: number, data: number): boolean {
    if (Math.floor(address / 0x10_0000) !== 0xfee) return false;
    const id = (address >>> 12) & 0xff;
    // The SDM has the destination mode ignored without the redirection hint. Chip sets take it as it is, and Linux
    // counts on that: it sends to logical destinations with RH clear.
    const logical = (address & MSI_LOGICAL) !== 0;
    this.send({
      vector: data & 0xff,
      deliveryMode: (data >> 8) & 7,
      levelTriggered: (data & 0x8000) !== 0,
      destination: physicalDestination(id, logical),
      logical,
    });
    return true;
  }

  broadcastEoi(vector: number): void {
    for (const listener of this.#eoiListeners) listener(vector);
  }

  #deliver(targets: readonly InterruptTarget[], message: InterruptMessage): void {
    if (message.deliveryMode !== DELIVERY.LOWEST_PRIORITY) {
      for (const target of targets) target.accept(message);
      return;
    }
    // Lowest priority goes to one: the lowest PPR, equal ones in the order of the processors.
    let chosen: InterruptTarget | null = null;
    for (const target of targets) {
      if (!target.softwareEnabled) continue;
      if (chosen === null || target.processorPriority < chosen.processorPriority) chosen = target;
    }
    chosen?.accept(message);
  }
}

/** The bus's form of an 8-bit destination field: physical FFH is the broadcast. */
export function physicalDestination(field: number, logical: boolean): number {
  return !logical && field === 0xff ? BROADCAST : field;
}
