/** Watch points: who is told, when, and that the guest cannot tell. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Processor } from "../../src/cpu/processor.ts";
import type { CpuState } from "../../src/cpu/state.ts";
import { Machine } from "../../src/machine/machine.ts";
import * as g from "../cli/guests.ts";

const ECX = 1;
/** EAX at the start: the multiboot magic. */
const MAGIC = 0x2bad_b002;

function load(...parts: (readonly number[])[]): Machine {
  const machine = new Machine({ memory: 16 << 20 });
  machine.load({ image: g.guest(...parts) });
  return machine;
}

const at = (offset: number): bigint => BigInt(g.ENTRY + offset);
const instructionCount = (machine: Machine): number => machine.instructions + machine.processor.spent;

/** How the tests below execute: blocks, single steps, and slices so short that every block is entered anew. */
const WAYS: readonly (readonly [string, (machine: Machine) => void])[] = [
  ["in blocks", () => {}],
  [
    "in single steps",
    (machine) => {
      machine.processor.onStep = () => {};
    },
  ],
  [
    "in slices of 3 instructions",
    (machine) => {
      const { processor } = machine;
      processor.execute = (cpu, budget) =>
        Processor.prototype.execute.call(processor, cpu, Math.min(budget, 3));
    },
  ],
];

describe.each(WAYS)("a watched instruction, %s", (_name, prepare) => {
  test("is told once for each execution, RIP at it and the instruction count exact", () => {
    const machine = load(g.spin(50), g.tripleFault);
    prepare(machine);
    const seen: { rip: bigint; ecx: number; count: number }[] = [];
    // DEC ECX behind the five bytes of MOV ECX, 50.
    machine.processor.watch(at(5), (cpu) =>
      seen.push({ rip: cpu.rip, ecx: cpu.gpr32(ECX), count: instructionCount(machine) }),
    );
    machine.runSync();
    expect(seen).toEqual(
      Array.from({ length: 50 }, (_, i) => ({ rip: at(5), ecx: 50 - i, count: 1 + 2 * i })),
    );
  });

  test("in the middle of a block", () => {
    const machine = load([0x40, 0x40, 0x40, 0x40], g.tripleFault); // INC EAX
    prepare(machine);
    const seen: [number, number][] = [];
    machine.processor.watch(at(2), (cpu) => seen.push([cpu.gpr32(0) - MAGIC, instructionCount(machine)]));
    machine.processor.watch(at(4), (cpu) => seen.push([cpu.gpr32(0) - MAGIC, instructionCount(machine)]));
    machine.runSync();
    expect(seen).toEqual([
      [2, 2],
      [4, 4], // UD2, which faults: it is told before
    ]);
  });

  test("tells every callback, and none that was released", () => {
    const machine = load(g.spin(4), g.tripleFault);
    prepare(machine);
    const calls: string[] = [];
    const both = () => calls.push("twice");
    const release = machine.processor.watch(at(5), () => {
      calls.push("first");
      if (calls.filter((call) => call === "first").length === 2) release();
    });
    machine.processor.watch(at(5), both);
    const releaseOne = machine.processor.watch(at(5), both);
    releaseOne();
    releaseOne();
    machine.runSync();
    expect(calls).toEqual(["first", "twice", "first", "twice", "twice", "twice"]);
  });

  test("may be watched from a callback, which takes effect at the end of the block", () => {
    const machine = load(g.spin(10), [0x90], g.tripleFault);
    prepare(machine);
    const seen: number[] = [];
    const release = machine.processor.watch(at(5), () => {
      release();
      machine.processor.watch(at(6), (cpu) => seen.push(cpu.gpr32(ECX))); // JNZ
    });
    machine.runSync();
    // The JNZ of the first round is in the same block.
    expect(seen.slice(-9)).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 0]);
  });

  test("is told although it was decoded before", () => {
    const machine = load(g.spin(1000), g.tripleFault);
    prepare(machine);
    machine.runSync({ maxInstructions: 500 });
    let calls = 0;
    machine.processor.watch(at(5), () => calls++);
    const left = machine.states[0]!.gpr32(ECX);
    machine.runSync();
    expect(left).toBeGreaterThan(100);
    // Where the run was interrupted between DEC and JNZ, or before DEC.
    expect(calls).toBe(left);
  });

  test("is told after its bytes have changed", () => {
    const program = [
      ...[0xb9, 4, 0, 0, 0], // 0: MOV ECX, 4
      ...[0x40], // 5: INC EAX, or what is stored there
      ...[0xc6, 0x05, ...address(5), 0x48], // 6: MOV byte [5], 48H: DEC EAX
      ...[0x49], // 13: DEC ECX
      ...[0x75, 0xf5], // 14: JNZ 5
    ];
    const machine = load(program, g.tripleFault);
    prepare(machine);
    const seen: number[] = [];
    machine.processor.watch(at(5), (cpu) => seen.push(cpu.gpr32(0) - MAGIC));
    machine.processor.watch(at(6), (cpu) => seen.push(cpu.gpr32(0) - MAGIC));
    machine.runSync();
    expect(seen).toEqual([0, 1, 1, 0, 0, -1, -1, -2]);
  });

  test("is told when a store right before it changes its bytes", () => {
    const program = [
      ...[0xc6, 0x05, ...address(8), 0x48], // 0: MOV byte [8], 48H: DEC EAX
      ...[0x90], // 7
      ...[0x40], // 8: INC EAX
    ];
    const machine = load(program, g.tripleFault);
    prepare(machine);
    let calls = 0;
    machine.processor.watch(at(8), () => calls++);
    machine.runSync();
    expect(calls).toBe(1);
    expect(machine.states[0]!.gpr32(0)).toBe(MAGIC - 1);
  });

  test("that is repeated is told once, not for each iteration", () => {
    const program = [
      ...[0xbf, 0, 0, 0x20, 0], // MOV EDI, 200000H
      ...[0xb9, 100, 0, 0, 0], // 5: MOV ECX, 100
      ...[0xf3, 0xaa], // 10: REP STOSB
      ...[0xf3, 0xac], // 12: REP LODSB with ECX = 0
      ...[0x4b], // 14: DEC EBX
      ...[0x0f, 0x8a, 0xf0, 0xff, 0xff, 0xff], // 15: JP 5, taken once: FFH has even parity, FEH odd
    ];
    const machine = load(program, g.tripleFault);
    prepare(machine);
    const seen: number[] = [];
    machine.processor.watch(at(10), (cpu) => seen.push(cpu.gpr32(ECX)));
    machine.processor.watch(at(12), (cpu) => seen.push(cpu.gpr32(ECX)));
    machine.runSync();
    expect(seen).toEqual([100, 0, 100, 0]);
  });

  test("that crosses a page is told", () => {
    const far = 0x10_1000 - 2 - g.ENTRY;
    const jump = [0xe9, ...dword(far - 5)];
    const gap = new Array<number>(far - 5).fill(0xcc);
    const machine = load(jump, gap, [0xb8, 1, 2, 3, 4], g.tripleFault); // MOV EAX, imm32
    prepare(machine);
    const seen: bigint[] = [];
    machine.processor.watch(at(far), (cpu) => seen.push(cpu.rip));
    machine.runSync();
    expect(seen).toEqual([at(far)]);
    expect(machine.states[0]!.gpr32(0)).toBe(0x0403_0201);
  });
});

function dword(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff];
}
function address(offset: number): number[] {
  return dword(g.ENTRY + offset);
}

describe("a watch is on a linear address", () => {
  /** Maps 4 MiB at 0 and again at 400000H, calls `code` at both places, and turns to the triple fault. */
  const twoMappings = [
    ...[0xbf, 0, 0, 0x20, 0], // MOV EDI, 200000H
    ...[0xc7, 0x07, 0x83, 0, 0, 0], // MOV [EDI], 83H: P, R/W, PS
    ...[0xc7, 0x47, 0x04, 0x83, 0, 0, 0], // MOV [EDI + 4], 83H
    ...[0x0f, 0x22, 0xdf], // MOV CR3, EDI
    ...[0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x10, 0x0f, 0x22, 0xe0], // CR4.PSE
    ...[0x0f, 0x20, 0xc0, 0x0d, 0, 0, 0, 0x80, 0x0f, 0x22, 0xc0], // CR0.PG
    ...[0xbc, 0, 0x10, 0x20, 0], // MOV ESP, 201000H
    ...[0xbb, 3, 0, 0, 0], // MOV EBX, 3
  ];
  const start = twoMappings.length;
  const code = start + 17;
  const program = [
    ...twoMappings,
    ...[0xe8, ...dword(code - (start + 5))], // CALL code
    ...[0xb8, ...dword(g.ENTRY + code + 0x40_0000), 0xff, 0xd0], // CALL code + 400000H
    ...[0x4b], // DEC EBX
    ...[0x75, 0xf1], // JNZ start
    ...g.tripleFault,
    ...[0x40, 0xc3], // code: INC EAX; RET
  ];

  test("and not on another mapping of the same page", () => {
    const seen: string[] = [];
    const machine = load(program);
    machine.processor.watch(at(code) + 0x40_0000n, (cpu) => seen.push(cpu.rip.toString(16)));
    machine.runSync();
    const high = (at(code) + 0x40_0000n).toString(16);
    expect(seen).toEqual([high, high, high]);
    // UD2 is where the run ends.
    expect(machine.states[0]!.rip).toBe(at(start + 15));
  });

  test("whichever mapping was decoded first", () => {
    const machine = load(program);
    // The set-up, and the first of the three rounds.
    machine.runSync({ maxInstructions: 20 });
    const seen: bigint[] = [];
    const note = (cpu: CpuState) => seen.push(cpu.rip);
    machine.processor.watch(at(code), note);
    machine.processor.watch(at(code) + 0x40_0000n, note);
    machine.runSync();
    const [low, high] = [at(code), at(code) + 0x40_0000n];
    expect(seen.slice(-4)).toEqual([low, high, low, high]);
  });
});

test("an instruction that faults and restarts is told twice", () => {
  // #UD's handler skips nothing: it replaces UD2 by NOPs and returns to it.
  const idt = 0x20_0000;
  const handler = 30;
  const entry = g.ENTRY + handler;
  const program = [
    ...[0xbc, 0, 0x10, 0x21, 0], // MOV ESP, 211000H
    ...[0x0f, 0x01, 0x1d, ...address(24)], // LIDT [24]
    ...[0xeb, 2, 0, 0], // 12
    ...[0x0f, 0x0b], // 16: UD2
    ...[0x0f, 0xff, 0, 0, 0, 0], // 18: ends the run: gate 6 is used again, and again: see maxInstructions
    ...[0xff, 0, ...dword(idt)], // 24: IDTR
    ...[0x66, 0xc7, 0x05, ...address(16), 0x90, 0x90], // 30: MOV word [16], 9090H
    0xcf, // IRETD
  ];
  const machine = load(program);
  const gate = Uint8Array.from([
    ...[entry & 0xff, (entry >> 8) & 0xff, 0x10, 0],
    ...[0, 0x8e, (entry >> 16) & 0xff, 0],
  ]);
  machine.memory.write(idt + 6 * 8, gate);
  const seen: number[] = [];
  machine.processor.watch(at(16), () => seen.push(instructionCount(machine)));
  machine.runSync({ maxInstructions: 9 });
  expect(seen).toHaveLength(2);
});

describe("watching does not change what the guest does", () => {
  const image = readFileSync(new URL("../../images/hello.bin", import.meta.url));

  function run(prepare: (machine: Machine) => void): { console: string; machine: Machine } {
    let console = "";
    const machine = new Machine({
      memory: 16 << 20,
      onConsole: (byte) => {
        console += String.fromCharCode(byte);
      },
    });
    machine.load({ image });
    prepare(machine);
    machine.runSync();
    return { console, machine };
  }

  test("console, state, time and instruction count of an image, with every address that it executes watched", () => {
    const executed = new Set<bigint>();
    run((machine) => {
      machine.processor.onStep = (cpu) => executed.add(cpu.rip);
    });
    const plain = run(() => {});
    let calls = 0;
    const watched = run((machine) => {
      for (const address of executed) machine.processor.watch(address, () => calls++);
    });
    expect(executed.size).toBeGreaterThan(50);
    // A repeated string instruction counts more than once, and is told of once.
    expect(calls).toBeGreaterThan(watched.machine.instructions / 2);
    expect(watched.console).toBe(plain.console);
    expect(watched.machine.instructions).toBe(plain.machine.instructions);
    expect(watched.machine.time).toBe(plain.machine.time);
    const state = (machine: Machine) => machine.states[0]!.bytes.slice(0, 0x98);
    expect(state(watched.machine)).toEqual(state(plain.machine));
  });

  test.each(["none", "skylake"])("nor cycles of the timing model %s", (timing) => {
    const cycles = (watching: boolean): number => {
      const machine = new Machine({ memory: 16 << 20, timing });
      machine.load({ image });
      if (watching) {
        const seen = new Set<bigint>();
        // Ports are written all over the image: the watches come and stay.
        machine.platform.bus.observer = () => {
          const { rip } = machine.states[0]!;
          if (!seen.has(rip)) machine.processor.watch(rip, () => {});
          seen.add(rip);
        };
      }
      machine.runSync();
      return machine.cycles;
    };
    expect(cycles(true)).toBe(cycles(false));
  });

  test("nor do changes of the watched addresses while it runs", () => {
    const plain = run(() => {});
    const changing = run((machine) => {
      const { processor } = machine;
      // Each block's end moves the watch to wherever the last port access came from.
      let release = () => {};
      machine.platform.bus.observer = () => {
        release();
        release = processor.watch(machine.states[0]!.rip, () => {});
      };
    });
    expect(changing.console).toBe(plain.console);
    expect(changing.machine.instructions).toBe(plain.machine.instructions);
    expect(changing.machine.time).toBe(plain.machine.time);
  });
});

test("stepping that a watcher asks for begins at the watched instruction, and the watcher is told once", () => {
  const machine = load([0x40, 0x40, 0x40, 0x40, 0x40], g.tripleFault); // INC EAX
  const { processor } = machine;
  const steps: [bigint, number][] = [];
  let told = 0;
  processor.watch(at(2), () => {
    told++;
    processor.onStep = (cpu) => {
      steps.push([cpu.rip, instructionCount(machine)]);
      if (cpu.rip === at(4)) processor.onStep = null;
    };
  });
  machine.runSync();
  expect(told).toBe(1);
  expect(steps).toEqual([
    [at(2), 2],
    [at(3), 3],
    [at(4), 4],
  ]);
  expect(machine.states[0]!.gpr32(0)).toBe(MAGIC + 5);
});
