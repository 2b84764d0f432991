import { expect, it } from "vitest";
import { BochsDebugPort, DebugExit, PostPort } from "../../src/devices/debug-ports.ts";
import { ResetControl, SystemControlA } from "../../src/devices/system-control.ts";

it("port 92h resets when INIT_NOW goes from 0 to 1, and remembers the A20 gate", () => {
  let resets = 0;
  const port = new SystemControlA(() => resets++);
  expect(port.read()).toBe(0x02);
  port.write(0, 1, 0x00);
  expect(port.read()).toBe(0x00);
  port.write(0, 1, 0x03);
  port.write(0, 1, 0x03);
  expect(resets).toBe(1);
});

it("port CF9h resets when RST_CPU goes from 0 to 1", () => {
  let resets = 0;
  const port = new ResetControl(() => resets++);
  port.write(0, 1, 0x02);
  expect([port.read(), resets]).toEqual([0x02, 0]);
  port.write(0, 1, 0x06);
  port.write(0, 1, 0x0e);
  expect(resets).toBe(1);
  port.write(0, 1, 0x00);
  port.write(0, 1, 0x04);
  expect(resets).toBe(2);
});

it("isa-debug-exit ends with code * 2 + 1", () => {
  const statuses: number[] = [];
  const port = new DebugExit((status) => statuses.push(status));
  for (const code of [0, 1, 0x10, 0xffff_ffff]) port.write(0, 4, code);
  expect(statuses).toEqual([1, 3, 33, 0xffff_ffff]);
});

it("the Bochs debug port reads back E9h and passes bytes on", () => {
  const bytes: number[] = [];
  const port = new BochsDebugPort((byte) => bytes.push(byte));
  expect(port.read()).toBe(0xe9);
  port.write(0, 1, 0x41);
  expect(bytes).toEqual([0x41]);
});

it("port 80h keeps the POST code", () => {
  const port = new PostPort();
  port.write(0, 1, 0x55);
  expect([port.read(), port.code]).toEqual([0x55, 0x55]);
});
