/** Traces of small guests, line by line. */
import { describe, expect, test } from "vitest";
import { combineObservers } from "../../src/debug/observers.ts";
import { startTraces } from "../../src/debug/trace.ts";
import type { TraceKind } from "../../src/debug/trace-kinds.ts";
import * as g from "../cli/guests.ts";
import { machineWith } from "./guest.ts";

/** The trace of a guest up to its end, and how it ended. */
async function traced(kinds: readonly TraceKind[], ...parts: (readonly number[])[]) {
  const { machine } = machineWith(...parts);
  const lines: string[] = [];
  const traces = await startTraces(machine, [{ kinds, sink: (line) => lines.push(line) }]);
  machine.observer = combineObservers(traces.observers);
  const reason = machine.runSync({ maxInstructions: 10_000 });
  traces.finish();
  return { lines, reason, machine };
}

describe("--trace insn", () => {
  test("shows address, bytes, text and what the instruction changed", async () => {
    const { lines } = await traced(
      ["insn"],
      [0xb8, 0xff, 0xff, 0xff, 0xff], // MOV EAX, -1
      [0x83, 0xc0, 0x01], // ADD EAX, 1
      [0x90], // NOP
      g.tripleFault,
    );
    expect(lines.map((line) => line.replace(/ {2,}/g, " "))).toEqual([
      "insn 0 0010:00100020 b8 ff ff ff ff mov eax, 0xffffffff ; RAX=ffffffff",
      "insn 1 0010:00100025 83 c0 01 add eax, 1 ; RAX=0 RFL=57 [---ZAPC]",
      "insn 2 0010:00100028 90 nop",
      "insn 3 0010:00100029 0f 0b ud2",
    ]);
  });

  test("is one line for each instruction executed", async () => {
    const { lines, machine } = await traced(["insn"], g.spin(100), g.tripleFault);
    // MOV, 100 times DEC and JNZ, UD2.
    expect(lines).toHaveLength(202);
    expect(machine.states[0]!.rip).toBe(BigInt(g.ENTRY + 8));
  });
});

describe("--trace io", () => {
  test("shows ports, values and who answered", async () => {
    const { lines } = await traced(["io"], g.print("A"), g.unknownPort, g.tripleFault);
    expect(lines.map((line) => line.replace(/ {2,}/g, " "))).toEqual([
      "io 2 port 03f8 <- 41 com1",
      "io 5 port 1234 <- 01 nothing there",
    ]);
  });
});

describe("--trace int", () => {
  test("shows exceptions with their error codes, up to the shutdown", async () => {
    const { lines, reason } = await traced(["int"], g.tripleFault);
    expect(reason).toEqual({ kind: "triple-fault" });
    expect(lines.map((line) => line.replace(/ {2,}/g, " "))).toEqual([
      "int 0 #UD at 0010:00100020 CPL 0 RFL=00000002",
      // The IDT is empty: gate 6 lies beyond its limit.
      "int 0 #GP error 0033h at 0010:00100020 CPL 0 RFL=00000002",
      "int 0 #DF error 0000h at 0010:00100020 CPL 0 RFL=00000002",
    ]);
  });
});

describe("--trace mmu", () => {
  /** Identity-maps 4 MiB with one large page at 200000H, and turns paging on. */
  const pagingOn = [
    ...[0xbf, 0, 0, 0x20, 0], // MOV EDI, 200000H
    ...[0xc7, 0x07, 0x83, 0, 0, 0], // MOV [EDI], 83H: P, R/W, PS
    ...[0x0f, 0x22, 0xdf], // MOV CR3, EDI
    ...[0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x10, 0x0f, 0x22, 0xe0], // CR4.PSE
    ...[0x0f, 0x20, 0xc0, 0x0d, 0, 0, 0, 0x80, 0x0f, 0x22, 0xc0], // CR0.PG
  ];

  test("shows each entry of a walk, and the page fault at its end", async () => {
    const touch = [0xa1, 0x34, 0x12, 0xc0, 0x00]; // MOV EAX, [C01234H]
    const { lines, machine } = await traced(["mmu"], pagingOn, touch);
    const text = lines.map((line) => line.replace(/ {2,}/g, " "));
    expect(
      text.find((line) => line.includes("fetch 0000000000100041") || line.includes("fetch 00000000001000")),
    ).toMatch(/PDE\[200000\]=00000000000000[0-9a-f]3 -> 1000[0-9a-f]{2} \(4M\)$/);
    expect(text.find((line) => line.includes("read 0000000000c01234"))).toMatch(
      /PDE\[20000c\]=0+ -> #PF error 0h$/,
    );
    expect(machine.states[0]!.u64(0x268)).toBe(0xc0_1234n);
  });
});

test("a trace does not change what the guest does", async () => {
  const program = [g.print("text"), g.spin(500), g.tripleFault];
  const plain = machineWith(...program);
  plain.machine.runSync();
  const { machine } = await traced(["int", "mmu", "io", "insn"], ...program);
  expect(machine.states[0]!.bytes.slice(0, 0x98)).toEqual(plain.machine.states[0]!.bytes.slice(0, 0x98));
  expect(machine.instructions).toBe(plain.machine.instructions);
});

test("a stop inside a single-stepped instruction ends the run there", async () => {
  const { lines, reason } = await traced(["insn"], g.powerOff, g.forever);
  expect(reason).toEqual({ kind: "power-off" });
  expect(lines.at(-1)).toMatch(/ out dx, ax/);
});
