/** The scalar SSE instructions the soft-float library stands in for: their encodings and its answer to each. */

import * as soft from "../../../src/cpu/softfloat/index.ts";
import { binary16, binary32, binary64, type FloatFormat } from "../../../src/cpu/softfloat/index.ts";
import type { SseCase, SseResult } from "./oracle.ts";
import { edgeValues, type Random, randomPartner, randomValue } from "./values.ts";

const MXCSR_MASKED = 0x1f80;

type Environment = soft.FloatEnvironment;

/** What an instruction leaves: a value in XMM0 or RAX, or flags. */
type Outcome = bigint;

export interface Family {
  readonly name: string;
  readonly code: readonly number[];
  readonly from: FloatFormat;
  /** Second operand's format, where it is not `from`; integers are taken from RAX. */
  readonly run: (a: bigint, b: bigint, env: Environment) => Outcome;
  readonly observe: (result: SseResult) => Outcome;
  /** Operand that survives when the instruction faults. */
  readonly integerSource?: 32 | 64;
}

export const MASK: Record<string, bigint> = {
  binary16: 0xffffn,
  binary32: 0xffffffffn,
  binary64: 0xffffffffffffffffn,
};
const low = (format: FloatFormat) => (r: SseResult) => r.low & MASK[format.name];
const rax32 = (r: SseResult) => r.rax & 0xffffffffn;
const rax64 = (r: SseResult) => r.rax;
const flagsOf = (r: SseResult) => BigInt(r.eflags & 0x8d5);

export function families(): Family[] {
  const list: Family[] = [];
  for (const format of [binary32, binary64]) {
    const single = format === binary32;
    const prefix = single ? 0xf3 : 0xf2;
    const packed = single ? [] : [0x66];
    const suffix = single ? "SS" : "SD";
    const binary = (name: string, opcode: number, op: typeof soft.add) =>
      list.push({
        name: name + suffix,
        code: [prefix, 0x0f, opcode, 0xc1],
        from: format,
        run: (a, b, env) => op(format, a, b, env),
        observe: low(format),
      });
    binary("ADD", 0x58, soft.add);
    binary("SUB", 0x5c, soft.subtract);
    binary("MUL", 0x59, soft.multiply);
    binary("DIV", 0x5e, soft.divide);
    binary("MIN", 0x5d, soft.minimum);
    binary("MAX", 0x5f, soft.maximum);
    binary("SQRT", 0x51, (f, _a, b, env) => soft.squareRoot(f, b, env));
    for (let predicate = 0; predicate < 8; predicate++) {
      list.push({
        name: `CMP${suffix} ${predicate}`,
        code: [prefix, 0x0f, 0xc2, 0xc1, predicate],
        from: format,
        run: (a, b, env) => (soft.comparePredicate(format, predicate, a, b, env) ? MASK[format.name] : 0n),
        observe: low(format),
      });
    }
    for (let predicate = 8; predicate < 32; predicate++) {
      list.push({
        name: `VCMP${suffix} ${predicate}`,
        code: [0xc5, 0xf8 | (single ? 2 : 3), 0xc2, 0xc1, predicate],
        from: format,
        run: (a, b, env) => (soft.comparePredicate(format, predicate, a, b, env) ? MASK[format.name] : 0n),
        observe: low(format),
      });
    }
    for (const [name, opcode, signalling] of [
      ["UCOMI", 0x2e, false],
      ["COMI", 0x2f, true],
    ] as const) {
      list.push({
        name: name + suffix,
        code: [...packed, 0x0f, opcode, 0xc1],
        from: format,
        run: (a, b, env) => BigInt(soft.compareFlags(soft.compare(format, a, b, env, signalling))),
        observe: flagsOf,
      });
    }
    for (let immediate = 0; immediate < 16; immediate++) {
      const mode = immediate & 4 ? undefined : ((immediate & 3) as soft.Rounding);
      list.push({
        name: `ROUND${suffix} ${immediate}`,
        code: [0x66, 0x0f, 0x3a, single ? 0x0a : 0x0b, 0xc1, immediate],
        from: format,
        run: (_a, b, env) =>
          soft.roundToIntegral(format, b, env, mode ?? env.rounding, (immediate & 8) !== 0),
        observe: low(format),
      });
    }
    for (const width of [32, 64] as const) {
      const rexW = width === 64 ? [0x48] : [];
      const toward = (name: string, opcode: number, rounding?: soft.Rounding) =>
        list.push({
          name: `${name} r${width}, ${suffix}`,
          code: [prefix, ...rexW, 0x0f, opcode, 0xc1],
          from: format,
          run: (_a, b, env) => soft.toInteger(format, b, width, env, rounding ?? env.rounding),
          observe: width === 64 ? rax64 : rax32,
        });
      toward("CVT", 0x2d);
      toward("CVTT", 0x2c, 3);
      list.push({
        name: `CVTSI2${suffix} r${width}`,
        code: [prefix, ...rexW, 0x0f, 0x2a, 0xc0],
        from: format,
        integerSource: width,
        run: (_a, b, env) => soft.fromInteger(format, BigInt.asIntN(width, b), env),
        observe: low(format),
      });
    }
    const to = single ? binary64 : binary32;
    list.push({
      name: single ? "CVTSS2SD" : "CVTSD2SS",
      code: [prefix, 0x0f, 0x5a, 0xc1],
      from: format,
      run: (_a, b, env) => soft.convert(format, to, b, env),
      observe: low(to),
    });
    list.push({
      name: `VFMADD213${suffix}`,
      code: [0xc4, 0xe2, single ? 0x79 : 0xf9, 0xa9, 0xc0], // xmm0 = xmm0 * xmm0 + xmm0
      from: format,
      run: (a, _b, env) => soft.fusedMultiplyAdd(format, a, a, a, env),
      observe: low(format),
    });
    list.push({
      name: `VFMADD231${suffix}`,
      code: [0xc4, 0xe2, single ? 0x71 : 0xf1, 0xb9, 0xc1], // xmm0 = xmm1 * xmm1 + xmm0
      from: format,
      run: (a, b, env) => soft.fusedMultiplyAdd(format, b, b, a, env),
      observe: low(format),
    });
  }
  list.push({
    name: "VCVTPH2PS",
    code: [0xc4, 0xe2, 0x79, 0x13, 0xc1],
    from: binary16,
    run: (_a, b, env) => soft.convert(binary16, binary32, b, env),
    observe: low(binary32),
  });
  for (let immediate = 0; immediate < 8; immediate++) {
    list.push({
      name: `VCVTPS2PH ${immediate}`,
      code: [0xc4, 0xe3, 0x79, 0x1d, 0xc8, immediate],
      from: binary32,
      run: (_a, b, env) => {
        if (!(immediate & 4)) env.rounding = (immediate & 3) as soft.Rounding;
        return soft.convert(binary32, binary16, b, env);
      },
      observe: low(binary16),
    });
  }
  return list;
}

/** MXCSR values: all roundings, FTZ, DAZ and masks in random combination. */
function randomMxcsr(random: Random): number {
  const masks = random.below(4) === 0 ? random.below(64) : 63;
  const modes = random.below(2) ? 0 : (random.below(2) << 15) | (random.below(2) << 6);
  return (random.below(4) << 13) | (masks << 7) | modes;
}

/** All pairs of edge values, if `count` leaves room for them, else some; then random operands. */
export function makeCases(family: Family, count: number, random: Random): SseCase[] {
  const list: SseCase[] = [];
  const push = (a: bigint, b: bigint, mxcsr: number) => {
    const rax = family.integerSource ? b : 0x1122334455667788n;
    list.push({ code: family.code, mxcsr, xmm0: a, xmm1: family.integerSource ? 0n : b, rax });
  };
  const edges = edgeValues(family.from);
  const allPairs = 2 * edges.length ** 2 <= count;
  if (!family.integerSource && !allPairs) {
    while (list.length < count / 2) push(random.pick(edges), random.pick(edges), randomMxcsr(random));
  } else if (!family.integerSource) {
    let turn = 0;
    for (const a of edges) {
      for (const b of edges) {
        push(a, b, MXCSR_MASKED | ((turn++ & 3) << 13));
        push(a, b, randomMxcsr(random));
      }
    }
  }
  while (list.length < count) {
    const a = randomValue(family.from, random);
    const b = family.integerSource
      ? random.u64() >> BigInt(random.below(64))
      : randomPartner(family.from, a, random);
    push(a, b, randomMxcsr(random));
  }
  return list;
}
