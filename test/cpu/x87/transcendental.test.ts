/**
 * The transcendental x87 instructions against the processor: results within one unit in the last place, special
 * cases exactly. What depends on the last place (C1, UE and OE at the border, PE of results that happen to
 * be exact) is not compared.
 */

import { describe, expect, it } from "vitest";
import { extended80 } from "../../../src/cpu/softfloat/index.ts";
import { findRow } from "../../../src/cpu/x87/index.ts";
import { Oracle, type X87Case, type X87Result } from "../softfloat/oracle.ts";
import { CASES, edgeValues, Random, randomValue } from "../softfloat/values.ts";
import { makeCase } from "./cases.ts";
import { describeImage, IMAGE, type Outcome, runCase } from "./machine.ts";

const oracle = Oracle.buildAmd();
if (typeof oracle === "string") console.warn(`x87 transcendental tests skipped: ${oracle}`);

const EDGES = edgeValues(extended80);
const SIGN = 1n << 79n;

/** A number of unbiased exponent from `low` to `high`. */
function number(random: Random, low: number, high: number): bigint {
  const biased = 0x3fff + low + random.below(high - low + 1);
  const significand = random.u64() | (1n << 63n);
  return (BigInt(random.below(2)) << 79n) | (BigInt(biased) << 64n) | significand;
}

function any(random: Random): bigint {
  return random.below(2) ? random.pick(EDGES) : randomValue(extended80, random);
}

/** A number that differs from 1 by little or much, positive. */
function nearOne(random: Random): bigint {
  const significand = random.u64() >> BigInt(random.below(64));
  const below = random.below(2);
  return (
    ((below ? 0x3ffen : 0x3fffn) << 64n) |
    ((below ? ~significand : significand) & ((1n << 63n) - 1n)) |
    (1n << 63n)
  );
}

interface Family {
  readonly mnemonic: string;
  readonly modrm: number;
  /** ST(0) and ST(1) within the instruction's domain. */
  readonly operands: (random: Random) => readonly [bigint, bigint];
}

const FAMILIES: readonly Family[] = [
  { mnemonic: "F2XM1", modrm: 0xf0, operands: (r) => [number(r, r.below(2) ? -6 : -80, -1), any(r)] },
  {
    mnemonic: "FYL2X",
    modrm: 0xf1,
    operands: (r) => [r.below(2) ? nearOne(r) : number(r, -16000, 16000) & ~SIGN, number(r, -100, 100)],
  },
  { mnemonic: "FPTAN", modrm: 0xf2, operands: (r) => [number(r, -70, r.below(2) ? 4 : 63), any(r)] },
  {
    mnemonic: "FPATAN",
    modrm: 0xf3,
    operands: (r) => [number(r, -8, 8), number(r, r.below(2) ? -8 : -90, r.below(2) ? 8 : 90)],
  },
  {
    mnemonic: "FYL2XP1",
    modrm: 0xf9,
    operands: (r) => [number(r, r.below(2) ? -6 : -100, -3), number(r, -100, 100)],
  },
  { mnemonic: "FSINCOS", modrm: 0xfb, operands: (r) => [number(r, -70, r.below(2) ? 4 : 63), any(r)] },
  { mnemonic: "FSIN", modrm: 0xfe, operands: (r) => [number(r, -70, r.below(2) ? 4 : 63), any(r)] },
  { mnemonic: "FCOS", modrm: 0xff, operands: (r) => [number(r, -70, r.below(2) ? 4 : 63), any(r)] },
];

/** A pattern as an integer that counts units in the last place across zero and binades. */
function ordinal(image: Uint8Array, at: number): bigint {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const exponent = view.getUint16(at + 8, true);
  const fraction = view.getBigUint64(at, true) & ((1n << 63n) - 1n);
  const magnitude = (BigInt(exponent & 0x7fff) << 63n) | fraction;
  return exponent & 0x8000 ? -magnitude : magnitude;
}

function word(image: Uint8Array, at: number): number {
  return image[at] | (image[at + 1] << 8);
}

/** Bit 2i set: Ri is empty. A unit in the last place can make "special" of "valid". */
function emptyRegisters(image: Uint8Array): number {
  const tags = word(image, IMAGE.FTW);
  return tags & (tags >> 1) & 0x5555;
}

/** Status bits that do not hang on the last place: TOP, C2, SF, ZE, DE, IE. */
const STATUS_MASK = 0x3c47;
/** With results that are far from the ends of the range, OE, UE and PE too. */
const ALL_STATUS_MASK = 0x3c7f;

/** What differs, beyond one unit in the last place, of the status bits in `mask`. */
function difference(mine: Outcome, theirs: X87Result, mask: number): string | undefined {
  if ((mine.outcome === "error") !== theirs.trapped) return "pending exception";
  const status = (word(mine.image, IMAGE.FSW) ^ word(theirs.image, IMAGE.FSW)) & mask;
  if (status !== 0) return `status ${status.toString(16)}`;
  if (emptyRegisters(mine.image) !== emptyRegisters(theirs.image)) return "tags";
  for (let i = 0; i < 8; i++) {
    const at = IMAGE.ST + 10 * i;
    const distance = ordinal(mine.image, at) - ordinal(theirs.image, at);
    if (distance > 1n || distance < -1n) return `ST(${i}) by ${distance}`;
  }
  return undefined;
}

function report(mnemonic: string, c: X87Case, mine: Outcome, theirs: X87Result, what: string): string {
  return [
    `${mnemonic}: ${what}`,
    `  before     ${describeImage(c.image)}`,
    `  emulator   ${describeImage(mine.image)}`,
    `  processor  ${describeImage(theirs.image)}`,
  ].join("\n");
}

describe.skipIf(typeof oracle === "string")("transcendental instructions agree with the processor", () => {
  for (const { mnemonic, modrm, operands } of FAMILIES) {
    const row = findRow(0xd9, modrm)!;

    function check(list: readonly X87Case[], mask: number): void {
      const results = (oracle as Oracle).x87(list);
      const wrong: string[] = [];
      list.forEach((c, i) => {
        const mine = runCase(c);
        const what = difference(mine, results[i], mask);
        if (what !== undefined) wrong.push(report(mnemonic, c, mine, results[i], what));
      });
      expect(wrong.length, wrong.slice(0, 5).join("\n")).toBe(0);
    }

    it(`${mnemonic} within its domain is within one unit in the last place`, { timeout: 600_000 }, () => {
      const random = new Random(modrm);
      check(
        Array.from({ length: CASES / 10 }, () => makeCase(row, modrm, random, { ordinary: true, operands })),
        ALL_STATUS_MASK,
      );
    });

    it(`${mnemonic} of special values, empty registers and with unmasked exceptions`, {
      timeout: 600_000,
    }, () => {
      const random = new Random(modrm + 1000);
      const special = (r: Random) => [any(r), any(r)] as const;
      check(
        Array.from({ length: CASES / 10 }, () => makeCase(row, modrm, random, { operands: special })),
        STATUS_MASK,
      );
    });
  }
});
