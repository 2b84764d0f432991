/** Which movements of RSP are changes of stack. */
import { expect, test } from "vitest";
import { StackWatch } from "../../src/measure/stack-watch.ts";

const USER = 0x7fff_0000n;
const KERNEL = 0xffff_8880_0001_0000n;

function watch(): StackWatch {
  const stack = new StackWatch();
  stack.begin();
  stack.step(USER);
  return stack;
}

test("pushing and popping stays on the stack", () => {
  const stack = watch();
  stack.move(USER, USER - 8n, "app", false);
  expect(stack.use(USER - 8n)).toBeNull();
});

test("a load of RSP counts when the new stack is used, for the phase that loaded it", () => {
  const stack = watch();
  stack.move(USER, KERNEL, "entry", false);
  expect(stack.use(KERNEL)).toBe("entry");
  expect(stack.use(KERNEL - 8n)).toBeNull();
});

test("RSP as a scratch register is no stack", () => {
  const stack = watch();
  stack.move(USER, 0x16_3000n, "entry", false);
  stack.move(0x16_3000n, KERNEL, "entry", false);
  expect(stack.use(KERNEL)).toBe("entry");
  stack.move(KERNEL, USER, "exit", false);
  stack.move(USER, 0x16_4000n, "exit", false);
  stack.move(0x16_4000n, USER, "exit", false);
  expect(stack.use(USER)).toBe("exit");
});

test("room for a large frame is on the same stack", () => {
  const stack = watch();
  stack.move(USER, USER - 65536n, "app", true);
  expect(stack.use(USER - 65536n)).toBeNull();
});

test("what the processor loads counts at once", () => {
  const stack = watch();
  expect(stack.load(KERNEL)).toBe(true);
  expect(stack.use(KERNEL)).toBeNull();
  expect(stack.load(KERNEL - 40n)).toBe(false);
});
