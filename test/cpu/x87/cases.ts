/** Random x87 states and operands for one row of the table. */

import { binary32, binary64, extended80 } from "../../../src/cpu/softfloat/index.ts";
import type { X87Row } from "../../../src/cpu/x87/index.ts";
import type { X87Case } from "../softfloat/oracle.ts";
import { edgeValues, type Random, randomPartner, randomValue } from "../softfloat/values.ts";
import { makeImage } from "./machine.ts";

const EDGES = edgeValues(extended80);
const SINGLE_EDGES = edgeValues(binary32);
const DOUBLE_EDGES = edgeValues(binary64);

export interface Choices {
  /** Values of ST(0) and ST(i) that make the instruction interesting; else general ones. */
  readonly operands?: (random: Random) => readonly [bigint, bigint];
  /** Leave all exceptions masked and no stack faults. */
  readonly ordinary?: boolean;
  /** Only encodings the 80387 and later support. */
  readonly supported?: boolean;
}

function register(random: Random): bigint {
  return random.below(4) === 0 ? random.pick(EDGES) : randomValue(extended80, random);
}

/** Ten bytes of memory operand: floats of the row's size, integers of all magnitudes, BCD, in turn. */
function memoryOperand(row: X87Row, random: Random): Uint8Array {
  const memory = new Uint8Array(112);
  const view = new DataView(memory.buffer);
  for (let i = 0; i < memory.length; i += 4) view.setUint32(i, random.u32(), true);
  const integer = random.u64() >> BigInt(random.below(64));
  view.setBigUint64(0, random.below(2) ? integer : -integer, true);
  if (row.mnemonic.includes("fp")) {
    const edge = random.below(4) === 0;
    if (row.operand === "m32") {
      const value = edge ? random.pick(SINGLE_EDGES) : randomValue(binary32, random);
      view.setUint32(0, Number(value), true);
    } else if (row.operand === "m64") {
      view.setBigUint64(0, edge ? random.pick(DOUBLE_EDGES) : randomValue(binary64, random), true);
    } else {
      const value = register(random);
      view.setBigUint64(0, value & 0xffff_ffff_ffff_ffffn, true);
      view.setUint16(8, Number(value >> 64n), true);
    }
  }
  if (row.mnemonic.startsWith("FBLD")) {
    for (let i = 0; i < 9; i++) memory[i] = random.below(10) * 16 + random.below(10);
    memory[9] = random.below(2) * 0x80;
  }
  return memory;
}

/** A case of `row` with the ModRM byte `modrm` (memory forms: any with mod = 0). */
export function makeCase(row: X87Row, modrm: number, random: Random, choices: Choices = {}): X87Case {
  const registers = Array.from({ length: 8 }, () => register(random));
  const i = modrm & 7;
  if (choices.operands) {
    const [a, b] = choices.operands(random);
    registers[0] = a;
    registers[1] = b;
  } else if (random.below(2)) {
    registers[i] = randomPartner(extended80, registers[0], random);
    registers[1] = randomPartner(extended80, registers[0], random);
  }
  const top = random.below(8);
  const strange = !choices.ordinary && random.below(4) === 0;
  let tagWord = strange ? random.u32() & random.u32() & 0xffff : 0;
  // Instructions that push want R[top-1] free.
  if (!strange || random.below(2)) tagWord |= 3 << (2 * ((top + 7) & 7));
  const masks = strange ? random.below(64) : 63;
  const pendingAllowed = strange && random.below(4) === 0;
  const flags = random.u32() & 0x7f & (pendingAllowed ? 0x7f : masks | 0x40);
  const controlWord = (random.below(4) << 10) | (random.pick([0, 2, 3, 3, 3]) << 8) | 0x40 | masks;
  const statusWord = (random.below(2) * 0x4700) | (top << 11) | flags;
  const image = makeImage({ controlWord, statusWord, tagWord, registers, dataPointer: random.u32() });
  const isMemory = row.operand !== "none";
  return {
    code: isMemory ? [row.opcode, (modrm & 0x38) | 2] : [row.opcode, modrm],
    image,
    memory: memoryOperand(row, random),
    eflags: (random.u32() & 0x8d5) | 0x202,
    rax: 0n,
  };
}
