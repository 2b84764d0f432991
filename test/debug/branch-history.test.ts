/** The list of branches in a dump, against the list that single-stepping gives. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Branch, branchEvents, branchHistory } from "../../src/debug/branch-history.ts";
import { loadDisassembler } from "../../src/debug/disassemble.ts";
import { peekLinear } from "../../src/debug/peek.ts";
import { Machine } from "../../src/machine/machine.ts";
import * as g from "../cli/guests.ts";
import { machineWith } from "./guest.ts";

const mechanisms = readFileSync(join(import.meta.dirname, "..", "..", "images", "mechanisms.bin"));

function mechanismsMachine(): Machine {
  const machine = new Machine({ memory: 16 << 20 });
  machine.load({ image: mechanisms });
  return machine;
}

/** RIP and the general registers: as good as unique within a short program. */
function stateOf(machine: Machine): string {
  const cpu = machine.states[0]!;
  return [cpu.rip, ...Array.from({ length: 16 }, (_, i) => cpu.gpr(i))].join();
}

/** The taken branches up to a state, from where RIP goes at each step. */
async function steppedBranches(until: string): Promise<{ from: bigint; to: bigint }[]> {
  const machine = mechanismsMachine();
  const disassemble = await loadDisassembler();
  const branches: { from: bigint; to: bigint }[] = [];
  let last = -1n;
  let next = -1n;
  let arrived = false;
  machine.processor.onStep = (cpu) => {
    if (arrived) return;
    // A string instruction that repeats stays where it is.
    if (last >= 0n && cpu.rip !== next && cpu.rip !== last) branches.push({ from: last, to: cpu.rip });
    arrived = stateOf(machine) === until;
    last = cpu.rip;
    next = last + BigInt(disassemble(peekLinear(machine.mmu, cpu, last, 15), last, 64, 1)[0]!.bytes.length);
  };
  machine.runSync({ maxInstructions: 7000 });
  expect(arrived).toBe(true);
  return branches;
}

describe("the branch history", () => {
  // Loops, calls, returns, and straight code between device accesses.
  test.each([300, 1000, 2500, 4000, 6000])("after about %i instructions of mechanisms.bin", async (count) => {
    const machine = mechanismsMachine();
    machine.runSync({ maxInstructions: count });
    const history = branchHistory(machine, machine.states[0]!);
    expect(history).toHaveLength(16);
    const stepped = await steppedBranches(stateOf(machine));
    expect(history.map(({ from, to }) => ({ from, to }))).toEqual(stepped.slice(-16));
  });

  const historyOf = (machine: Machine): Branch[] => {
    machine.observer = branchEvents(machine);
    machine.runSync({ maxInstructions: 100_000 });
    return branchHistory(machine, machine.states[0]!);
  };
  const at = (offset: number): bigint => BigInt(g.ENTRY + offset);

  test("holds events in their order, with the block that they interrupt", () => {
    const { machine } = machineWith(
      [0xeb, 0x01, 0x90], // JMP over a NOP
      [0x90, 0x90], // the block of the fault begins here
      g.tripleFault,
    );
    expect(historyOf(machine)).toEqual([
      { from: at(0), to: at(3), cause: "JMP" },
      { from: at(5), to: null, cause: "#UD" },
      { from: at(5), to: null, cause: "#GP" },
      { from: at(5), to: null, cause: "#DF" },
    ]);
  });

  test("leaves out branches that are not taken, and the runs of string instructions", () => {
    const { machine } = machineWith(
      [0x31, 0xc0, 0x75, 0x10], // XOR EAX, EAX; JNZ
      [0xbf, 0x00, 0x00, 0x20, 0x00, 0xb9, 0x00, 0x10, 0x00, 0x00, 0xf3, 0xaa], // REP STOSB, 4096 times
      [0x74, 0x00], // JZ to what follows
      [0x74, 0x01, 0x90], // JZ over a NOP
      g.halt,
    );
    expect(historyOf(machine)).toEqual([{ from: at(18), to: at(21), cause: "JZ" }]);
  });

  test("is empty before the first instruction", () => {
    expect(branchHistory(mechanismsMachine(), mechanismsMachine().states[0]!)).toEqual([]);
  });
});
