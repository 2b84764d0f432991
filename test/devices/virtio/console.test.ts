import { beforeEach, describe, expect, it } from "vitest";
import { VirtioConsole } from "../../../src/devices/virtio/console.ts";
import { MS, runFor } from "../rig.ts";
import { createRig, FULL, packed, type Rig, start, type TestRing } from "./driver.ts";

const DATA = 0x20_0000;
const bytes = (text: string) => new TextEncoder().encode(text);

describe.each(["split", "packed"] as const)("the console with %s rings", (kind) => {
  let rig: Rig;
  let device: VirtioConsole;
  let rings: TestRing[];
  let output: number[];

  beforeEach(() => {
    output = [];
    device = new VirtioConsole({ onOutput: (byte) => output.push(byte), columns: 132, rows: 43 });
    rig = createRig("mmio", device);
    rings = start(rig, kind === "packed" ? packed(FULL) : FULL, [16, 16]);
  });

  const run = (queue: number): void => {
    rig.driver.notify(queue);
    runFor(rig.clock, 10 * MS);
  };
  const supply = (length: number): void => {
    rings[0]!.offer(rings[0]!.chain([{ address: DATA, length, write: true }]));
    run(0);
  };

  it("has its size in the configuration (5.3.4)", () => {
    expect([0, 2].map((at) => rig.driver.config(at, 2))).toEqual([132, 43]);
    expect(device.features).toEqual([0, 2]);
  });

  it("puts out what the driver writes, over several buffers", () => {
    rig.memory.write(DATA, bytes("hello, world"));
    const parts = [
      { address: DATA, length: 5 },
      { address: DATA + 5, length: 7 },
    ];
    rings[1]!.offer(rings[1]!.chain(parts));
    run(1);
    expect(Buffer.from(output).toString()).toBe("hello, world");
    expect(rings[1]!.used()).toEqual([{ head: 0, written: 0 }]);
  });

  it("puts out no more of one request than 1 MiB", () => {
    const part = { address: DATA, length: 0x10_0000 };
    rings[1]!.offer(rings[1]!.chain([part, part, part]));
    run(1);
    expect(output).toHaveLength(2 ** 20);
  });

  it("puts out an emergency write (5.3.5.1), also before there is a driver", () => {
    rig.driver.setStatus(0);
    rig.driver.setConfig(8, 4, 0x41);
    rig.driver.setConfig(0, 2, 0x41);
    expect(output).toEqual([0x41]);
  });

  it("keeps what is typed until there are buffers, and gives a piece to each", () => {
    device.receive(bytes("abcdefg"));
    runFor(rig.clock, MS);
    expect(rings[0]!.used()).toEqual([]);
    supply(4);
    expect(rings[0]!.used()).toMatchObject([{ written: 4 }]);
    expect(Buffer.from(rig.memory.read(DATA, 4)).toString()).toBe("abcd");
    supply(10);
    expect(rings[0]!.used()).toMatchObject([{ written: 3 }]);
    supply(10);
    expect(rings[0]!.used()).toEqual([]);
    device.receive(bytes("h"));
    runFor(rig.clock, MS);
    expect(rings[0]!.used()).toMatchObject([{ written: 1 }]);
  });

  it("forgets what was typed at a reset, and takes nothing without a driver", () => {
    device.receive(bytes("abc"));
    rig.driver.setStatus(0);
    expect(device.isOpen).toBe(false);
    device.receive(bytes("def"));
    rings = start(rig, FULL, [16, 16]);
    supply(10);
    expect(rings[0]!.used()).toEqual([]);
  });

  it("needs a reset when a receive buffer cannot be written", () => {
    device.receive(bytes("abc"));
    rings[0]!.offer(rings[0]!.chain([{ address: DATA, length: 4 }]));
    run(0);
    expect(rig.driver.status() & 64).toBe(64);
  });
});
