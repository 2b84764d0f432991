/** x87 behaviour that user mode cannot show: real-mode images, memory faults, pending exceptions. */

import { describe, expect, it } from "vitest";
import { Fault, Vector } from "../../../src/cpu/fault.ts";
import { executeFwait, executeX87, findRow, modrmBytes, X87_ROWS } from "../../../src/cpu/x87/index.ts";
import { createMachine } from "./machine.ts";

const FLD1 = [0xd9, 0xe8] as const;
const FNSTENV = [0xd9, 0x30] as const;
const FLDENV = [0xd9, 0x20] as const;
const FNSAVE = [0xdd, 0x30] as const;
const FRSTOR = [0xdd, 0x20] as const;
const FNCLEX = [0xdb, 0xe2] as const;
const FLDCW = [0xd9, 0x28] as const;
const ONE = 0x3fff_8000_0000_0000_0000n;

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

describe("FNSTENV images (SDM vol. 1, figures 8-9 to 8-12)", () => {
  function store(realMode: boolean, operandSize32: boolean): string {
    const { state, bus } = createMachine();
    executeX87(state, ...FLD1, bus);
    state.setInstruction(0x5678n, 0x1234, 0x1e8);
    state.setData(0x9abcn, 0xf00d);
    bus.realMode = realMode;
    bus.operandSize32 = operandSize32;
    expect(executeX87(state, ...FNSTENV, bus)).toBe("done");
    return hex(bus.memory.subarray(0, operandSize32 ? 28 : 14));
  }

  it("32-bit protected mode: selectors, offsets, opcode beside the code selector", () => {
    expect(store(false, true)).toBe("7f03ffff0038ffffff3fffff785600003412e801bc9a00000df0ffff");
  });

  it("16-bit protected mode: selectors and offsets", () => {
    expect(store(false, false)).toBe("7f030038ff3f78563412bc9a0df0");
  });

  // 1234:5678 is 0x179b8, f00d:9abc is 0xf9b8c.
  it("32-bit real mode: linear pointers, upper halves in bits 27-12, opcode beside them", () => {
    expect(store(true, true)).toBe("7f03ffff0038ffffff3fffffb879ffffe81100008c9bffff00f00000");
  });

  it("16-bit real mode: linear pointers of 20 bits, opcode in the lower bits", () => {
    expect(store(true, false)).toBe("7f030038ff3fb879e8118c9b00f0");
  });

  it("FLDENV brings a real-mode pointer back as an offset from selector 0", () => {
    for (const operandSize32 of [true, false]) {
      const { state, bus } = createMachine();
      bus.realMode = true;
      bus.operandSize32 = operandSize32;
      state.setInstruction(0x5678n, 0x1234, 0x1e8);
      state.setData(0x9abcn, 0xf00d);
      executeX87(state, ...FNSTENV, bus);
      executeX87(state, ...FLDENV, bus);
      expect([state.instructionPointer, state.codeSelector, state.opcode]).toEqual([0x179b8n, 0, 0x1e8]);
      expect([state.dataPointer, state.dataSelector]).toEqual([0xf9b8cn, 0]);
    }
  });

  it("FNSAVE and FRSTOR keep registers, TOP and tags, and FNSAVE initializes", () => {
    for (const operandSize32 of [true, false]) {
      const { state, bus } = createMachine();
      bus.operandSize32 = operandSize32;
      executeX87(state, ...FLD1, bus);
      executeX87(state, 0xd9, 0xeb, bus); // FLDPI
      const pi = state.get(0);
      executeX87(state, ...FNSAVE, bus);
      expect([state.controlWord, state.statusWord, state.tagWord]).toEqual([0x37f, 0, 0xffff]);
      executeX87(state, ...FRSTOR, bus);
      expect([state.top, state.tagWord]).toEqual([6, 0x0fff]);
      expect([state.get(0), state.get(1)]).toEqual([pi, ONE]);
    }
  });
});

describe("pending exceptions", () => {
  function withPending() {
    const machine = createMachine();
    machine.state.controlWord = 0x37e;
    executeX87(machine.state, 0xd9, 0xe0, machine.bus); // FCHS of an empty register
    expect(machine.state.pending).toBe(true);
    return machine;
  }

  it("stop every waiting instruction and no other", () => {
    for (const row of X87_ROWS) {
      const { state, bus } = withPending();
      const outcome = executeX87(state, row.opcode, modrmBytes(row.form)[0], bus);
      expect([row.mnemonic, outcome]).toEqual([row.mnemonic, row.noWait ? "done" : "error"]);
    }
    expect(X87_ROWS.filter((row) => row.noWait).map((row) => row.mnemonic.split(" ")[0])).toEqual([
      "FNSTENV",
      "FNSTCW",
      "FNENI",
      "FNDISI",
      "FNCLEX",
      "FNINIT",
      "FNSETPM",
      "FNSAVE",
      "FNSTSW",
      "FNSTSW",
    ]);
  });

  it("stop FWAIT until FNCLEX", () => {
    const { state, bus } = withPending();
    expect(executeFwait(state)).toBe("error");
    executeX87(state, ...FNCLEX, bus);
    expect(executeFwait(state)).toBe("done");
  });

  it("come and go with the masks of FLDCW", () => {
    const { state, bus } = createMachine();
    executeX87(state, 0xd9, 0xe0, bus);
    expect(state.statusWord & 0x80c1).toBe(0x41);
    bus.memory.set([0x7e, 0x03]);
    executeX87(state, 0xd9, 0x28, bus);
    expect(state.statusWord & 0x80c1).toBe(0x80c1);
  });
});

describe("memory faults", () => {
  const rows = X87_ROWS.filter((row) => row.operand !== "none");

  // With exceptions unmasked too: a store that one suppresses still checks its operand.
  it.each([
    ["masked", 0x7f],
    ["unmasked", 0x40],
  ])("leave every instruction's state as it was, exceptions %s", (_name, control) => {
    for (const row of rows) {
      for (const empty of [false, true]) {
        const { state, bus } = createMachine();
        if (!empty) executeX87(state, ...FLD1, bus);
        bus.memory.set([control, 0x03]);
        executeX87(state, ...FLDCW, bus);
        executeX87(state, ...FNSAVE, bus);
        const before = hex(bus.memory);
        executeX87(state, ...FRSTOR, bus);
        const fault = () => {
          throw new Fault(Vector.PF, 2);
        };
        const faulting = Object.assign(Object.create(bus), { read: fault, write: fault, probe: fault });
        let caught: unknown;
        try {
          executeX87(state, row.opcode, modrmBytes(row.form)[0], faulting);
        } catch (error) {
          caught = error;
        }
        expect(caught, row.mnemonic).toBeInstanceOf(Fault);
        bus.memory.fill(0);
        executeX87(state, ...FNSAVE, bus);
        expect([row.mnemonic, hex(bus.memory)]).toEqual([row.mnemonic, before]);
      }
    }
  });
});

describe("the table", () => {
  it("gives each encoding to one row", () => {
    const seen = new Map<number, string>();
    for (const row of X87_ROWS) {
      for (const modrm of modrmBytes(row.form)) {
        const key = row.opcode * 256 + modrm;
        expect(seen.get(key), `${row.mnemonic} at ${key.toString(16)}`).toBeUndefined();
        seen.set(key, row.mnemonic);
        expect(findRow(row.opcode, modrm)).toBe(row);
      }
    }
  });

  it("treats the memory forms of all three mod values alike", () => {
    expect(findRow(0xd8, 0x45)).toBe(findRow(0xd8, 0x00));
    expect(findRow(0xdb, 0xaf)).toBe(findRow(0xdb, 0x28));
  });
});
