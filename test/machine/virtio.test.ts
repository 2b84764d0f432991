import { describe, expect, test } from "vitest";
import { UNPLUGGED } from "../../src/devices/virtio/network-link.ts";
import { Machine } from "../../src/machine/machine.ts";
import { type MachineNetwork, macAddress, virtioDevices } from "../../src/machine/virtio.ts";

const MAC = "52:54:00:12:34:56";
const network = (options: Partial<MachineNetwork> = {}): MachineNetwork => ({
  link: UNPLUGGED,
  mac: MAC,
  transport: "pci",
  ...options,
});

describe("Ethernet addresses", () => {
  test("are text or six bytes", () => {
    const bytes = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
    expect(macAddress(MAC)).toEqual(bytes);
    expect(macAddress("52:54:00:12:34:56".toUpperCase())).toEqual(bytes);
    expect(macAddress(bytes)).toEqual(bytes);
  });

  test.each([
    "",
    "52:54:00:12:34",
    "52:54:00:12:34:56:78",
    "52-54-00-12-34-56",
    "5254:00:12:34:56",
    "52:54:00:12:34:5g",
  ])("%j is none", (mac) =>
    expect(() => macAddress(mac)).toThrow(/^mac: expected .*52:54:00:12:34:56, found "/),
  );

  test("those of groups are refused", () => {
    expect(() => macAddress("01:00:5e:00:00:01")).toThrow(RangeError);
    expect(() => macAddress(new Uint8Array(5))).toThrow(RangeError);
  });
});

describe("networks of a machine", () => {
  test("are its ports, in the order of the options", () => {
    const machine = new Machine({
      memory: 16 << 20,
      networks: [network(), network({ transport: "mmio", mtu: 9000, queuePairs: 8 })],
      rng: "pci",
      virtioConsole: "mmio",
    });
    expect(machine.networks).toHaveLength(2);
    expect(machine.networks.every(({ hasRoom }) => hasRoom)).toBe(true);
    expect(machine.platform.virtio.map(({ device }) => device.name).sort()).toEqual([
      "virtio console",
      "virtio net 0",
      "virtio net 1",
      "virtio rng",
    ]);
  });

  test("lose frames while no driver runs", () => {
    const { networks, attachments } = virtioDevices({ networks: [network()] });
    expect(attachments).toHaveLength(1);
    expect(networks[0]!.receive(new Uint8Array(60), { checksum: null, segmentation: null })).toBe(false);
    expect(networks[0]!.counts()).toMatchObject({ droppedNoDriver: 1, receivedFrames: 0 });
  });

  test.each([
    [{ mtu: 67 }, /^mtu: expected a whole number from 68 to 65535, found 67$/],
    [{ mtu: 65_536 }, /^mtu: /],
    [{ queuePairs: 0 }, /^queuePairs: expected a whole number from 1 to 8, found 0$/],
    [{ queuePairs: 9 }, /^queuePairs: /],
    [{ mac: "nonsense" }, /^mac: /],
  ])("%j is no network device", (options, message) => {
    expect(() => virtioDevices({ networks: [network(options)] })).toThrow(message);
  });
});

test("what is typed goes to the serial console until a driver runs the virtio one", () => {
  const machine = new Machine({ memory: 16 << 20, virtioConsole: "pci" });
  const waiting = () => machine.platform.console.save() as { line: number[] };
  machine.type(Uint8Array.of(65));
  machine.outside.apply();
  expect(waiting().line).toEqual([65]);
});
