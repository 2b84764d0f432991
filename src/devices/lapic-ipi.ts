/** The interrupt command register: taken apart, and sent (Intel SDM 3A 11.6.1, 11.12.9). */

import {
  DELIVERY,
  type InterruptMessage,
  type InterruptTarget,
  type IpiSender,
  physicalDestination,
} from "./apic-bus.ts";
import type { Log } from "./device.ts";
import { FIRST_LEGAL_VECTOR, ICR, SHORTHAND } from "./lapic-registers.ts";

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

/** Sends `ipi` from the local APIC `self`. `false`: its vector is illegal and nothing was sent. */
export function sendIpi(ipi: Ipi, self: InterruptTarget, bus: IpiSender, log: Log): boolean {
  const fixed = ipi.deliveryMode === DELIVERY.FIXED || ipi.deliveryMode === DELIVERY.LOWEST_PRIORITY;
  if (fixed && ipi.vector < FIRST_LEGAL_VECTOR) return false;
  // INIT level de-assert only sets arbitration IDs, of which there are none (SDM 3A 11.6.1).
  if (ipi.deliveryMode === DELIVERY.INIT && ipi.deassert) return true;
  switch (ipi.shorthand) {
    case SHORTHAND.NONE:
      bus.send(ipi);
      break;
    case SHORTHAND.SELF:
      // SDM 3A table 11-3: only a fixed interrupt can be sent to oneself.
      if (ipi.deliveryMode === DELIVERY.FIXED) self.accept(ipi);
      else log.unknown(`lapic: self IPI with delivery mode ${ipi.deliveryMode}`);
      break;
    default:
      bus.sendToAll(ipi, ipi.shorthand === SHORTHAND.OTHERS ? self : null);
  }
  return true;
}
