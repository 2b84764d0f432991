/** Whether a message is for a local APIC (SDM 3A 11.6.2, for x2APIC 11.12.10). */
import { BROADCAST } from "./apic-bus.ts";

/** What a local APIC is addressed by. */
export interface LapicAddress {
  readonly x2apic: boolean;
  /** The x2APIC ID; its low byte is the xAPIC ID. */
  readonly apicId: number;
  /** The register; in x2APIC mode `x2apicLogicalDestination`. */
  readonly ldr: number;
  readonly dfr: number;
}

/** LDR in x2APIC mode: derived from the x2APIC ID (SDM 3A 11.12.10.2). */
export function x2apicLogicalDestination(apicId: number): number {
  return (((apicId >>> 4) << 16) | (1 << (apicId & 0xf))) >>> 0;
}

export function matchesDestination(address: LapicAddress, destination: number, logical: boolean): boolean {
  const { x2apic, apicId, ldr, dfr } = address;
  if (destination === BROADCAST) return true;
  if (!logical) return destination === (x2apic ? apicId : apicId & 0xff);
  // SDM 3A 11.12.10.1: cluster in bits 31:16, one bit for each of its 16 APICs below.
  if (x2apic) return destination >>> 16 === ldr >>> 16 && (destination & ldr & 0xffff) !== 0;
  const id = ldr >>> 24;
  // SDM 3A 11.6.2.2: the flat model, and the cluster model with the broadcast to all clusters.
  if (dfr >>> 28 === 0xf) return (destination & id) !== 0;
  const cluster = destination >> 4;
  return (cluster === 0xf || cluster === id >> 4) && (destination & id & 0xf) !== 0;
}
