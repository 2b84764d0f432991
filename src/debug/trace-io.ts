/**
 * `--trace io`: accesses to ports and to devices in memory. The local APIC's page is a part of the processor
 * and is not on the bus: its registers are not seen here.
 */
import type { BusAccess } from "../machine/bus.ts";
import { hex } from "./hex.ts";
import type { LineStart, TraceSink } from "./trace.ts";

export function traceIo(sink: TraceSink, start: LineStart): (access: BusAccess) => void {
  return ({ space, write, address, size, value, name }) => {
    const where = `${space} ${hex(address, space === "port" ? 4 : 8)}`;
    const what = write ? "<-" : "->";
    sink(`${start()}${where} ${what} ${hex(value, size * 2).padEnd(8)} ${name ?? "nothing there"}`);
  };
}
