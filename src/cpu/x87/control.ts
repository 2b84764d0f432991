/** FINIT, FCLEX, FLDCW, FSTCW, FSTSW, FLDENV, FSTENV, FSAVE, FRSTOR, FINCSTP, FDECSTP, FFREE, FNOP. */

import { readEnvironment, readRegisters, writeEnvironment, writeRegisters } from "./image.ts";
import { type Execute, finish, type Instruction, pop } from "./instruction.ts";
import { fromBytes, toBytes } from "./load-store.ts";
import { Status } from "./state.ts";

export const fninit: Execute = ({ state }) => state.initialize();

export const fnclex: Execute = ({ state }) => {
  state.statusWord = state.statusWord & ~(0x3f | Status.SF | Status.ES | Status.B);
};

export const fldcw: Execute = ({ state, bus }) => {
  state.controlWord = Number(fromBytes(bus.read(2)));
};

export const fnstcw: Execute = ({ state, bus }) => bus.write(toBytes(BigInt(state.controlWord), 2));

export const fnstswMemory: Execute = ({ state, bus }) => bus.write(toBytes(BigInt(state.statusWord), 2));

export const fnstswAx: Execute = ({ state, bus }) => bus.setAx(state.statusWord);

/** FNSTENV masks all exceptions once the image is written (SDM vol. 2A). */
export const fnstenv: Execute = (x) => {
  const image = new Uint8Array(environmentLength(x));
  writeEnvironment(x.state, x.bus, image);
  x.bus.write(image);
  x.state.controlWord |= 0x3f;
};

export const fldenv: Execute = (x) => {
  readEnvironment(x.state, x.bus, x.bus.read(environmentLength(x)));
};

const REGISTERS_LENGTH = 80;

export const fnsave: Execute = (x) => {
  const length = environmentLength(x);
  const image = new Uint8Array(length + REGISTERS_LENGTH);
  writeEnvironment(x.state, x.bus, image.subarray(0, length));
  writeRegisters(x.state, image.subarray(length));
  x.bus.write(image);
  x.state.initialize();
};

export const frstor: Execute = (x) => {
  const length = environmentLength(x);
  const image = x.bus.read(length + REGISTERS_LENGTH);
  readEnvironment(x.state, x.bus, image.subarray(0, length));
  readRegisters(x.state, image.subarray(length));
};

function environmentLength(x: Instruction): number {
  return x.bus.operandSize32 ? 28 : 14;
}

export const fincstp: Execute = (x) => {
  x.state.top++;
  finish(x);
};

export const fdecstp: Execute = (x) => {
  x.state.top--;
  finish(x);
};

export const ffree: Execute = (x) => {
  x.state.free(x.i);
  finish(x);
};

/** DF C0+i, undocumented: FFREE with a pop. */
export const ffreep: Execute = (x) => {
  ffree(x);
  pop(x.state);
};

/** FNOP, and FENI, FDISI and FSETPM of older coprocessors. */
export const fnop: Execute = () => {};
