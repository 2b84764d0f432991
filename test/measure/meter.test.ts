/** What the meter counts in 64-bit code of a few instructions, between two addresses. */
import { expect, test } from "vitest";
import { SymbolTable } from "../../src/debug/symbols.ts";
import { type Counts, total } from "../../src/measure/counts.ts";
import { loadEffectsDecoder } from "../../src/measure/instruction-effects.ts";
import { runRegions } from "../../src/measure/regions.ts";
import { makeElf } from "../boot/images.ts";

const BASE = 0x20_0000;
const decode = await loadEffectsDecoder();

const quad = (value: number): number[] => [...new Uint8Array(new BigUint64Array([BigInt(value)]).buffer)];
/** MOV RAX, RBX ...: register numbers as the opcode has them. */
const RCX = 1;
const RSP = 4;
const RSI = 6;
const RDI = 7;
const moveImmediate = (register: number, value: number): number[] => [0x48, 0xb8 + register, ...quad(value)];
const cliHlt = [0xfa, 0xf4];
/** A place for data and stacks: identity-mapped RAM behind the code. */
const DATA = 0x40_0000;

/** The rounds of `region` between its first byte and its end, after `before`. */
async function rounds(
  before: readonly number[],
  region: readonly number[],
  after = cliHlt,
): Promise<Counts[]> {
  const code = Uint8Array.from([...before, ...region, ...after]);
  const image = makeElf({ segments: [{ physical: BASE, data: code }] });
  const symbol = (name: string, offset: number) => ({
    ...{ name, address: BigInt(BASE + offset), size: 0, part: "app" as const, isCode: true, rank: 0 },
  });
  const begin = symbol("from", before.length);
  const end = symbol("to", before.length + region.length);
  const run = await runRegions({
    ...{ image, decode, symbols: new SymbolTable([begin, end]), between: [begin, end] },
    machine: { memory: 16 << 20 },
    maxInstructions: 10_000,
  });
  return run.rounds.map(({ phases }) => total(phases));
}

async function one(before: readonly number[], region: readonly number[]): Promise<Counts> {
  const [counts, ...others] = await rounds(before, region);
  expect(others).toEqual([]);
  return counts!;
}

test("every instruction from the first symbol on, up to the second one", async () => {
  const counts = await one([0x90, 0x90], [0x90, 0x90, 0x90]);
  expect(counts).toMatchObject({ instructions: 3, reads: 0, writes: 0, cycles: 3 });
});

test("a region is met as often as it is reached", async () => {
  // MOV ECX, 5; region: DEC ECX; JNZ to the region
  const all = await rounds([0xb9, 5, 0, 0, 0], [0x90, 0x90], [0xff, 0xc9, 0x75, 0xfa, ...cliHlt]);
  expect(all.map(({ instructions }) => instructions)).toEqual([2, 2, 2, 2, 2]);
});

test("PUSH writes, POP reads, ADD to memory does both, LEA and NOP neither", async () => {
  const stack = moveImmediate(RSP, DATA + 4096);
  const counts = await one(stack, [
    0x50, // PUSH RAX
    0x58, // POP RAX
    ...[0x48, 0x8d, 0x44, 0x24, 0x08], // LEA RAX, [RSP+8]
    ...[0x48, 0x83, 0x04, 0x24, 0x01], // ADD QWORD [RSP], 1
    ...[0x0f, 0x1f, 0x00], // NOP [RAX]
  ]);
  expect(counts).toMatchObject({ instructions: 5, reads: 2, writes: 2, stackSwitches: 0 });
});

test("REP MOVSB is one instruction with an access for each byte, over each page once", async () => {
  const before = [
    ...moveImmediate(RCX, 5000),
    ...moveImmediate(RSI, DATA),
    ...moveImmediate(RDI, DATA + 0x20_0000),
  ];
  const counts = await one(before, [0xf3, 0xa4]);
  // Pages of 2 MiB: the code's, and one each for source and destination.
  expect(counts).toMatchObject({
    ...{ instructions: 1, reads: 5000, writes: 5000 },
    ...{ instructionTlbMisses: 1, dataTlbMisses: 2, pageWalks: 3 },
  });
});

test("REP STOSQ downwards, and REP with a count of zero", async () => {
  const before = [...moveImmediate(RCX, 100), ...moveImmediate(RDI, DATA + 8192), 0xfd];
  expect(await one(before, [0xf3, 0x48, 0xab])).toMatchObject({ instructions: 1, reads: 0, writes: 100 });
  expect(await one(moveImmediate(RCX, 0), [0xf3, 0x48, 0xab])).toMatchObject({ instructions: 1, writes: 0 });
});

test("a repeated comparison accesses as far as it goes", async () => {
  // REPE CMPSB over zeros of which the 12th differs
  const before = [
    ...moveImmediate(RSI, DATA),
    ...moveImmediate(RDI, DATA + 0x1000),
    ...[0xc6, 0x46, 11, 1], // MOV BYTE [RSI+11], 1
    ...moveImmediate(RCX, 50),
  ];
  expect(await one(before, [0xf3, 0xa6])).toMatchObject({ instructions: 1, reads: 24, writes: 0 });
});

test("MOV to CR3 is counted, and its flush is followed by walks", async () => {
  const counts = await one(
    [0x0f, 0x20, 0xd8, ...moveImmediate(RSP, DATA + 4096), 0x90], // MOV RAX, CR3
    [0x0f, 0x22, 0xd8, 0x50, 0x0f, 0x22, 0xd8, 0x58], // MOV CR3, RAX; PUSH RAX; MOV CR3, RAX; POP RAX
  );
  expect(counts).toMatchObject({ instructions: 4, cr3Writes: 2 });
  // Before, and after each write. Stack and code lie in pages of their own.
  expect(counts).toMatchObject({ instructionTlbMisses: 3, dataTlbMisses: 2, pageWalks: 5 });
});

test("going to another stack and back", async () => {
  const counts = await one(moveImmediate(RSP, DATA + 4096), [
    0x50, // PUSH RAX
    ...moveImmediate(RSP, DATA + 0x1_0000),
    0x50,
    0x58,
    ...moveImmediate(RSP, DATA + 4088),
    0x58,
  ]);
  expect(counts.stackSwitches).toBe(2);
});
