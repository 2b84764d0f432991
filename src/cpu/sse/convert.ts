/** The soft path of CVTxx: SDM vol. 1 11.4.1.6 and vol. 2 under each mnemonic. */
import { SOFT_SECOND } from "../semantics/sse/lanes.ts";
import {
  binary32,
  binary64,
  convert,
  type FloatEnvironment,
  type FloatFormat,
  fromInteger,
  type Rounding,
  toInteger,
} from "../softfloat/index.ts";
import type { CpuState } from "../state.ts";
import { CONTINUE, type Helper, type SystemHelpers, writeRegister } from "../system/helper.ts";
import { eachElement, second, sizeOf, writeElement, writeMmx } from "./environment.ts";

/** Rounding control of the truncating forms. */
const TRUNCATE: Rounding = 3;

/** CVTSI2SS, CVTSI2SD: the integer lies sign-extended in the second operand. */
function fromGeneral(to: FloatFormat): Helper {
  return (_core, cpu, record) => {
    const value = cpu.view.getBigInt64(SOFT_SECOND, true);
    const [result] = eachElement(cpu, 1, (_i, env) => fromInteger(to, value, env));
    writeElement(cpu, record.regA, sizeOf(to), 0, result!);
    return CONTINUE;
  };
}

/** CVTDQ2PS, and CVTPI2PS, which writes two singles. */
function fromPacked(count: 2 | 4): Helper {
  return (_core, cpu, record) => {
    const results = eachElement(cpu, count, (i, env) =>
      fromInteger(binary32, BigInt(cpu.view.getInt32(SOFT_SECOND + i * 4, true)), env),
    );
    results.forEach((result, i) => {
      writeElement(cpu, record.regA, 4, i, result);
    });
    return CONTINUE;
  };
}

function toGeneral(from: FloatFormat, width: 32 | 64, truncate: boolean): Helper {
  return (_core, cpu, record) => {
    const [result] = eachElement(cpu, 1, (i, env) =>
      toInteger(from, second(cpu, from, i), width, env, truncate ? TRUNCATE : env.rounding),
    );
    writeRegister(cpu, record.regA, width === 64 ? 8 : 4, result!);
    return CONTINUE;
  };
}

/** Doublewords of `count` elements. */
function toDoublewords(cpu: CpuState, from: FloatFormat, count: number, truncate: boolean): bigint[] {
  return eachElement(cpu, count, (i, env) =>
    toInteger(from, second(cpu, from, i), 32, env, truncate ? TRUNCATE : env.rounding),
  );
}

/** To an XMM register: what the source does not fill becomes zero. */
function toXmm(from: FloatFormat, count: 2 | 4, truncate: boolean): Helper {
  return (_core, cpu, record) => {
    const results = toDoublewords(cpu, from, count, truncate);
    for (let i = 0; i < 4; i++) writeElement(cpu, record.regA, 4, i, results[i] ?? 0n);
    return CONTINUE;
  };
}

function toMmx(from: FloatFormat, truncate: boolean): Helper {
  return (_core, cpu, record) => {
    const [low, high] = toDoublewords(cpu, from, 2, truncate);
    writeMmx(cpu, record.regA, low! | (high! << 32n));
    return CONTINUE;
  };
}

/** Between formats. Packed forms fill the register, scalar ones write their element. */
function between(from: FloatFormat, to: FloatFormat, count: 1 | 2): Helper {
  const size = sizeOf(to);
  return (_core, cpu, record) => {
    const one = (i: number, env: FloatEnvironment) => convert(from, to, second(cpu, from, i), env);
    const results = eachElement(cpu, count, one);
    const filled = count === 1 ? 1 : 16 / size;
    for (let i = 0; i < filled; i++) writeElement(cpu, record.regA, size, i, results[i] ?? 0n);
    return CONTINUE;
  };
}

export const convertHelpers: SystemHelpers = {
  cvtsi2ss: fromGeneral(binary32),
  "cvtsi2ss.q": fromGeneral(binary32),
  "cvtsi2sd.q": fromGeneral(binary64),
  cvtdq2ps: fromPacked(4),
  cvtpi2ps: fromPacked(2),

  cvtss2si: toGeneral(binary32, 32, false),
  "cvtss2si.q": toGeneral(binary32, 64, false),
  cvtsd2si: toGeneral(binary64, 32, false),
  "cvtsd2si.q": toGeneral(binary64, 64, false),
  cvttss2si: toGeneral(binary32, 32, true),
  "cvttss2si.q": toGeneral(binary32, 64, true),
  cvttsd2si: toGeneral(binary64, 32, true),
  "cvttsd2si.q": toGeneral(binary64, 64, true),

  cvtps2dq: toXmm(binary32, 4, false),
  cvttps2dq: toXmm(binary32, 4, true),
  cvtpd2dq: toXmm(binary64, 2, false),
  cvttpd2dq: toXmm(binary64, 2, true),
  cvtps2pi: toMmx(binary32, false),
  cvttps2pi: toMmx(binary32, true),
  cvtpd2pi: toMmx(binary64, false),
  cvttpd2pi: toMmx(binary64, true),

  cvtss2sd: between(binary32, binary64, 1),
  cvtps2pd: between(binary32, binary64, 2),
  cvtsd2ss: between(binary64, binary32, 1),
  cvtpd2ps: between(binary64, binary32, 2),
};
