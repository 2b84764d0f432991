import { beforeEach, expect, it } from "vitest";
import { I8042 } from "../../src/devices/i8042.ts";
import { TestLine, TestLog } from "./rig.ts";

let log: TestLog;
let keyboard: TestLine;
let aux: TestLine;
let resets: number;
let i8042: I8042;

const command = (value: number) => i8042.command.write(0, 1, value);
const status = () => i8042.command.read(0, 1);
const data = () => i8042.data.read(0, 1);
const send = (value: number) => i8042.data.write(0, 1, value);

beforeEach(() => {
  log = new TestLog();
  keyboard = new TestLine();
  aux = new TestLine();
  resets = 0;
  i8042 = new I8042({ log, keyboardIrq: keyboard, auxIrq: aux, onReset: () => resets++ });
});

it("passes the self-test with 55h and both interface tests with 00h", () => {
  for (const [test, result] of [
    [0xaa, 0x55],
    [0xab, 0],
    [0xa9, 0],
  ]) {
    command(test);
    expect(status() & 0x03).toBe(0x01);
    expect(data()).toBe(result);
    expect(status() & 0x01).toBe(0);
  }
});

it("the command byte is written, read back, and changed by the enable and disable commands", () => {
  command(0x60);
  send(0x33);
  command(0x20);
  expect(data()).toBe(0x33);
  command(0xae);
  command(0xa8);
  command(0x20);
  expect(data()).toBe(0x03);
  command(0xad);
  command(0xa7);
  command(0x20);
  expect(data()).toBe(0x33);
});

it("D3h loops a byte back as if from the mouse, with IRQ 12 until it is read", () => {
  command(0x60);
  send(0x03);
  command(0xd3);
  send(0x5a);
  expect(status() & 0x21).toBe(0x21);
  expect([aux.level, keyboard.level]).toEqual([true, false]);
  expect(data()).toBe(0x5a);
  expect(aux.level).toBe(false);
});

it("D2h does the same for the keyboard, with IRQ 1", () => {
  command(0x60);
  send(0x01);
  command(0xd2);
  send(0x1c);
  expect(keyboard.level).toBe(true);
  expect(status() & 0x20).toBe(0);
  expect(data()).toBe(0x1c);
  expect(keyboard.level).toBe(false);
});

it("nothing is plugged in: a byte for the keyboard or the mouse ends with FEh and TIMEOUT", () => {
  send(0xff);
  expect(status() & 0x61).toBe(0x41);
  expect(data()).toBe(0xfe);
  expect(status() & 0x40).toBe(0);
  command(0xd4);
  send(0xf2);
  expect(status() & 0x61).toBe(0x61);
  expect(data()).toBe(0xfe);
});

it("FEh pulses the reset line, and so does a 0 in bit 0 of the output port", () => {
  command(0xff);
  expect(resets).toBe(0);
  command(0xfe);
  expect(resets).toBe(1);
  command(0xd1);
  send(0x03);
  expect(resets).toBe(1);
  command(0xd1);
  send(0x02);
  expect(resets).toBe(2);
});

it("the output port shows the A20 gate as last written", () => {
  command(0xd1);
  send(0x01);
  command(0xd0);
  expect(data() & 0x03).toBe(0x01);
  command(0xd1);
  send(0x03);
  command(0xd0);
  expect(data() & 0x03).toBe(0x03);
});

it("an unknown command is reported", () => {
  command(0xb0);
  expect(log.messages).toEqual(["i8042: unknown command 0xb0"]);
});
