/**
 * The same register accesses on this machine's devices and on QEMU's, through QEMU's test protocol: its
 * processor is stopped, and so is its virtual time. What a driver reads has to be the same. Without QEMU on
 * the host there is nothing to compare with, and the tests are skipped.
 */

import { spawn, spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import * as map from "../../src/machine/address-map.ts";
import { createPlatform } from "../../src/machine/platform.ts";
import { TestLog } from "./rig.ts";

type Operation =
  | { readonly kind: "out"; readonly port: number; readonly value: number; readonly size: 1 | 2 | 4 }
  /** `mask`: bits to compare. */
  | {
      readonly kind: "in";
      readonly port: number;
      readonly size: 1 | 2 | 4;
      readonly mask: number;
    }
  | { readonly kind: "write"; readonly address: number; readonly value: number }
  | { readonly kind: "read"; readonly address: number };

const out = (port: number, value: number, size: 1 | 2 | 4 = 1): Operation => ({
  kind: "out",
  port,
  value,
  size,
});
const inp = (port: number, mask = 0xff): Operation => ({ kind: "in", port, size: 1, mask });
const inw = (port: number): Operation => ({ kind: "in", port, size: 2, mask: 0xffff });
const inl = (port: number): Operation => ({ kind: "in", port, size: 4, mask: 0xffff_ffff });
const write = (address: number, value: number): Operation => ({ kind: "write", address, value });
const read = (address: number): Operation => ({ kind: "read", address });

const ARGUMENTS = [
  ...["-machine", "q35", "-accel", "tcg", "-S", "-qtest", "stdio", "-qtest-log", "/dev/null", "-m", "256"],
  ...["-nodefaults", "-display", "none", "-serial", "null", "-rtc", "base=2025-01-01T00:00:00,clock=vm"],
];

function command(operation: Operation): string {
  const suffix = { 1: "b", 2: "w", 4: "l" } as const;
  switch (operation.kind) {
    case "out":
      return `out${suffix[operation.size]} ${operation.port} ${operation.value}`;
    case "in":
      return `in${suffix[operation.size]} ${operation.port}`;
    case "write":
      return `writel ${operation.address} ${operation.value}`;
    default:
      return `readl ${operation.address}`;
  }
}

/** What QEMU answers to each operation; 0 for those without a value. */
function runQemu(operations: readonly Operation[]): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const qemu = spawn("qemu-system-x86_64", ARGUMENTS, { stdio: ["pipe", "pipe", "pipe"] });
    const answers: number[] = [];
    let text = "";
    let errors = "";
    qemu.stderr.on("data", (chunk) => {
      errors += chunk;
    });
    qemu.stdout.on("data", (chunk) => {
      text += chunk;
      const lines = text.split("\n");
      text = lines.pop()!;
      for (const line of lines) {
        if (!line.startsWith("OK")) reject(new Error(`QEMU answered ${line}`));
        answers.push(Number(line.split(" ")[1] ?? 0));
      }
      if (answers.length === operations.length) qemu.kill();
    });
    qemu.on("error", reject);
    qemu.on("close", () => {
      if (answers.length === operations.length) resolve(answers);
      else reject(new Error(`QEMU ended after ${answers.length} answers: ${errors}`));
    });
    qemu.stdin.write(operations.map((operation) => `${command(operation)}\n`).join(""));
  });
}

function runOurs(operations: readonly Operation[]): number[] {
  const nothing = () => {};
  const { processorPort: port } = createPlatform({
    processors: 1,
    memorySize: 256 << 20,
    startDate: Date.UTC(2025, 0, 1) / 1000,
    log: new TestLog(),
    events: {
      onConsole: nothing,
      onDebugByte: nothing,
      onPowerOff: nothing,
      onReset: nothing,
      onDebugExit: nothing,
    },
  });
  return operations.map((operation) => {
    switch (operation.kind) {
      case "out":
        port.writePort(operation.port, operation.size, operation.value);
        return 0;
      case "in":
        return port.readPort(operation.port, operation.size);
      case "write":
        port.writeMmio(operation.address, 4, operation.value);
        return 0;
      default:
        return port.readMmio(operation.address, 4);
    }
  });
}

async function compare(operations: readonly Operation[]): Promise<void> {
  const [theirs, ours] = [await runQemu(operations), runOurs(operations)];
  const differences: string[] = [];
  operations.forEach((operation, i) => {
    const mask = operation.kind === "in" ? operation.mask : 0xffff_ffff;
    if (operation.kind !== "in" && operation.kind !== "read") return;
    const [a, b] = [(theirs[i] & mask) >>> 0, (ours[i] & mask) >>> 0];
    if (a !== b) {
      differences.push(`${i}: ${command(operation)}: QEMU 0x${a.toString(16)}, here 0x${b.toString(16)}`);
    }
  });
  expect(differences).toEqual([]);
  expect(operations.some((operation) => operation.kind === "in" || operation.kind === "read")).toBe(true);
}

const [RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff];
const rtc = (register: number, mask = 0xff) => [out(0x70, register), inp(0x71, mask)];
const setRtc = (register: number, value: number) => [out(0x70, register), out(0x71, value)];
const initialize8259 = [
  ...[out(0x20, 0x11), out(0x21, 0x30), out(0x21, 0x04), out(0x21, 0x01)],
  ...[out(0xa0, 0x11), out(0xa1, 0x38), out(0xa1, 0x02), out(0xa1, 0x01)],
  ...[out(0x21, 0xff), out(0xa1, 0xff)],
];

const present = spawnSync("qemu-system-x86_64", ["--version"]).status === 0;

describe.skipIf(!present)("the same as QEMU's", () => {
  it("16550A: identification as in Linux's autoconfig", () =>
    compare([
      ...[out(IER, 0), inp(IER), out(IER, 0x0f), inp(IER), out(IER, 0)],
      ...[out(MCR, 0x1a), inp(MSR, 0xf0), out(MCR, 0x1f), inp(MSR, 0xf0), out(MCR, 0)],
      ...[out(LCR, 0xbf), out(IIR, 0), out(LCR, 0), out(IIR, 1), inp(IIR)],
      ...[out(LCR, 0x80), inp(IIR), out(LCR, 0), out(IIR, 0x21), inp(IIR), out(IIR, 0), inp(IIR)],
      ...[out(LCR, 0x83), out(RBR, 1), out(IER, 0), inp(RBR), inp(IER), out(LCR, 3), inp(LCR)],
      // The deltas apart, here and below: in loopback QEMU has none.
      ...[out(SCR, 0x5a), inp(SCR), inp(LSR), inp(MSR, 0xf0)],
    ]));

  it("16550A: interrupts of the transmitter and in loopback", () =>
    compare([
      ...[
        out(LCR, 0x03),
        out(IIR, 0x07),
        out(IER, 0x02),
        inp(IIR),
        inp(IIR),
        out(RBR, 0x41),
        inp(IIR),
        inp(IIR),
      ],
      ...[out(IER, 0), out(IER, 0x02), inp(IIR), out(IER, 0)],
      ...[out(MCR, 0x10), inp(MSR, 0xf0), out(IIR, 0x01), out(IER, 0x01), inp(IIR)],
      ...[out(RBR, 0x55), inp(LSR), inp(IIR), inp(RBR), inp(LSR), inp(IIR), out(MCR, 0)],
    ]));

  it("8259 pair: masks, requests, service, end of interrupt, poll", () =>
    compare([
      ...initialize8259,
      ...[out(0x21, 0xfb), inp(0x21), out(0xa1, 0x5a), inp(0xa1)],
      ...[out(0x4d0, 0xff), inp(0x4d0), out(0x4d1, 0xff), inp(0x4d1), out(0x4d0, 0), out(0x4d1, 0)],
      // COM1 requests IRQ 4; the request waits masked, then is polled into service.
      ...[out(MCR, 0x08), out(IER, 0), out(IER, 0x02)],
      ...[out(0x20, 0x0a), inp(0x20), out(0x21, 0xef), out(0x20, 0x0c), inp(0x20, 0x87)],
      ...[out(0x20, 0x0b), inp(0x20), out(0x20, 0x20), inp(0x20), out(0x20, 0x0a), inp(0x20)],
      // The same as a level.
      ...[out(IER, 0), out(0x4d0, 0x10), out(IER, 0x02), inp(0x20)],
      ...[out(0x20, 0x0c), inp(0x20, 0x87), out(0x20, 0x64), inp(0x20)],
      ...[inp(IIR), inp(0x20), out(IER, 0), out(0x4d0, 0), inp(0x20)],
    ]));

  it("8254: status in each mode, latches, port 61h", () =>
    compare([
      ...[0, 2, 3, 4].flatMap((mode) => {
        // NULL COUNT apart: QEMU loads at once, the chip with the next CLK pulse. OUT apart in modes 2 and 4:
        // the data sheet has it high but for one pulse, QEMU the other way round.
        const mask = mode === 0 || mode === 3 ? 0xbf : 0x3f;
        return [
          ...[out(0x61, 1), out(0x43, 0xb0 | (mode << 1)), out(0x42, 0x00), out(0x42, 0x40)],
          ...[out(0x43, 0xe8), inp(0x42, mask), inp(0x61, mask === 0xbf ? 0x2f : 0x0f)],
          ...[out(0x43, 0x80), inp(0x42), inp(0x42), out(0x43, 0xc8), inp(0x42, mask), inp(0x42), inp(0x42)],
        ];
      }),
      ...[out(0x61, 0), inp(0x61, 0x0f), out(0x61, 0x03), inp(0x61, 0x0f)],
      ...[out(0x43, 0x90), out(0x42, 0x33), out(0x43, 0xe8), inp(0x42, 0xbf), inp(0x42)],
      ...[out(0x43, 0xa0), out(0x42, 0x33), out(0x43, 0xe8), inp(0x42, 0xbf), inp(0x42)],
      ...[out(0x43, 0xb5), out(0x42, 0x99), out(0x42, 0x99), out(0x43, 0x80), inp(0x42), inp(0x42)],
    ]));

  it("RTC: date, formats, flags, SET", () =>
    compare([
      ...[0x0b, 0x0d, 0x00, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, 0x32].flatMap((register) => rtc(register)),
      ...rtc(0x0a, 0x7f),
      // Set while stopped; binary and 12 hours.
      ...[setRtc(0x0b, 0x82), setRtc(0x09, 0x28), setRtc(0x08, 0x02), setRtc(0x07, 0x28)].flat(),
      ...[setRtc(0x04, 0x23), setRtc(0x02, 0x59), setRtc(0x00, 0x58), setRtc(0x0b, 0x02)].flat(),
      ...[0x00, 0x02, 0x04, 0x07, 0x08, 0x09, 0x0b].flatMap((register) => rtc(register)),
      ...[setRtc(0x0b, 0x80), setRtc(0x04, 0x91), setRtc(0x0b, 0x00), rtc(0x04), rtc(0x0b)].flat(),
      ...[setRtc(0x0b, 0x86), setRtc(0x04, 0x11), setRtc(0x02, 0x3b), setRtc(0x00, 0)].flat(),
      ...[setRtc(0x07, 28), setRtc(0x08, 2), setRtc(0x09, 28), setRtc(0x32, 20), setRtc(0x0b, 0x06)].flat(),
      ...[0x00, 0x02, 0x04, 0x07, 0x08, 0x09, 0x0b].flatMap((register) => rtc(register)),
      ...[setRtc(0x5f, 0xa5), rtc(0x5f), rtc(0x0c), rtc(0x0c)].flat(),
    ]));

  it("i8042: tests and command byte", () =>
    compare([
      ...[out(0x64, 0xaa), inp(0x64, 0x03), inp(0x60), inp(0x64, 0x03)],
      ...[out(0x64, 0xab), inp(0x60), out(0x64, 0xa9), inp(0x60)],
      ...[out(0x64, 0x60), out(0x60, 0x30), out(0x64, 0x20), inp(0x60)],
      ...[out(0x64, 0xd3), out(0x60, 0x5a), inp(0x64, 0x21), inp(0x60), inp(0x64, 0x21)],
    ]));

  it("PCI: configuration mechanism #1 and what is not there", () =>
    compare([
      ...[out(0xcf8, 0x8000_0000, 4), inl(0xcf8)],
      ...[out(0xcf8, 0x8000_0008, 4), inw(0xcfe), out(0xcf8, 0x8000_5000, 4), inl(0xcfc)],
      ...[out(0xcf8, 0x0000_0000, 4), inl(0xcfc), inl(0xcf8)],
    ]));

  it("I/O APIC: identification and redirection entries", () =>
    compare([
      ...[write(map.IOAPIC.base, 1), read(map.IOAPIC.base + 0x10)],
      ...[0x10, 0x2e, 0x3e].flatMap((index) => [
        ...[write(map.IOAPIC.base, index), read(map.IOAPIC.base + 0x10)],
        ...[write(map.IOAPIC.base + 0x10, 0x0001_7fff), read(map.IOAPIC.base + 0x10)],
        ...[write(map.IOAPIC.base, index + 1), write(map.IOAPIC.base + 0x10, 0xff00_0000)],
        read(map.IOAPIC.base + 0x10),
      ]),
    ]));

  it("an unused port reads all ones", () => compare([inp(0x2f8), inp(0x1f7), inw(0x300), inl(0x300)]));
});
