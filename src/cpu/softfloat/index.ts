/**
 * Exact floating point of the processor, in software: what SSE takes when the host's arithmetic could differ,
 * and what x87 always takes. Numbers are bit patterns in bigints (80-bit patterns: sign and exponent above a
 * 64-bit significand); each operation takes its format and an environment, which collects the exceptions.
 *
 *   const env = sseEnvironment(mxcsr);
 *   const sum = add(binary32, BigInt(a), BigInt(b), env);
 *   if (unmasked(env)) ... raise #XM, write nothing; in any case mxcsr |= env.flags
 */

export { reciprocal, reciprocalSquareRoot } from "./approximate.ts";
export {
  add,
  difference,
  divide,
  fusedMultiplyAdd,
  multiply,
  product,
  quotient,
  root,
  squareRoot,
  subtract,
  sum,
  type UnpackedOperation,
} from "./arithmetic.ts";
export {
  compare,
  compareFlags,
  comparePredicate,
  maximum,
  minimum,
  type Relation,
  relation,
} from "./compare.ts";
export {
  convert,
  fromInteger,
  type IntegerWidth,
  integerOperand,
  roundToIntegral,
  toInteger,
  toUnsignedInteger,
} from "./convert.ts";
export {
  ALL_EXCEPTIONS,
  blocked,
  DE,
  type FloatEnvironment,
  IE,
  OE,
  PE,
  PRE_COMPUTATION,
  packedFlags,
  type Rounding,
  setSseEnvironment,
  setX87Environment,
  sseEnvironment,
  UE,
  unmasked,
  x87Environment,
  ZE,
} from "./environment.ts";
export {
  binary16,
  binary32,
  binary64,
  extended80,
  type FloatFormat,
  indefinite,
  type Unpacked,
  unpack,
} from "./format.ts";
export {
  f2xm1,
  fpatan,
  fyl2x,
  fyl2xp1,
  type TrigonometricResult,
  trigonometric,
} from "./transcendental.ts";
export {
  examine,
  extract,
  fromBcd,
  type RemainderResult,
  remainder,
  scale,
  toBcd,
} from "./x87-arithmetic.ts";
