/**
 * The WebAssembly instruction set as data: every plain operator (operands on the stack, result on the stack,
 * at most lane immediates) and every memory access. Control flow is in `function.ts`.
 *
 * Source: WebAssembly core specification 2.0, "Index of Instructions".
 */

export type ValType = "i32" | "i64" | "f32" | "f64" | "v128";

/** Binary encodings of the value types. */
export const VALTYPE_CODE: Record<ValType, number> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/** The operator's encoding: one byte, or prefix 0xFC / 0xFD and a LEB128 sub-opcode. */
export interface Operator {
  readonly name: string;
  readonly prefix: 0 | 0xfc | 0xfd;
  readonly code: number;
  readonly params: readonly ValType[];
  readonly result: ValType;
  /** Number of lane-index immediate bytes: 0, 1 (extract/replace lane) or 16 (shuffle). */
  readonly lanes: 0 | 1 | 16;
}

export interface MemoryOperator {
  readonly name: string;
  readonly prefix: 0 | 0xfd;
  readonly code: number;
  readonly type: ValType;
  /** Bytes accessed. */
  readonly width: number;
  readonly lanes: 0 | 1;
}

// One line a group: first opcode, signature, then names in the order of their opcodes ("-" skips one).
const CORE: readonly [number, string][] = [
  [0x45, "i32>i32 i32.eqz"],
  [0x46, "i32,i32>i32 i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u"],
  [0x50, "i64>i32 i64.eqz"],
  [0x51, "i64,i64>i32 i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u"],
  [0x5b, "f32,f32>i32 f32.eq f32.ne f32.lt f32.gt f32.le f32.ge"],
  [0x61, "f64,f64>i32 f64.eq f64.ne f64.lt f64.gt f64.le f64.ge"],
  [0x67, "i32>i32 i32.clz i32.ctz i32.popcnt"],
  [
    0x6a,
    "i32,i32>i32 i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr",
  ],
  [0x79, "i64>i64 i64.clz i64.ctz i64.popcnt"],
  [
    0x7c,
    "i64,i64>i64 i64.add i64.sub i64.mul i64.div_s i64.div_u i64.rem_s i64.rem_u i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr",
  ],
  [0x8b, "f32>f32 f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt"],
  [0x92, "f32,f32>f32 f32.add f32.sub f32.mul f32.div f32.min f32.max f32.copysign"],
  [0x99, "f64>f64 f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt"],
  [0xa0, "f64,f64>f64 f64.add f64.sub f64.mul f64.div f64.min f64.max f64.copysign"],
  [0xa7, "i64>i32 i32.wrap_i64"],
  [0xa8, "f32>i32 i32.trunc_f32_s i32.trunc_f32_u"],
  [0xaa, "f64>i32 i32.trunc_f64_s i32.trunc_f64_u"],
  [0xac, "i32>i64 i64.extend_i32_s i64.extend_i32_u"],
  [0xae, "f32>i64 i64.trunc_f32_s i64.trunc_f32_u"],
  [0xb0, "f64>i64 i64.trunc_f64_s i64.trunc_f64_u"],
  [0xb2, "i32>f32 f32.convert_i32_s f32.convert_i32_u"],
  [0xb4, "i64>f32 f32.convert_i64_s f32.convert_i64_u"],
  [0xb6, "f64>f32 f32.demote_f64"],
  [0xb7, "i32>f64 f64.convert_i32_s f64.convert_i32_u"],
  [0xb9, "i64>f64 f64.convert_i64_s f64.convert_i64_u"],
  [0xbb, "f32>f64 f64.promote_f32"],
  [0xbc, "f32>i32 i32.reinterpret_f32"],
  [0xbd, "f64>i64 i64.reinterpret_f64"],
  [0xbe, "i32>f32 f32.reinterpret_i32"],
  [0xbf, "i64>f64 f64.reinterpret_i64"],
  [0xc0, "i32>i32 i32.extend8_s i32.extend16_s"],
  [0xc2, "i64>i64 i64.extend8_s i64.extend16_s i64.extend32_s"],
];

const SATURATING: readonly [number, string][] = [
  [0x00, "f32>i32 i32.trunc_sat_f32_s i32.trunc_sat_f32_u"],
  [0x02, "f64>i32 i32.trunc_sat_f64_s i32.trunc_sat_f64_u"],
  [0x04, "f32>i64 i64.trunc_sat_f32_s i64.trunc_sat_f32_u"],
  [0x06, "f64>i64 i64.trunc_sat_f64_s i64.trunc_sat_f64_u"],
];

const V2 = "v128,v128>v128";
const V1 = "v128>v128";
const VS = "v128,i32>v128";
const VT = "v128>i32";
const SIMD: readonly [number, string][] = [
  [0x0d, `${V2} i8x16.shuffle/16 i8x16.swizzle`],
  [0x0f, "i32>v128 i8x16.splat i16x8.splat i32x4.splat"],
  [0x12, "i64>v128 i64x2.splat"],
  [0x13, "f32>v128 f32x4.splat"],
  [0x14, "f64>v128 f64x2.splat"],
  [0x15, "v128>i32 i8x16.extract_lane_s/1 i8x16.extract_lane_u/1"],
  [0x17, "v128,i32>v128 i8x16.replace_lane/1"],
  [0x18, "v128>i32 i16x8.extract_lane_s/1 i16x8.extract_lane_u/1"],
  [0x1a, "v128,i32>v128 i16x8.replace_lane/1"],
  [0x1b, "v128>i32 i32x4.extract_lane/1"],
  [0x1c, "v128,i32>v128 i32x4.replace_lane/1"],
  [0x1d, "v128>i64 i64x2.extract_lane/1"],
  [0x1e, "v128,i64>v128 i64x2.replace_lane/1"],
  [0x1f, "v128>f32 f32x4.extract_lane/1"],
  [0x20, "v128,f32>v128 f32x4.replace_lane/1"],
  [0x21, "v128>f64 f64x2.extract_lane/1"],
  [0x22, "v128,f64>v128 f64x2.replace_lane/1"],
  [
    0x23,
    `${V2} i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u i8x16.le_s i8x16.le_u i8x16.ge_s i8x16.ge_u`,
  ],
  [
    0x2d,
    `${V2} i16x8.eq i16x8.ne i16x8.lt_s i16x8.lt_u i16x8.gt_s i16x8.gt_u i16x8.le_s i16x8.le_u i16x8.ge_s i16x8.ge_u`,
  ],
  [
    0x37,
    `${V2} i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u i32x4.gt_s i32x4.gt_u i32x4.le_s i32x4.le_u i32x4.ge_s i32x4.ge_u`,
  ],
  [0x41, `${V2} f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge`],
  [0x47, `${V2} f64x2.eq f64x2.ne f64x2.lt f64x2.gt f64x2.le f64x2.ge`],
  [0x4d, `${V1} v128.not`],
  [0x4e, `${V2} v128.and v128.andnot v128.or v128.xor`],
  [0x52, "v128,v128,v128>v128 v128.bitselect"],
  [0x53, `${VT} v128.any_true`],
  [0x5e, `${V1} f32x4.demote_f64x2_zero f64x2.promote_low_f32x4`],
  [0x60, `${V1} i8x16.abs i8x16.neg i8x16.popcnt`],
  [0x63, `${VT} i8x16.all_true i8x16.bitmask`],
  [0x65, `${V2} i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u`],
  [0x67, `${V1} f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest`],
  [0x6b, `${VS} i8x16.shl i8x16.shr_s i8x16.shr_u`],
  [0x6e, `${V2} i8x16.add i8x16.add_sat_s i8x16.add_sat_u i8x16.sub i8x16.sub_sat_s i8x16.sub_sat_u`],
  [0x74, `${V1} f64x2.ceil f64x2.floor`],
  [0x76, `${V2} i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u`],
  [0x7a, `${V1} f64x2.trunc`],
  [0x7b, `${V2} i8x16.avgr_u`],
  [0x7c, `${V1} i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u`],
  [0x7e, `${V1} i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u`],
  [0x80, `${V1} i16x8.abs i16x8.neg`],
  [0x82, `${V2} i16x8.q15mulr_sat_s`],
  [0x83, `${VT} i16x8.all_true i16x8.bitmask`],
  [0x85, `${V2} i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u`],
  [
    0x87,
    `${V1} i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u`,
  ],
  [0x8b, `${VS} i16x8.shl i16x8.shr_s i16x8.shr_u`],
  [0x8e, `${V2} i16x8.add i16x8.add_sat_s i16x8.add_sat_u i16x8.sub i16x8.sub_sat_s i16x8.sub_sat_u`],
  [0x94, `${V1} f64x2.nearest`],
  [0x95, `${V2} i16x8.mul i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u`],
  [0x9b, `${V2} i16x8.avgr_u`],
  [
    0x9c,
    `${V2} i16x8.extmul_low_i8x16_s i16x8.extmul_high_i8x16_s i16x8.extmul_low_i8x16_u i16x8.extmul_high_i8x16_u`,
  ],
  [0xa0, `${V1} i32x4.abs i32x4.neg`],
  [0xa3, `${VT} i32x4.all_true i32x4.bitmask`],
  [
    0xa7,
    `${V1} i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u`,
  ],
  [0xab, `${VS} i32x4.shl i32x4.shr_s i32x4.shr_u`],
  [0xae, `${V2} i32x4.add`],
  [0xb1, `${V2} i32x4.sub`],
  [
    0xb5,
    `${V2} i32x4.mul i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s - i32x4.extmul_low_i16x8_s i32x4.extmul_high_i16x8_s i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u`,
  ],
  [0xc0, `${V1} i64x2.abs i64x2.neg`],
  [0xc3, `${VT} i64x2.all_true i64x2.bitmask`],
  [
    0xc7,
    `${V1} i64x2.extend_low_i32x4_s i64x2.extend_high_i32x4_s i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u`,
  ],
  [0xcb, `${VS} i64x2.shl i64x2.shr_s i64x2.shr_u`],
  [0xce, `${V2} i64x2.add`],
  [0xd1, `${V2} i64x2.sub`],
  [0xd5, `${V2} i64x2.mul i64x2.eq i64x2.ne i64x2.lt_s i64x2.gt_s i64x2.le_s i64x2.ge_s`],
  [
    0xdc,
    `${V2} i64x2.extmul_low_i32x4_s i64x2.extmul_high_i32x4_s i64x2.extmul_low_i32x4_u i64x2.extmul_high_i32x4_u`,
  ],
  [0xe0, `${V1} f32x4.abs f32x4.neg - f32x4.sqrt`],
  [0xe4, `${V2} f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin f32x4.pmax`],
  [0xec, `${V1} f64x2.abs f64x2.neg - f64x2.sqrt`],
  [0xf0, `${V2} f64x2.add f64x2.sub f64x2.mul f64x2.div f64x2.min f64x2.max f64x2.pmin f64x2.pmax`],
  [
    0xf8,
    `${V1} i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u`,
  ],
];

// name, opcode, type, bytes accessed
const CORE_MEMORY: readonly [string, number, ValType, number][] = [
  ["i32.load", 0x28, "i32", 4],
  ["i64.load", 0x29, "i64", 8],
  ["f32.load", 0x2a, "f32", 4],
  ["f64.load", 0x2b, "f64", 8],
  ["i32.load8_s", 0x2c, "i32", 1],
  ["i32.load8_u", 0x2d, "i32", 1],
  ["i32.load16_s", 0x2e, "i32", 2],
  ["i32.load16_u", 0x2f, "i32", 2],
  ["i64.load8_s", 0x30, "i64", 1],
  ["i64.load8_u", 0x31, "i64", 1],
  ["i64.load16_s", 0x32, "i64", 2],
  ["i64.load16_u", 0x33, "i64", 2],
  ["i64.load32_s", 0x34, "i64", 4],
  ["i64.load32_u", 0x35, "i64", 4],
  ["i32.store", 0x36, "i32", 4],
  ["i64.store", 0x37, "i64", 8],
  ["f32.store", 0x38, "f32", 4],
  ["f64.store", 0x39, "f64", 8],
  ["i32.store8", 0x3a, "i32", 1],
  ["i32.store16", 0x3b, "i32", 2],
  ["i64.store8", 0x3c, "i64", 1],
  ["i64.store16", 0x3d, "i64", 2],
  ["i64.store32", 0x3e, "i64", 4],
];

const SIMD_MEMORY: readonly [string, number, number][] = [
  ["v128.load", 0x00, 16],
  ["v128.load8x8_s", 0x01, 8],
  ["v128.load8x8_u", 0x02, 8],
  ["v128.load16x4_s", 0x03, 8],
  ["v128.load16x4_u", 0x04, 8],
  ["v128.load32x2_s", 0x05, 8],
  ["v128.load32x2_u", 0x06, 8],
  ["v128.load8_splat", 0x07, 1],
  ["v128.load16_splat", 0x08, 2],
  ["v128.load32_splat", 0x09, 4],
  ["v128.load64_splat", 0x0a, 8],
  ["v128.store", 0x0b, 16],
  ["v128.load32_zero", 0x5c, 4],
  ["v128.load64_zero", 0x5d, 8],
];

function expand(prefix: 0 | 0xfc | 0xfd, groups: readonly [number, string][]): Operator[] {
  return groups.flatMap(([first, text]) => {
    const [signature, ...names] = text.split(" ");
    const [params, result] = signature!.split(">");
    return names.flatMap((entry, i) => {
      if (entry === "-") return [];
      const [name, lanes] = entry.split("/");
      return {
        name: name!,
        prefix,
        code: first + i,
        params: params!.split(",") as ValType[],
        result: result as ValType,
        lanes: (lanes ? Number(lanes) : 0) as 0 | 1 | 16,
      };
    });
  });
}

/** Every plain operator, in the order of its encoding. */
export const OPERATORS: readonly Operator[] = [
  ...expand(0, CORE),
  ...expand(0xfc, SATURATING),
  ...expand(0xfd, SIMD),
];

/** Every load and store. */
export const MEMORY_OPERATORS: readonly MemoryOperator[] = [
  ...CORE_MEMORY.map(([name, code, type, width]) => ({
    name,
    prefix: 0 as const,
    code,
    type,
    width,
    lanes: 0 as const,
  })),
  ...SIMD_MEMORY.map(([name, code, width]) => ({
    name,
    prefix: 0xfd as const,
    code,
    type: "v128" as const,
    width,
    lanes: 0 as const,
  })),
];

const byName = new Map(OPERATORS.map((o) => [o.name, o]));
const memoryByName = new Map(MEMORY_OPERATORS.map((o) => [o.name, o]));

/** @throws Error when no such operator exists. */
export function operator(name: string): Operator {
  const found = byName.get(name);
  if (!found) throw new Error(`no WebAssembly operator ${name}`);
  return found;
}

/** @throws Error when no such memory operator exists. */
export function memoryOperator(name: string): MemoryOperator {
  const found = memoryByName.get(name);
  if (!found) throw new Error(`no WebAssembly memory operator ${name}`);
  return found;
}
