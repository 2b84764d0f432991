/** Who sends an interrupt vector, by what the guest has programmed into the controllers now. */
import { ENTRY } from "../devices/lapic-lvt.ts";
import { GSI_PIRQ, GSI_PIT, IRQ } from "../machine/address-map.ts";
import type { Machine } from "../machine/machine.ts";

const VECTOR = 0xff;
/** Mask bit of redirection entries and of the local vector table. */
const MASKED = 1 << 16;

const LOCAL: readonly (readonly [entry: number, name: string])[] = [
  [ENTRY.TIMER, "local APIC timer"],
  [ENTRY.THERMAL, "thermal monitor"],
  [ENTRY.PERFORMANCE, "performance counters"],
  [ENTRY.ERROR, "local APIC error"],
];

/** ISA devices by their interrupt request, e.g. 4 is "com1". */
const ISA: ReadonlyMap<number, string> = new Map(Object.entries(IRQ).map(([name, irq]) => [irq, name]));

function pinName(pin: number): string {
  if (pin === GSI_PIT) return "pit";
  const pirq = (GSI_PIRQ as readonly number[]).indexOf(pin);
  return pirq < 0 ? (ISA.get(pin) ?? `I/O APIC pin ${pin}`) : `PIRQ ${"ABCD"[pirq]}`;
}

/** The redirection entries' low halves, as the I/O APIC saves them: reading its registers would select one. */
function redirectionEntries(machine: Machine): readonly number[] {
  const { devices } = machine.platform.save() as unknown as {
    devices: { ioapic?: { low?: Iterable<number> } };
  };
  return Array.from(devices.ioapic?.low ?? []);
}

/** E.g. "local APIC timer"; undefined for vectors that no controller is programmed with: IPIs, the 8259 pair. */
export function interruptSource(machine: Machine, vector: number): string | undefined {
  const { lvt } = machine.platform.apics[0]!.lapic;
  const local = LOCAL.find(([entry]) => (lvt.read(entry) & (VECTOR | MASKED)) === vector);
  if (local !== undefined) return local[1];
  const pin = redirectionEntries(machine).findIndex((entry) => (entry & (VECTOR | MASKED)) === vector);
  return pin < 0 ? undefined : pinName(pin);
}
