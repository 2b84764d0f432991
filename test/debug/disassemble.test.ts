/** Registers, memory and code as text. */
import { describe, expect, test } from "vitest";
import { codeAround } from "../../src/debug/code-around.ts";
import { loadDisassembler } from "../../src/debug/disassemble.ts";
import { peekLinear, translate } from "../../src/debug/peek.ts";
import { registerDump, registerReport } from "../../src/debug/registers.ts";
import * as g from "../cli/guests.ts";
import { machineWith } from "./guest.ts";

describe("the disassembler", () => {
  test.each([
    [64, [0x48, 0x8b, 0x05, 0x10, 0, 0, 0], "mov rax, [0x1017]"],
    [32, [0x48], "dec eax"],
    [16, [0xb8, 0x34, 0x12], "mov ax, 0x1234"],
    [64, [0x0f, 0xff], "(bad)"],
    [64, [0xf3, 0x48, 0xab], "rep stosq [rdi]"],
  ] as const)("%i-bit %j is %s", async (bits, bytes, text) => {
    const disassemble = await loadDisassembler();
    expect(disassemble(Uint8Array.from(bytes), 0x1000n, bits, 1)[0]?.text).toBe(text);
  });
});

describe("code around RIP", () => {
  test("marks the instruction at RIP, and finds those before it by their agreement", async () => {
    const { machine } = machineWith(g.print("a long enough text"), g.tripleFault);
    machine.runSync();
    const lines = await codeAround(machine, machine.states[0]!);
    const at = lines.findIndex((line) => line.startsWith("=> "));
    expect(lines[at]).toMatch(/: 0f 0b +ud2$/);
    const before = lines.slice(at - 3, at).map((line) => line.replace(/^.*: /, "").replace(/ {2,}/, " "));
    expect(before).toEqual(["66 ba f8 03 mov dx, 0x3f8", "b0 74 mov al, 0x74", "ee out dx, al"]);
  });

  test("says where nothing is mapped", async () => {
    const { machine } = machineWith([0xb8, 0, 0, 0, 0xf8], [0xff, 0xe0]); // MOV EAX, F8000000H; JMP EAX
    machine.runSync({ maxInstructions: 1000 });
    const cpu = machine.states[0]!;
    cpu.rip = 0xf800_0000n;
    expect((await codeAround(machine, cpu)).at(-1)).toBe("=> f8000000: nothing is mapped here");
  });
});

describe("the register dump", () => {
  test("shows registers, flags, segments, tables and control registers", () => {
    const { machine } = machineWith([0xb8, 0x78, 0x56, 0x34, 0x12], [0x31, 0xdb], g.tripleFault);
    machine.runSync();
    const dump = registerDump(machine.states[0]!, true).join("\n");
    expect(dump).toMatch(/^RAX=0000000012345678 RBX=0000000000000000 /m);
    expect(dump).toMatch(/^RIP=0000000000100027 RFL=00000046 \[---Z-P-\] CPL=0 II=0 HLT=0$/m);
    expect(dump).toMatch(/^CS =0010 0000000000000000 ffffffff 00c09b00 DPL=0 CS32 \[-RA\]$/m);
    expect(dump).toMatch(/^CR0=00000011 CR2=/m);
    expect(dump).toMatch(/\(protected mode\)$/m);
    expect(dump).toMatch(/XMM15=0{32}$/m);
    expect(registerReport(machine.states[0]!)).toMatchObject({
      rax: "0x12345678",
      rbx: "0x0",
      rip: "0x100027",
    });
  });
});

describe("peeking", () => {
  /** 64-bit mode through hello's page tables would do; here 32-bit paging with one 4-KiB page. */
  const paging = [
    ...[0xbf, 0, 0, 0x20, 0], // MOV EDI, 200000H: page directory
    ...[0xc7, 0x07, 0x03, 0x10, 0x20, 0], // entry 0: page table at 201000H
    ...[0xc7, 0x87, 0, 0x14, 0, 0, 0x03, 0, 0x10, 0], // its entry 100H: 100000H, where this code lies
    ...[0xc7, 0x87, 0x08, 0x10, 0, 0, 0x03, 0, 0x10, 0], // its entry 2: 100000H once more
    ...[0x0f, 0x22, 0xdf, 0x0f, 0x20, 0xc0, 0x0d, 0, 0, 0, 0x80, 0x0f, 0x22, 0xc0], // CR3, CR0.PG
    ...g.forever,
  ];

  test("follows page tables without setting accessed flags", () => {
    const { machine } = machineWith(paging);
    machine.runSync({ maxInstructions: 100 });
    const cpu = machine.states[0]!;
    const entry = () => machine.memory.read32(0x20_1008);
    expect(entry()).toBe(0x10_0003);
    expect(translate(machine.mmu, cpu, 0x2020n)).toBe(0x10_0020n);
    expect(peekLinear(machine.mmu, cpu, 0x2020n, 2)).toEqual(Uint8Array.of(0xbf, 0));
    expect(entry()).toBe(0x10_0003);
  });

  test("stops where nothing is mapped", () => {
    const { machine } = machineWith(paging);
    machine.runSync({ maxInstructions: 100 });
    expect(peekLinear(machine.mmu, machine.states[0]!, 0x2ffen, 16)).toHaveLength(2);
    expect(translate(machine.mmu, machine.states[0]!, 0x3000n)).toBeNull();
  });
});
