/** Ways into the kernel and back, as the guest's own time-stamp counter sees them, against published figures. */
import { beforeAll, describe, expect, test } from "vitest";
import { Machine } from "../../src/machine/machine.ts";
import { missingTools } from "../guest/build.ts";
import { buildGuest } from "./build.ts";

const ROUNDS = 1000;
const MECHANISMS = ["loop", "int", "gate", "syscall", "sysenter", "oneReload", "twoReloads"] as const;
type Ticks = Readonly<Record<(typeof MECHANISMS)[number], number>>;

let image: Uint8Array;

interface Result {
  readonly machine: Machine;
  /** Ticks of the time-stamp counter for one round of each mechanism. */
  readonly ticks: Ticks;
}

function measure(timing: string, prepare: (machine: Machine) => void = () => {}): Result {
  const bytes: number[] = [];
  const machine = new Machine({
    memory: 64 << 20,
    cpu: "max",
    timing,
    onDebugByte: (byte) => bytes.push(byte),
  });
  prepare(machine);
  machine.load({ image });
  expect(machine.runSync({ maxInstructions: 1_000_000 }).kind).toBe("debug-exit");
  const view = new DataView(Uint8Array.from(bytes).buffer);
  const ticks = MECHANISMS.map((name, i) => [name, Number(view.getBigUint64(i * 8, true)) / ROUNDS]);
  return { machine, ticks: Object.fromEntries(ticks) as unknown as Ticks };
}

describe.skipIf(missingTools() !== null)("mechanisms", () => {
  beforeAll(() => {
    image = buildGuest("mechanisms");
  });

  test("on skylake, within 10 % of Blitz's figures, CR3 reloads within 15 %", () => {
    const { ticks } = measure("skylake");
    const within = (found: number, published: number, part: number) => {
      expect(found).toBeGreaterThan(published * (1 - part));
      expect(found).toBeLessThan(published * (1 + part));
    };
    within(ticks.int, 614, 0.1);
    within(ticks.gate, 456, 0.1);
    within(ticks.syscall, 76, 0.1);
    within(ticks.sysenter, 73, 0.1);
    within(ticks.oneReload - ticks.syscall, 175 - 83, 0.15);
    within(ticks.twoReloads - ticks.syscall, 245 - 83, 0.15);
  });

  test("the split of a published pair is no assumed figure; what was guessed is named", () => {
    const assumed = measure("skylake").machine.assumedUsed.map(({ name }) => name);
    for (const published of ["syscall", "sysret", "int.inner", "iret.outer", "far-call.inner", "cr3.flush"]) {
      expect(assumed).not.toContain(published);
    }
    expect(assumed).toContain("branch");
    const onZen4 = measure("zen4").machine.assumedUsed.map(({ name }) => name);
    expect(onZen4).toEqual(expect.arrayContaining(["syscall", "sysret", "int.inner"]));
  });

  test("observers, who turn emitted transfers off, change no cycle", () => {
    const plain = measure("skylake");
    const rings: string[] = [];
    const observed = measure("skylake", (machine) => {
      machine.observer = { ring: (_cpu, from, to, cause) => rings.push(`${cause} ${from}${to}`) };
    });
    expect(rings.length).toBeGreaterThan(6 * ROUNDS);
    expect(observed.ticks).toEqual(plain.ticks);
    expect(observed.machine.cycles).toBe(plain.machine.cycles);
  });

  test("without a model each instruction is a tick", () => {
    const { ticks, machine } = measure("none");
    expect(Math.round(ticks.loop)).toBe(2);
    expect(Math.round(ticks.syscall)).toBe(4);
    expect(Math.round(ticks.twoReloads)).toBe(6);
    expect(machine.cycles).toBe(machine.instructions);
    expect(machine.time).toBe(machine.instructions);
    expect(machine.figuresUsed).toEqual([]);
  });
});
