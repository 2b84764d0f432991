/** Every x87 instruction but the transcendental ones, whole state before and after, against the processor. */

import { describe, expect, it } from "vitest";
import { modrmBytes, X87_ROWS, type X87Row } from "../../../src/cpu/x87/index.ts";
import { Oracle, type X87Case, type X87Result } from "../softfloat/oracle.ts";
import { CASES, Random } from "../softfloat/values.ts";
import { makeCase } from "./cases.ts";
import { describeImage, IMAGE, type Outcome, runCase } from "./machine.ts";

const oracle = Oracle.buildAmd();
if (typeof oracle === "string") console.warn(`x87 tests against the processor skipped: ${oracle}`);

const TRANSCENDENTAL = /^(F2XM1|FYL2X|FYL2XP1|FPTAN|FPATAN|FSIN|FCOS|FSINCOS)$/;

/** The bytes that must agree; pointers into this process's memory cannot. */
function compareOutcome(row: X87Row, mine: Outcome, theirs: X87Result): string | undefined {
  if (mine.outcome === "undefined") return theirs.trapped ? undefined : "processor knows the encoding";
  if ((mine.outcome === "error") !== theirs.trapped) return "pending exception";
  const skip = (i: number) =>
    (i >= IMAGE.FIP && i < IMAGE.FOP) || (row.operand !== "none" && i >= IMAGE.FDP && i < IMAGE.ST);
  for (let i = 0; i < 108; i++) {
    if (skip(i) && !row.control) continue;
    if (mine.image[i] !== theirs.image[i]) return `state at ${i}`;
  }
  for (let i = 0; i < 112; i++) {
    if (mine.memory[i] !== theirs.memory[i]) return `memory at ${i}`;
  }
  if ((mine.eflags & 0x8d5) !== (theirs.eflags & 0x8d5)) {
    return `flags ${mine.eflags.toString(16)}, processor ${theirs.eflags.toString(16)}`;
  }
  if (mine.ax !== Number(theirs.rax & 0xffffn)) return "AX";
  return undefined;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function report(row: X87Row, c: X87Case, mine: Outcome, theirs: X87Result, what: string): string {
  return [
    `${row.mnemonic} [${hex(Uint8Array.from(c.code))}]: ${what}`,
    `  before     ${describeImage(c.image)} memory ${hex(c.memory!.subarray(0, 10))}`,
    `  emulator   ${describeImage(mine.image)} ${mine.outcome} memory ${hex(mine.memory.subarray(0, 10))}`,
    `  processor  ${describeImage(theirs.image)} ${theirs.trapped} memory ${hex(theirs.memory.subarray(0, 10))}`,
  ].join("\n");
}

describe.skipIf(typeof oracle === "string")("x87 instructions equal the processor's", () => {
  const rows = X87_ROWS.filter((row) => !TRANSCENDENTAL.test(row.mnemonic));
  const groups = new Map<string, X87Row[]>();
  for (const row of rows) {
    const group = row.mnemonic.split(" ")[0];
    groups.set(group, [...(groups.get(group) ?? []), row]);
  }
  for (const [group, members] of groups) {
    it(group, { timeout: 600_000 }, () => {
      const random = new Random(0x87);
      const wrong: string[] = [];
      let count = 0;
      for (const row of members) {
        const list: X87Case[] = [];
        for (let i = 0; i < Math.ceil(CASES / 10 / members.length); i++) {
          const c = makeCase(row, random.pick(modrmBytes(row.form)), random);
          const hasNarrowForm = row.operand === "environment" || row.operand === "state";
          list.push(hasNarrowForm && i & 1 ? { ...c, code: [0x66, ...c.code] } : c);
        }
        const results = (oracle as Oracle).x87(list);
        list.forEach((c, i) => {
          const mine = runCase(c);
          let what = compareOutcome(row, mine, results[i]);
          // A task switch of the host may lose the last-instruction pointers; ask again.
          if (what !== undefined) {
            results[i] = (oracle as Oracle).x87([c])[0];
            what = compareOutcome(row, mine, results[i]);
          }
          if (what === undefined) return;
          count++;
          if (wrong.length < 6) wrong.push(report(row, c, mine, results[i], what));
        });
      }
      expect(count, wrong.join("\n")).toBe(0);
    });
  }

  it("encodings without a row raise #UD", () => {
    const cases: X87Case[] = [];
    for (let opcode = 0xd8; opcode <= 0xdf; opcode++) {
      for (let modrm = 0; modrm < 256; modrm++) {
        if (modrm < 0xc0 && (modrm & 0xc7) !== 2) continue;
        cases.push({
          ...makeCase(X87_ROWS[0], 0xc0, new Random(opcode), { ordinary: true }),
          code: [opcode, modrm],
        });
      }
    }
    const results = (oracle as Oracle).x87(cases);
    const differing = cases.filter((c, i) => (runCase(c).outcome === "undefined") !== results[i].trapped);
    expect(differing.map((c) => hex(Uint8Array.from(c.code)))).toEqual([]);
  });
});
