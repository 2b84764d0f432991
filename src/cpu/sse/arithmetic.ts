/** The soft path of SSE arithmetic, comparison and rounding: SDM vol. 1 11.5, vol. 2 under each mnemonic. */
import { MXCSR } from "../layout.ts";
import { SOFT_FIRST, SOFT_SECOND } from "../semantics/sse/lanes.ts";
import {
  add,
  binary32,
  binary64,
  compare,
  compareFlags,
  comparePredicate,
  divide,
  type FloatEnvironment,
  type FloatFormat,
  maximum,
  minimum,
  multiply,
  type Rounding,
  reciprocal,
  reciprocalSquareRoot,
  roundToIntegral,
  squareRoot,
  subtract,
} from "../softfloat/index.ts";
import { CONTINUE, type Helper, type RecordView, type SystemHelpers } from "../system/helper.ts";
import { dotProduct } from "./dot-product.ts";
import { eachElement, first, second, signal, sizeOf, writeElement } from "./environment.ts";
import { computeByHost, type HostOperation } from "./host-arithmetic.ts";

/** One element of an operation. */
type Operation = (
  format: FloatFormat,
  a: bigint,
  b: bigint,
  env: FloatEnvironment,
  record: RecordView,
) => bigint;

/**
 * Elements `0` to `count - 1` of the destination register become those of the operation; `host` names it where
 * the host can do it too.
 */
function elementwise(
  format: FloatFormat,
  count: number,
  operation: Operation,
  host: HostOperation | null = null,
): Helper {
  const size = sizeOf(format);
  return (_core, cpu, record) => {
    if (host !== null && computeByHost(cpu, host, size, count, record.regA)) return CONTINUE;
    const results = eachElement(cpu, count, (i, env) =>
      operation(format, first(cpu, format, i), second(cpu, format, i), env, record),
    );
    for (let i = 0; i < count; i++) writeElement(cpu, record.regA, size, i, results[i]!);
    return CONTINUE;
  };
}

/** The four forms of an operation, by its mnemonic in lower case. */
function forms(
  stem: string,
  operation: Operation,
  host: HostOperation | null = null,
): Record<string, Helper> {
  return {
    [`${stem}ps`]: elementwise(binary32, 4, operation, host),
    [`${stem}pd`]: elementwise(binary64, 2, operation, host),
    [`${stem}ss`]: elementwise(binary32, 1, operation, host),
    [`${stem}sd`]: elementwise(binary64, 1, operation, host),
  };
}

const compareMask: Operation = (format, a, b, env, record) =>
  comparePredicate(format, record.imm32 & 7, a, b, env) ? -1n : 0n;

const round: Operation = (format, _a, b, env, record) => {
  const imm = record.imm32;
  const rounding = imm & 4 ? env.rounding : ((imm & 3) as Rounding);
  return roundToIntegral(format, b, env, rounding, (imm & 8) !== 0);
};

/** COMISx (quiet NaNs signal too) and UCOMISx. */
function compareScalars(format: FloatFormat, signalling: boolean): Helper {
  return (_core, cpu) => {
    let flags = 0;
    eachElement(cpu, 1, (i, env) => {
      flags = compareFlags(compare(format, first(cpu, format, i), second(cpu, format, i), env, signalling));
      return 0n;
    });
    cpu.statusFlags = flags;
    return CONTINUE;
  };
}

/** ADDSUBPx: even elements subtracted, odd ones added. */
function addSub(format: FloatFormat, count: number): Helper {
  const size = sizeOf(format);
  return (_core, cpu, record) => {
    const results = eachElement(cpu, count, (i, env) =>
      (i & 1 ? add : subtract)(format, first(cpu, format, i), second(cpu, format, i), env),
    );
    for (let i = 0; i < count; i++) writeElement(cpu, record.regA, size, i, results[i]!);
    return CONTINUE;
  };
}

/** RCPxx, RSQRTxx: no exceptions, no regard to MXCSR. */
function approximate(count: number, operation: (bits: number) => number): Helper {
  return (_core, cpu, record) => {
    for (let i = 0; i < count; i++) {
      const result = operation(cpu.view.getUint32(SOFT_SECOND + i * 4, true));
      cpu.view.setUint32(record.regA + i * 4, result, true);
    }
    return CONTINUE;
  };
}

/** DPPS, DPPD. */
function dot(format: FloatFormat, count: 2 | 4): Helper {
  const size = sizeOf(format);
  return (_core, cpu, record) => {
    const elements = (at: number) =>
      Array.from({ length: count }, (_, i) =>
        at === SOFT_FIRST ? first(cpu, format, i) : second(cpu, format, i),
      );
    const imm = record.imm32;
    const result = dotProduct(format, elements(SOFT_FIRST), elements(SOFT_SECOND), imm, cpu.i32(MXCSR));
    signal(cpu, result.flags, result.masks);
    for (let i = 0; i < count; i++) {
      writeElement(cpu, record.regA, size, i, (imm >> i) & 1 ? result.value : 0n);
    }
    return CONTINUE;
  };
}

export const arithmeticHelpers: SystemHelpers = {
  ...forms("add", add, "add"),
  ...forms("sub", subtract, "sub"),
  ...forms("mul", multiply, "mul"),
  ...forms("div", divide, "div"),
  ...forms("min", minimum),
  ...forms("max", maximum),
  ...forms("sqrt", (format, _a, b, env) => squareRoot(format, b, env), "sqrt"),
  ...forms("cmp", compareMask),
  ...forms("round", round),
  comiss: compareScalars(binary32, true),
  comisd: compareScalars(binary64, true),
  ucomiss: compareScalars(binary32, false),
  ucomisd: compareScalars(binary64, false),
  addsubps: addSub(binary32, 4),
  addsubpd: addSub(binary64, 2),
  dpps: dot(binary32, 4),
  dppd: dot(binary64, 2),
  rcpps: approximate(4, reciprocal),
  rcpss: approximate(1, reciprocal),
  rsqrtps: approximate(4, reciprocalSquareRoot),
  rsqrtss: approximate(1, reciprocalSquareRoot),
};
