/** One x87 instruction on the emulator, from and to the FRSTOR images the oracle works on. */

import * as L from "../../../src/cpu/layout.ts";
import { executeX87, type X87Bus, type X87Outcome, X87State } from "../../../src/cpu/x87/index.ts";
import type { X87Case } from "../softfloat/oracle.ts";

/** What an x87 instruction leaves behind. */
export interface Outcome {
  readonly image: Uint8Array;
  readonly memory: Uint8Array;
  readonly eflags: number;
  readonly ax: number;
  readonly outcome: X87Outcome;
}

/** Offsets in the 32-bit protected-mode image. */
export const IMAGE = { FCW: 0, FSW: 4, FTW: 8, FIP: 12, FCS: 16, FOP: 18, FDP: 20, FDS: 24, ST: 28 } as const;

/** ZF, PF, CF, OF, SF, AF. */
const STATUS_FLAGS = 0x8d5;

class TestBus implements X87Bus {
  readonly memory: Uint8Array;
  flags: number;
  ax = 0;
  instructionPointer = 0x1234n;
  codeSelector = 0x33;
  dataPointer = 0x5678n;
  dataSelector = 0x2b;
  realMode = false;
  operandSize32 = true;

  constructor(memory: Uint8Array, flags: number) {
    this.memory = memory;
    this.flags = flags;
  }
  read(length: number): Uint8Array {
    return this.memory.slice(0, length);
  }
  write(bytes: Uint8Array): void {
    this.memory.set(bytes);
  }
  /** Every store fits. */
  probe(): void {}
  setFlags(zfPfCf: number): void {
    this.flags = (this.flags & ~STATUS_FLAGS) | zfPfCf;
  }
  setAx(value: number): void {
    this.ax = value;
  }
}

/** A fresh register file and a bus over 112 bytes of memory. */
export function createMachine(flags = 2): { state: X87State; bus: TestBus } {
  const state = new X87State(new DataView(new ArrayBuffer(L.CPU_STRIDE)));
  state.initialize();
  return { state, bus: new TestBus(new Uint8Array(112), flags) };
}

const FRSTOR = [0xdd, 0x20] as const;
const FNSAVE = [0xdd, 0x30] as const;

/** Runs a case; the code is an optional 66H, the opcode and ModRM. */
export function runCase(c: X87Case): Outcome {
  const { state, bus } = createMachine(c.eflags ?? 2);
  bus.memory.set(c.image);
  executeX87(state, ...FRSTOR, bus);
  bus.memory.fill(0);
  if (c.memory) bus.memory.set(c.memory);
  const code = c.code[0] === 0x66 ? c.code.slice(1) : c.code;
  bus.operandSize32 = code.length === c.code.length;
  const outcome = executeX87(state, code[0], code[1], bus);
  const memory = bus.memory.slice();
  bus.operandSize32 = true;
  executeX87(state, ...FNSAVE, bus);
  return { image: bus.memory.slice(0, 108), memory, eflags: bus.flags, ax: bus.ax, outcome };
}

/** The FRSTOR image of a state: ST(0) first, `tags` in physical order. */
export function makeImage(fields: {
  controlWord: number;
  statusWord: number;
  tagWord: number;
  registers: readonly bigint[];
  dataPointer?: number;
}): Uint8Array {
  const image = new Uint8Array(108);
  const view = new DataView(image.buffer);
  view.setUint32(IMAGE.FCW, fields.controlWord, true);
  view.setUint32(IMAGE.FSW, fields.statusWord, true);
  view.setUint32(IMAGE.FTW, fields.tagWord, true);
  view.setUint32(IMAGE.FDP, fields.dataPointer ?? 0, true);
  fields.registers.forEach((value, i) => {
    view.setBigUint64(IMAGE.ST + 10 * i, value & 0xffff_ffff_ffff_ffffn, true);
    view.setUint16(IMAGE.ST + 10 * i + 8, Number(value >> 64n), true);
  });
  return image;
}

/** An image in words, for messages: control, status, tags, opcode and the registers. */
export function describeImage(image: Uint8Array): string {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const word = (at: number) => view.getUint16(at, true).toString(16).padStart(4, "0");
  const registers = Array.from({ length: 8 }, (_, i) => {
    const at = IMAGE.ST + 10 * i;
    return `${word(at + 8)}:${view.getBigUint64(at, true).toString(16).padStart(16, "0")}`;
  });
  const head = `cw ${word(IMAGE.FCW)} sw ${word(IMAGE.FSW)} tags ${word(IMAGE.FTW)} op ${word(IMAGE.FOP)}`;
  return `${head} dp ${word(IMAGE.FDP)} ${registers.join(" ")}`;
}
