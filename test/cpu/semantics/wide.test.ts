import { describe, expect, it } from "vitest";
import { divideWide, multiplyHighSigned, multiplyHighUnsigned } from "../../../src/cpu/semantics/wide.ts";
import { ModuleBuilder } from "../../../src/wasm/index.ts";

const m = new ModuleBuilder();
m.function(
  "highUnsigned",
  ["i64", "i64"],
  ["i64"],
  (b) => b.return(multiplyHighUnsigned(b, b.param(0, "i64"), b.param(1, "i64"))),
  { export: true },
);
m.function(
  "highSigned",
  ["i64", "i64"],
  ["i64"],
  (b) => b.return(multiplyHighSigned(b, b.param(0, "i64"), b.param(1, "i64"))),
  { export: true },
);
for (const part of ["quotient", "remainder"] as const) {
  m.function(
    part,
    ["i64", "i64", "i64"],
    ["i64"],
    (b) => b.return(divideWide(b, b.param(0, "i64"), b.param(1, "i64"), b.param(2, "i64"))[part]),
    { export: true },
  );
}
type Binary = (a: bigint, b: bigint) => bigint;
const wasm = new WebAssembly.Instance(new WebAssembly.Module(m.toBytes())).exports as unknown as {
  highUnsigned: Binary;
  highSigned: Binary;
  quotient: (high: bigint, low: bigint, divisor: bigint) => bigint;
  remainder: (high: bigint, low: bigint, divisor: bigint) => bigint;
};

/** Values around every power of two: where carries run far and digit estimates are worst. */
const EDGES: bigint[] = [];
for (let bit = 0n; bit < 64n; bit++)
  for (const delta of [-2n, -1n, 0n, 1n]) EDGES.push(BigInt.asUintN(64, (1n << bit) + delta));
EDGES.push(0x8000_0000_ffff_ffffn, 0xffff_ffff_0000_0000n, 0x7fff_ffff_8000_0001n, 0x8000_0001_7fff_ffffn);

describe("128-bit arithmetic", () => {
  it("multiplication gives the exact high half, unsigned and signed", () => {
    for (const x of EDGES) {
      for (const y of EDGES) {
        expect(BigInt.asUintN(64, wasm.highUnsigned(x, y))).toBe((x * y) >> 64n);
        const [sx, sy] = [BigInt.asIntN(64, x), BigInt.asIntN(64, y)];
        expect(wasm.highSigned(sx, sy)).toBe((sx * sy) >> 64n);
      }
    }
  });

  it("division of 128 by 64 bits gives the exact quotient and remainder", () => {
    let lows = 0;
    for (const divisor of EDGES) {
      for (const high of EDGES) {
        if (high >= divisor) continue;
        const low = EDGES[lows++ % EDGES.length]!;
        const dividend = (high << 64n) | low;
        expect(BigInt.asUintN(64, wasm.quotient(high, low, divisor))).toBe(dividend / divisor);
        expect(BigInt.asUintN(64, wasm.remainder(high, low, divisor))).toBe(dividend % divisor);
      }
    }
    expect(lows).toBeGreaterThan(20_000);
  });
});
