/** The DSDT's contents: processors, the host bridge with its windows and interrupt routing, ISA devices, S5. */
import type { AcpiPlatform, IsaDevice } from "./acpi-platform.ts";
import * as aml from "./aml.ts";

const PCI_DEVICES = 32;
const PCI_PINS = 4;
/** _STA (ACPI 6.3.7): present, enabled, shown, working. */
const STA_PRESENT = 0x0f;

/** _PRT (6.2.13): every device number and pin, wired straight to an interrupt input. */
function routing(targets: readonly number[]): aml.Aml {
  const entries: aml.Aml[] = [];
  for (let device = 0; device < PCI_DEVICES; device++) {
    for (let pin = 0; pin < PCI_PINS; pin++) {
      entries.push(
        aml.packageOf(
          aml.integer(device * 0x1_0000 + 0xffff),
          aml.integer(pin),
          aml.integer(0),
          aml.integer(targets[(device + pin) % targets.length]!),
        ),
      );
    }
  }
  return aml.packageOf(...entries);
}

/**
 * _OSC (6.2.11; PCI Firmware Specification 4.5.1): firmware keeps control of nothing, so every PCI Express
 * feature asked for among the five defined ones is granted.
 */
function osc(): aml.Aml {
  const PCI_HOST_BRIDGE = "33db4d5b-1ff7-401c-9657-7441c03dd766";
  const FEATURES = 0x1f;
  const UNRECOGNIZED_UUID = 0x04;
  const UNRECOGNIZED_REVISION = 0x08;
  const CAPABILITIES_MASKED = 0x10;
  const [status, control, granted] = [aml.path("CDW1"), aml.path("CDW3"), aml.local(0)];
  const setStatus = (bit: number): aml.Aml => aml.or(status, aml.integer(bit), status);
  return aml.method(
    "_OSC",
    4,
    aml.dwordField(aml.argument(3), 0, "CDW1"),
    aml.when(
      aml.equal(aml.argument(0), aml.uuid(PCI_HOST_BRIDGE)),
      aml.dwordField(aml.argument(3), 8, "CDW3"),
      aml.and(control, aml.integer(FEATURES), granted),
      aml.when(aml.notEqual(aml.argument(1), aml.integer(1)), setStatus(UNRECOGNIZED_REVISION)),
      aml.when(aml.notEqual(control, granted), setStatus(CAPABILITIES_MASKED)),
      aml.store(granted, control),
    ),
    aml.otherwise(setStatus(UNRECOGNIZED_UUID)),
    aml.returns(aml.argument(3)),
  );
}

function hostBridge(platform: AcpiPlatform): aml.Aml {
  const { pci } = platform;
  const { configPorts } = pci;
  const afterConfig = configPorts.base + configPorts.length;
  return aml.device(
    "PCI0",
    aml.name("_HID", aml.eisaId("PNP0A08")),
    aml.name("_CID", aml.eisaId("PNP0A03")),
    aml.name("_UID", aml.integer(0)),
    aml.name("_SEG", aml.integer(0)),
    aml.name("_BBN", aml.integer(pci.ecam.firstBus)),
    aml.name(
      "_CRS",
      aml.resources(
        aml.busNumbers(pci.ecam.firstBus, pci.ecam.lastBus),
        aml.ioPorts(configPorts.base, configPorts.length),
        aml.ioWindow(0, configPorts.base),
        aml.ioWindow(afterConfig, 0x1_0000 - afterConfig),
        aml.memoryWindow32(pci.memory32.base, pci.memory32.length),
        aml.prefetchableWindow64(pci.memory64.base, pci.memory64.length),
      ),
    ),
    aml.name("PRTA", routing(pci.pirqGsi)),
    aml.name("PRTP", routing(pci.pirqIsa)),
    aml.method(
      "_PRT",
      0,
      aml.when(aml.path("\\PICF"), aml.returns(aml.path("PRTA"))),
      aml.returns(aml.path("PRTP")),
    ),
    osc(),
    ...isaDevices(platform),
  );
}

function isaDevices(platform: AcpiPlatform): aml.Aml[] {
  const declare = (at: string, id: string, what: IsaDevice | undefined, ...more: aml.Aml[]): aml.Aml[] => {
    if (what === undefined) return [];
    const ports = what.ports.map((range) => aml.ioPorts(range.base, range.length));
    const interrupts = what.irqs.map((irq) => aml.isaIrq(irq));
    return [
      aml.device(
        at,
        aml.name("_HID", aml.eisaId(id)),
        ...more,
        aml.name("_STA", aml.integer(STA_PRESENT)),
        aml.name("_CRS", aml.resources(...ports, ...interrupts)),
      ),
    ];
  };
  return [
    ...declare("TIMR", "PNP0100", platform.pit),
    ...declare("RTC", "PNP0B00", platform.rtc),
    ...declare("KBD", "PNP0303", platform.keyboard),
    ...declare("MOU", "PNP0F13", platform.mouse),
    ...declare("COM1", "PNP0501", platform.com1, aml.name("_UID", aml.integer(1))),
  ];
}

/** Virtio devices on MMIO, by the hardware ID that Linux's driver looks for. */
function virtioMmio(platform: AcpiPlatform): aml.Aml[] {
  return (platform.virtioMmio ?? []).map(({ registers, irq }, index) =>
    aml.device(
      `VR${index.toString(16).toUpperCase().padStart(2, "0")}`,
      aml.name("_HID", aml.string("LNRO0005")),
      aml.name("_UID", aml.integer(index)),
      // Devices see memory as processors do (6.2.17).
      aml.name("_CCA", aml.integer(1)),
      aml.name("_STA", aml.integer(STA_PRESENT)),
      aml.name("_CRS", aml.resources(aml.fixedMemory32(registers.base, registers.length), aml.isaIrq(irq))),
    ),
  );
}

/** Processor devices (8.4): the UID ties each to its MADT entry. */
function processors(platform: AcpiPlatform): aml.Aml[] {
  return platform.localApicIds.map((_, index) =>
    aml.device(
      `C${index.toString(16).toUpperCase().padStart(3, "0")}`,
      aml.name("_HID", aml.string("ACPI0007")),
      aml.name("_UID", aml.integer(index)),
      aml.name("_STA", aml.integer(STA_PRESENT)),
    ),
  );
}

/** The AML of the DSDT, without its table header. */
export function dsdtBody(platform: AcpiPlatform): Uint8Array {
  const sleepType = aml.integer(platform.s5SleepType);
  const terms = [
    // _PIC (5.8.1): the operating system says 1 when it uses the I/O APIC. It decides what _PRT returns.
    aml.name("\\PICF", aml.integer(0)),
    aml.method("\\_PIC", 1, aml.store(aml.argument(0), aml.path("\\PICF"))),
    aml.name("\\_S5", aml.packageOf(sleepType, sleepType, aml.integer(0), aml.integer(0))),
    aml.scope("\\_SB", ...processors(platform), hostBridge(platform), ...virtioMmio(platform)),
  ];
  return Uint8Array.from(terms.flatMap((term) => [...term]));
}
