/** What enters a machine, when, and that the same run comes of it again. */
import { describe, expect, test } from "vitest";
import type { NetworkPort } from "../../src/devices/virtio/network-link.ts";
import { COMPLETE } from "../../src/devices/virtio/network-link.ts";
import { Machine, type MachineOptions } from "../../src/machine/machine.ts";
import {
  type FrameSource,
  type Input,
  type InputReplay,
  OutsideInput,
  type Place,
} from "../../src/machine/outside-input.ts";
import { HostClock } from "../../src/machine/pacing.ts";
import * as g from "../cli/guests.ts";

interface Noted {
  readonly place: Place;
  readonly input: Input;
}

/** Supplies what was noted. */
class Notes implements InputReplay {
  readonly maxInstructions = Number.POSITIVE_INFINITY;
  missedAt: Place | null = null;
  readonly #notes: Noted[];
  readonly #end: Place;

  constructor(notes: readonly Noted[], end: Place) {
    this.#notes = [...notes];
    this.#end = end;
  }

  get next(): Place {
    return this.#notes[0]?.place ?? this.#end;
  }

  get over(): boolean {
    return this.#notes.length === 0;
  }

  take(): Input {
    return this.#notes.shift()!.input;
  }

  missed(place: Place): void {
    this.missedAt = place;
  }
}

class Run {
  readonly machine: Machine;
  readonly notes: Noted[] = [];
  console = "";

  constructor(parts: readonly (readonly number[])[], options: MachineOptions = {}) {
    this.machine = new Machine({
      memory: 16 << 20,
      ...options,
      onConsole: (byte) => {
        this.console += String.fromCharCode(byte);
      },
    });
    this.machine.load({ image: g.guest(...parts) });
    this.machine.outside.onInput = ({ instructions, time }, input) => {
      this.notes.push({ place: { instructions, time }, input: structuredClone(input) });
    };
  }

  get place(): Place {
    return { instructions: this.machine.instructions, time: this.machine.time };
  }
}

const ECHO = [g.print("ready"), g.echo, g.powerOff, g.forever];

describe("a recorded run", () => {
  /** Types at moments that the host's event loop decides. */
  async function typed(run: Run, text: string): Promise<void> {
    const timers = [...text].map((key, i) =>
      setTimeout(() => run.machine.type(Buffer.from(key)), 10 + 15 * i),
    );
    const reason = await run.machine.run({ pacing: new HostClock() });
    timers.forEach(clearTimeout);
    expect(reason).toEqual({ kind: "power-off" });
  }

  test.each([{}, { timing: "skylake" }, { cpus: 3 }])("repeats to the instruction: %j", async (options) => {
    const first = new Run(ECHO, options);
    await typed(first, "abcdq");
    expect(first.console).toBe("readyabcdq");
    expect(first.notes.filter(({ input }) => input.kind === "console")).toHaveLength(5);
    expect(first.notes.filter(({ input }) => input.kind === "time").length).toBeGreaterThan(5);

    const second = new Run(ECHO, options);
    const replay = new Notes(first.notes, first.place);
    second.machine.outside.replay = replay;
    expect(await second.machine.run()).toEqual({ kind: "power-off" });
    expect(replay.missedAt).toBe(null);
    expect(second.console).toBe(first.console);
    expect(second.place).toEqual(first.place);
    expect(second.machine.instructionsOf).toEqual(first.machine.instructionsOf);
    expect(second.machine.stolenTime).toBe(first.machine.stolenTime);
    expect(second.machine.idleTimeOf).toEqual(first.machine.idleTimeOf);
  });

  test("ends where the recording ends", async () => {
    const first = new Run(ECHO);
    first.machine.type(Buffer.from("x"));
    const timer = setInterval(() => first.console === "readyx" && first.machine.stop(), 5);
    expect(await first.machine.run()).toEqual({ kind: "stopped" });
    clearInterval(timer);

    const second = new Run(ECHO);
    second.machine.outside.replay = new Notes(first.notes, first.place);
    expect(await second.machine.run()).toEqual({ kind: "replayed" });
    expect(second.place).toEqual(first.place);
    expect(second.console).toBe("readyx");
  });

  test("takes nothing else from outside", async () => {
    const run = new Run(ECHO);
    run.machine.outside.replay = new Notes([], { instructions: 300_000, time: 300_000 });
    run.machine.type(Buffer.from("q"));
    run.machine.outside.sendBreak();
    expect((await run.machine.run()).kind).toBe("replayed");
    expect(run.console).toBe("ready");
  });

  test("that does not come to an input's place is found out", async () => {
    const run = new Run(ECHO);
    const replay = new Notes([{ place: { instructions: 1001, time: 5 }, input: { kind: "break" } }], {
      instructions: 1e9,
      time: 1e9,
    });
    run.machine.outside.replay = replay;
    expect((await run.machine.run()).kind).toBe("replayed");
    expect(replay.missedAt!.instructions).toBeLessThan(500_000);
  });
});

test("no recording moves time over a deadline", async () => {
  // The 8254's counter 0 as a rate generator, with a tick every 55 ms.
  const parts = [[0xb0, 0x34, 0xe6, 0x43, 0x30, 0xc0, 0xe6, 0x40, 0xe6, 0x40], g.spin(1 << 20), g.forever];
  const first = new Run(parts);
  await first.machine.run({ maxInstructions: 100_000 });
  const run = new Run(parts);
  const end = { instructions: 1e9, time: 2 ** 51 };
  const replay = new Notes([{ place: first.place, input: { kind: "time", to: 2 ** 50 } }], end);
  run.machine.outside.replay = replay;
  expect(await run.machine.run()).toEqual({ kind: "replayed" });
  expect(replay.missedAt).toEqual(first.place);
});

describe("a machine that only input can wake", () => {
  // STI; HLT with COM1's receive interrupt off: nothing is there that could wake it.
  const waiting = [[0xfb, 0xf4, ...g.forever]];

  test("has halted if none may come", async () => {
    expect(await new Run([g.halt]).machine.run()).toEqual({ kind: "halted" });
    expect(new Run([g.halt]).machine.runSync()).toEqual({ kind: "halted" });
  });

  test("waits as long as some may come, and does not cost the host anything", async () => {
    const { machine } = new Run(waiting);
    machine.outside.mayType = true;
    const begin = process.cpuUsage();
    setTimeout(() => machine.stop(), 300);
    expect(await machine.run()).toEqual({ kind: "stopped" });
    const { user, system } = process.cpuUsage(begin);
    expect((user + system) / 1000).toBeLessThan(200);
  });

  test("has halted when the last that could type goes away", async () => {
    const { machine } = new Run(waiting);
    machine.outside.mayType = true;
    setTimeout(() => {
      machine.outside.mayType = false;
      machine.outside.wake();
    }, 20);
    expect(await machine.run()).toEqual({ kind: "halted" });
  });
});

describe("frames", () => {
  function setUp(room: number, frames: number) {
    const taken: number[] = [];
    const port: NetworkPort = {
      get hasRoom() {
        return taken.length < room;
      },
      receive: (frame) => taken.push(frame[0]!) > 0,
    };
    let next = 0;
    const source: FrameSource = {
      onFrames() {},
      next: () => (next < frames ? { frame: Uint8Array.of(next++), work: COMPLETE } : null),
    };
    const outside = new OutsideInput({
      place: { instructions: 7, time: 8 },
      type() {},
      sendBreak() {},
      moveTime() {},
      deadline: () => Number.POSITIVE_INFINITY,
      runDue() {},
    });
    outside.connect(port, source);
    return { outside, taken, source, asked: () => next };
  }

  test("are pulled while the device has room for them", () => {
    const { outside, taken, asked } = setUp(3, 10);
    expect(outside.apply()).toBe("input");
    expect(taken).toEqual([0, 1, 2]);
    expect(asked()).toBe(3);
    expect(outside.apply()).toBe("nothing");
  });

  /** A guest whose frame is due to leave; the other end answers each at once. What happens in order. */
  function answering(replay: InputReplay | null) {
    const place = { instructions: 7, time: 8 };
    const order: string[] = [];
    const notes: Noted[] = [];
    let due = true;
    let answers = 0;
    const outside = new OutsideInput({
      place,
      type() {},
      sendBreak() {},
      moveTime() {},
      deadline: () => (due ? place.time : Number.POSITIVE_INFINITY),
      runDue() {
        if (!due) return;
        due = false;
        answers++;
        order.push("sent");
      },
    });
    const receive = () => order.push("received") > 0;
    const next = () => (answers-- > 0 ? { frame: Uint8Array.of(1), work: COMPLETE } : null);
    outside.connect({ hasRoom: true, receive }, replay === null ? { onFrames() {}, next } : null);
    outside.onInput = (at, input) => notes.push({ place: at, input });
    if (replay !== null) outside.replay = replay;
    return { outside, order, notes };
  }

  test("that answer what is due at the same place come after it, in a replay too", () => {
    const first = answering(null);
    expect(first.outside.apply()).toBe("input");
    expect(first.order).toEqual(["sent", "received"]);
    const again = answering(new Notes(first.notes, { instructions: 7, time: 8 }));
    expect(again.outside.apply()).toBe("end");
    expect(again.order).toEqual(["sent", "received"]);
  });

  test("that come while the machine waits end the waiting, also if they came just before", async () => {
    const { outside, source } = setUp(1, 0);
    outside.apply();
    const waiting = outside.wait(60_000);
    source.onFrames();
    await waiting;
    source.onFrames();
    await outside.wait(60_000);
  });
});
