/** A machine with a guest of a few bytes. */
import { Machine } from "../../src/machine/machine.ts";
import { guest } from "../cli/guests.ts";

export interface GuestMachine {
  readonly machine: Machine;
  readonly console: () => string;
}

export function machineWith(...parts: (readonly number[])[]): GuestMachine {
  let text = "";
  const machine = new Machine({
    memory: 16 << 20,
    onConsole: (byte) => {
      text += String.fromCharCode(byte);
    },
  });
  machine.load({ image: guest(...parts) });
  return { machine, console: () => text };
}
