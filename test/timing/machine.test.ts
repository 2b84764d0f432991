/** What a machine with a timing model counts. */
import { describe, expect, test } from "vitest";
import { Machine } from "../../src/machine/machine.ts";
import { Pace } from "../../src/machine/pace.ts";
import { timingModel } from "../../src/timing/index.ts";
import * as g from "../cli/guests.ts";

function machine(timing: string | undefined, ...parts: (readonly number[])[]): Machine {
  const made = new Machine({ memory: 16 << 20, ...(timing === undefined ? {} : { timing }) });
  made.load({ image: g.guest(...parts) });
  return made;
}

const value = (model: string, name: string): number =>
  timingModel(model).figures.find((figure) => figure.name === name)!.value;
/** To the units that costs are counted in. */
const rounded = (cycles: number): number => Math.round(cycles * 64) / 64;

/** CPUID; 2 bytes. */
const cpuid = [0x0f, 0xa2];
/** RDTSC; MOV EBX, EAX */
const readTsc = [0x0f, 0x31, 0x89, 0xc3];
/** RDTSC; SUB EAX, EBX */
const tscDifference = [0x0f, 0x31, 0x29, 0xd8];
/** CLD; MOV EDI, 200000H; MOV ECX, count; REP STOSB */
const repStos = (count: number) => [
  0xfc,
  0xbf,
  0,
  0,
  0x20,
  0,
  0xb9,
  count & 255,
  count >> 8,
  0,
  0,
  0xf3,
  0xaa,
];

describe("cycles", () => {
  test("are the figures of the instructions, one by one", () => {
    const stepped = machine("skylake", g.spin(2), cpuid, g.tripleFault);
    const seen: number[] = [];
    stepped.processor.onStep = () => seen.push(stepped.cycles);
    stepped.runSync();
    // MOV ECX, 2; twice DEC ECX and JNZ; CPUID.
    const names = ["move", "alu", "branch", "alu", "branch", "cpuid"];
    let sum = 0;
    const expected = [0, ...names.map((name) => (sum += rounded(value("skylake", name))))];
    expect(seen).toEqual(expected);
  });

  test.each([[1], [40], [5000]])(
    "of REP STOS of %d bytes: the same in blocks and in single steps",
    (count) => {
      const cycles = [false, true].map((step) => {
        const made = machine("skylake", repStos(count), g.tripleFault);
        if (step) made.processor.onStep = () => {};
        expect(made.runSync().kind).toBe("triple-fault");
        return made.cycles;
      });
      expect(cycles[1]).toBe(cycles[0]);
      const without = machine("skylake", repStos(0), g.tripleFault);
      without.runSync();
      expect(cycles[0]! - without.cycles).toBe(count * value("skylake", "rep.stos.byte"));
    },
  );

  test("are exact for watch points, in blocks as in single steps", () => {
    const cycles = [false, true].map((step) => {
      const made = machine("skylake", cpuid, g.spin(30), cpuid, g.tripleFault);
      if (step) made.processor.onStep = () => {};
      const seen: number[] = [];
      // DEC ECX, JNZ, and the CPUID behind them.
      for (const offset of [7, 8, 10]) {
        made.processor.watch(BigInt(g.ENTRY + offset), () => seen.push(made.cycles));
      }
      made.runSync();
      return seen;
    });
    expect(cycles[0]).toHaveLength(61);
    expect(cycles[0]).toEqual(cycles[1]);
  });

  test("run again, are the same, with the time and the instructions", () => {
    const run = () => {
      const made = machine("zen4", g.spin(70_000), repStos(3000), g.powerOff);
      made.runSync();
      return [made.cycles, made.time, made.instructions];
    };
    expect(run()).toEqual(run());
  });

  test("make the time by the model's frequency, in slices as in one piece", () => {
    const made = machine("skylake", g.spin(500_000), g.powerOff);
    made.runSync();
    expect(made.time).toBe(Math.floor(made.cycles / 3.6));
  });

  test("do not disturb instruction counts", () => {
    const counts = ["none", "skylake", "haswell", "zen4"].map((timing) => {
      const made = machine(timing, g.spin(1000), repStos(100), g.powerOff);
      made.runSync();
      return made.instructions;
    });
    expect(new Set(counts).size).toBe(1);
  });

  test("stop at an instruction limit within a block", () => {
    const made = machine("skylake", g.spin(1_000_000), g.powerOff);
    expect(made.runSync({ maxInstructions: 12_345 }).kind).toBe("instruction-limit");
    expect(made.instructions).toBeGreaterThanOrEqual(12_345);
    expect(made.instructions).toBeLessThan(12_345 + 64);
  });

  test("reach a deadline of a device at its time, within a block", () => {
    const made = machine("haswell", g.spin(5_000_000), g.powerOff);
    const { clock } = made.platform;
    const fired: number[] = [];
    const timer = clock.timer("test", () => {
      fired.push(clock.now());
      if (fired.length < 20) timer.arm(fired.length * 12_347);
    });
    timer.arm(0);
    made.runSync();
    expect(fired).toHaveLength(20);
    fired.forEach((at, i) => {
      expect(at).toBeGreaterThanOrEqual(i * 12_347);
      expect(at).toBeLessThan(i * 12_347 + 5);
    });
  });

  test("drop to what came before where code overwrites itself", () => {
    // MOV BYTE [next], 41H (INC ECX) onto a NOP two instructions on, with a NOP between: C6 05 address 41.
    const target = g.ENTRY + 8;
    const code = [0xc6, 0x05, ...[0, 8, 16, 24].map((shift) => (target >> shift) & 0xff), 0x41, 0x90, 0x90];
    const cycles = [false, true].map((step) => {
      const made = machine("skylake", code, g.tripleFault);
      if (step) made.processor.onStep = () => {};
      made.runSync();
      return made.cycles;
    });
    expect(cycles[0]).toBe(cycles[1]);
  });
});

describe("the time-stamp counter", () => {
  /** Ticks from one RDTSC to another with four NOPs between. */
  const difference = (timing: string | undefined): number => {
    const made = machine(timing, readTsc, [0x90, 0x90, 0x90, 0x90], tscDifference, g.tripleFault);
    made.runSync();
    return made.states[0]!.gpr32(0);
  };

  test("counts instructions without a model", () => {
    // RDTSC, MOV, four NOPs.
    expect(difference(undefined)).toBe(6);
    expect(difference("none")).toBe(6);
  });

  test("counts the model's cycles", () => {
    const cycles = rounded(25) + rounded(0.25) + 4 * rounded(0.17);
    expect([Math.floor(cycles), Math.ceil(cycles)]).toContain(difference("skylake"));
  });

  test("its frequency is in CPUID.15H", () => {
    // MOV EAX, 15H; CPUID
    const made = machine("skylake", [0xb8, 0x15, 0, 0, 0], cpuid, g.tripleFault);
    made.runSync();
    const [eax, ecx, , ebx] = [0, 1, 2, 3].map((register) => made.states[0]!.gpr32(register));
    expect((ecx! * ebx!) / eax!).toBe(3_600_000_000);
  });
});

describe("the figures that were used", () => {
  test("are those of executed instructions, and those that no source gives among them", () => {
    const made = machine("skylake", cpuid, [0x0f, 0xc7, 0xf0], g.powerOff); // RDRAND EAX
    made.runSync();
    const names = made.figuresUsed.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["cpuid", "random", "port", "move"]));
    expect(names).not.toContain("x87-divide");
    const assumed = made.assumedUsed.map(({ name }) => name);
    expect(assumed).toEqual(expect.arrayContaining(["random", "port"]));
    expect(assumed).not.toContain("cpuid");
  });

  test("can be forgotten, and an instruction that was decoded only is not among them", () => {
    // JMP over DIV ECX.
    const made = machine("skylake", cpuid, [0xeb, 2, 0xf7, 0xf1], g.powerOff);
    made.processor.onStep = () => {
      if (made.processor.executed === 1) made.forgetFigures();
    };
    made.runSync();
    const names = made.figuresUsed.map(({ name }) => name);
    expect(names).toContain("branch");
    expect(names).not.toContain("cpuid");
    expect(names).not.toContain("divide.32");
  });
});

describe("Pace", () => {
  test("loses nothing to rounding over many slices", () => {
    const pace = new Pace(3_600_000_000, 64);
    let time = 0;
    for (let i = 0; i < 10_000; i++) time += pace.pass(12_345);
    expect(time).toBe(Math.floor((10_000 * 12_345) / 230.4));
    expect(pace.ticks(time, 0)).toBe(BigInt(Math.floor((10_000 * 12_345) / 64)));
  });

  test("gives enough units to reach a time", () => {
    const pace = new Pace(3_400_000_000, 64);
    for (const ns of [1, 2, 3, 7, 100, 12_345])
      expect(pace.nanoseconds(pace.units(ns))).toBeGreaterThanOrEqual(ns);
  });

  test("finds the nanosecond of a tick", () => {
    const pace = new Pace(3_000_000_000, 64);
    for (const ticks of [0n, 1n, 2n, 3n, 1_000_001n]) {
      const time = Number(pace.timeOfTicks(ticks));
      expect(pace.ticks(time, 0)).toBeGreaterThanOrEqual(ticks);
      if (time > 0) expect(pace.ticks(time - 1, 0)).toBeLessThan(ticks);
    }
  });
});
