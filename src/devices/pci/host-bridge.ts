/** The host bridge at 00:00.0. */

import { PciFunction } from "./function.ts";

/**
 * A generic PCI Express host bridge, 1B36:0008, as QEMU's virtual platforms have: it claims none of a chip
 * set's private registers, so no driver looks for them. Where ECAM is, MCFG says.
 */
export function createHostBridge(): PciFunction {
  return new PciFunction({
    name: "host bridge",
    vendorId: 0x1b36,
    deviceId: 0x0008,
    classCode: 0x06_0000,
    subsystemVendorId: 0x1af4,
    subsystemId: 0x1100,
  });
}
