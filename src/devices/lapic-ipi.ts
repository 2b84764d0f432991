/** The interrupt command register, taken apart (Intel SDM 3A 11.6.1, 11.12.9). */

import { type InterruptMessage, physicalDestination } from "./apic-bus.ts";
import { ICR } from "./lapic-registers.ts";

export interface Ipi extends InterruptMessage {
  /** One of `SHORTHAND`. */
  readonly shorthand: number;
  /** Level-triggered with the level bit clear: only INIT has a meaning for it. */
  readonly deassert: boolean;
}

/** `high` is ICR bits 63:32: the 32-bit destination of an x2APIC, else 8 bits in its top byte. */
export function decodeIcr(low: number, high: number, x2apic: boolean): Ipi {
  const logical = (low & ICR.LOGICAL) !== 0;
  return {
    vector: low & ICR.VECTOR,
    deliveryMode: (low & ICR.DELIVERY_MODE) >> ICR.DELIVERY_MODE_SHIFT,
    // All IPIs but the INIT de-assert are edge-triggered, whatever the trigger mode says.
    levelTriggered: false,
    destination: x2apic ? high : physicalDestination(high >>> 24, logical),
    logical,
    shorthand: (low & ICR.SHORTHAND) >> ICR.SHORTHAND_SHIFT,
    deassert: (low & ICR.LEVEL_TRIGGERED) !== 0 && (low & ICR.LEVEL_ASSERT) === 0,
  };
}
