/** The guest tests with a timing model: time is different, and nothing else that they look at. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Machine } from "../../src/machine/machine.ts";
import { GuestBuilder, guestNames, missingTools, processorsOf } from "../guest/build.ts";

let builder: GuestBuilder;

function run(image: string, timing: string) {
  let console = "";
  const machine = new Machine({
    memory: 64 << 20,
    cpu: "max",
    timing,
    onConsole: (byte) => {
      console += String.fromCharCode(byte);
    },
  });
  machine.load({ image: readFileSync(image) });
  const end = machine.runSync({ maxInstructions: 50_000_000 });
  return { console, end, instructions: machine.instructions };
}

describe.skipIf(missingTools() !== null)("with a timing model", () => {
  beforeAll(() => {
    builder = new GuestBuilder();
  });
  afterAll(() => builder.dispose());

  // Where several processors meet depends on time: those guests' reports are compared where all guests run.
  const alone = guestNames().filter((name) => processorsOf(name) === 1);
  test.each(alone)("%s reports the same, and in the same number of instructions", (name) => {
    const { image } = builder.build(name);
    expect(run(image, "skylake")).toEqual(run(image, "none"));
  });
});
