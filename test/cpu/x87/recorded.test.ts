/**
 * What was compared with a real processor, held fast: digests of the outcomes of seeded cases of every x87
 * instruction. The other tests prove these outcomes where the processor is at hand; this one runs everywhere.
 */

import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { modrmBytes, X87_ROWS } from "../../../src/cpu/x87/index.ts";
import { Random } from "../softfloat/values.ts";
import { makeCase } from "./cases.ts";
import { runCase } from "./machine.ts";

it("the outcomes of 60 seeded cases of each x87 instruction have not changed", () => {
  const digests: Record<string, string> = {};
  for (const row of X87_ROWS) {
    const random = new Random(1);
    const hash = createHash("sha256");
    for (let i = 0; i < 60; i++) {
      const { image, memory, eflags, ax, outcome } = runCase(
        makeCase(row, random.pick(modrmBytes(row.form)), random),
      );
      hash.update(image).update(memory).update(`${eflags} ${ax} ${outcome}\n`);
    }
    digests[`${row.opcode.toString(16)} ${row.mnemonic}`] = hash.digest("hex").slice(0, 16);
  }
  expect(digests).toMatchSnapshot();
});
