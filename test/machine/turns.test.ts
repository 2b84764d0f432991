/** Turns of several processors, and how virtual time runs with them. */
import { describe, expect, test } from "vitest";
import { Machine } from "../../src/machine/machine.ts";
import { Turns } from "../../src/machine/turns.ts";

describe("a round of one", () => {
  test("is as long as its slices, and time is what they spend", () => {
    const turns = new Turns();
    turns.begin([2], 500, Number.POSITIVE_INFINITY);
    expect(turns.processor).toBe(2);
    expect(turns.passed(70)).toBe(70);
    turns.spend(100, true);
    expect([turns.active, turns.passed(0), turns.longest]).toEqual([false, 100, 100]);
  });
});

describe("a round of several", () => {
  test("goes through the processors in their order", () => {
    const turns = new Turns();
    turns.begin([0, 1, 3], 0, 1000);
    const order: number[] = [];
    while (turns.active) {
      order.push(turns.processor);
      turns.spend(turns.left, false);
    }
    expect(order).toEqual([0, 1, 3]);
    expect([turns.passed(0), turns.longest]).toEqual([1000, 1000]);
  });

  test("a turn in pieces is one turn", () => {
    const turns = new Turns();
    turns.begin([0, 1], 0, 1000);
    turns.spend(400, false);
    expect([turns.processor, turns.left, turns.turnSpent(5)]).toEqual([0, 600, 405]);
    // A block may exceed it.
    turns.spend(620, false);
    expect([turns.processor, turns.left]).toEqual([1, 1000]);
  });

  test("time never goes back, within turns and between them", () => {
    const turns = new Turns();
    turns.begin([0, 1, 2], 0, 1000);
    let last = 0;
    const pieces = [333, 700, 1, 5, 1003, 250, 333, 600];
    for (let i = 0; turns.active; i++) {
      const piece = pieces[i % pieces.length]!;
      for (const at of [0, piece >> 1, piece]) {
        expect(turns.passed(at)).toBeGreaterThanOrEqual(last);
        last = turns.passed(at);
      }
      turns.spend(piece, i === 3);
      expect(turns.passed(0)).toBe(last);
    }
  });

  test("a processor that gives its turn away is not missed: the longest turn says how long it was", () => {
    const turns = new Turns();
    turns.begin([0, 1], 0, 1000);
    turns.spend(1000, false);
    turns.spend(10, true);
    expect([turns.active, turns.passed(0), turns.longest]).toEqual([false, 505, 1000]);
  });
});

describe("a machine", () => {
  test.each([
    [{ cpus: 0 }, /^processors: expected a whole number from 1 to 16, found 0$/],
    [{ cpus: 17 }, /^processors: .*found 17$/],
    [{ cpus: 2.5 }, /^processors: .*found 2.5$/],
    [{ cpus: 2, quantum: 999 }, /^quantum: expected a whole number from 1000 to 1000000, found 999$/],
  ])("refuses %j", (options, message) => {
    expect(() => new Machine(options)).toThrow(RangeError);
    expect(() => new Machine(options)).toThrow(message);
  });

  test("has as many processors as it was asked for, and all but the first wait", () => {
    const machine = new Machine({ cpus: 16, memory: 16 << 20 });
    expect(machine.states).toHaveLength(16);
    expect(machine.states.map((cpu) => machine.processor.awake(cpu))).toEqual([
      true,
      ...Array(15).fill(false),
    ]);
    expect(machine.instructionsOf).toEqual(Array(16).fill(0));
  });
});
