/** The memory operand of ModRM, SIB and displacement (SDM vol. 2 2.1.5, tables 2-1 to 2-3). */
import { GPR, Segment, ZERO } from "../layout.ts";
import type { ByteCursor } from "./byte-cursor.ts";
import type { Prefixes } from "./prefixes.ts";

/** 16-bit addressing, table 2-1: base and index register numbers, -1 for none. */
const BASE_16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX_16 = [6, 7, 6, 7, -1, -1, -1, -1];

const slot = (register: number): number => GPR + register * 8;

export class AddressForm {
  /** Block offsets; ZERO where absent. */
  base: number = ZERO;
  index: number = ZERO;
  scale = 0;
  displacement = 0;
  /** The displacement counts from the next instruction. */
  ripRelative = false;
  /** Default segment: SS with a base of SP or BP, else DS. */
  segment: number = Segment.DS;

  reset(): void {
    this.base = ZERO;
    this.index = ZERO;
    this.scale = 0;
    this.displacement = 0;
    this.ripRelative = false;
    this.segment = Segment.DS;
  }

  /** Reads what follows a ModRM byte with mod other than 3. */
  read(cursor: ByteCursor, modrm: number, addressSize: 2 | 4 | 8, prefixes: Prefixes, long: boolean): void {
    if (addressSize === 2) this.#read16(cursor, modrm);
    else this.#read32(cursor, modrm, prefixes, long);
  }

  #read16(cursor: ByteCursor, modrm: number): void {
    const mod = modrm >> 6;
    const rm = modrm & 7;
    if (mod === 0 && rm === 6) {
      this.displacement = cursor.i16();
      return;
    }
    this.base = slot(BASE_16[rm]!);
    if (INDEX_16[rm]! >= 0) this.index = slot(INDEX_16[rm]!);
    if (BASE_16[rm] === 5) this.segment = Segment.SS;
    if (mod === 1) this.displacement = cursor.i8();
    else if (mod === 2) this.displacement = cursor.i16();
  }

  #read32(cursor: ByteCursor, modrm: number, prefixes: Prefixes, long: boolean): void {
    const mod = modrm >> 6;
    let baseNumber = modrm & 7;
    let noBase = false;
    if (baseNumber === 4) {
      const sib = cursor.u8();
      baseNumber = sib & 7;
      const indexNumber = ((sib >> 3) & 7) | prefixes.x;
      if (indexNumber !== 4) {
        this.index = slot(indexNumber);
        this.scale = sib >> 6;
      }
      noBase = baseNumber === 5 && mod === 0;
    } else if (baseNumber === 5 && mod === 0) {
      noBase = true;
      this.ripRelative = long;
    }
    if (!noBase) {
      this.base = slot(baseNumber | prefixes.b);
      if (prefixes.b === 0 && (baseNumber === 4 || baseNumber === 5)) this.segment = Segment.SS;
    }
    if (mod === 1) this.displacement = cursor.i8();
    else if (mod === 2 || noBase) this.displacement = cursor.i32();
  }
}
