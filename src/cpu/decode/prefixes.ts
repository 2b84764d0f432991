/** Legacy, REX and VEX prefixes, and the opcode bytes they lead to (SDM vol. 2 2.1-2.3). */
import { Segment } from "../layout.ts";
import { Mode } from "../modes.ts";
import type { ByteCursor } from "./byte-cursor.ts";
import { Prefix } from "./row-index.ts";

const SEGMENT_PREFIXES: Readonly<Record<number, number>> = {
  38: Segment.ES,
  46: Segment.CS,
  54: Segment.SS,
  62: Segment.DS,
  100: Segment.FS,
  101: Segment.GS,
};

const LEGACY = new Uint8Array(256);
for (const byte of [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]) LEGACY[byte] = 1;

const VEX_PREFIX = [Prefix.NONE, Prefix.P66, Prefix.F3, Prefix.F2];

export class Prefixes {
  operand66 = false;
  address67 = false;
  /** Segment override, or -1. 64-bit code knows only FS and GS. */
  segment = -1;
  lock = false;
  /** F2, F3 or 0. */
  repeat = 0;
  /** The REX byte, or 0. */
  rex = 0;
  /** Extensions of register numbers: 0 or 8; W: 0 or 1. */
  w = 0;
  r = 0;
  x = 0;
  b = 0;
  vex = false;
  vexL = 0;
  vvvv = 0;
  /** Opcode map 0-3 and opcode. */
  map = 0;
  opcode = 0;
  /** A VEX prefix after 66, F2, F3, LOCK or REX, or one that names no opcode map: #UD. */
  undefined = false;

  /** Reads up to and including the opcode. */
  read(cursor: ByteCursor, mode: number): void {
    const long = (mode & Mode.SIZE) === Mode.CODE_64;
    this.operand66 = false;
    this.address67 = false;
    this.segment = -1;
    this.lock = false;
    this.repeat = 0;
    this.rex = 0;
    this.vex = false;
    this.vexL = 0;
    this.vvvv = 0;
    this.map = 0;
    this.undefined = false;
    // A REX prefix counts only right before the opcode (SDM vol. 2 2.2.1).
    let byte: number;
    for (;;) {
      byte = cursor.u8();
      if (LEGACY[byte]) {
        this.rex = 0;
        this.#legacy(byte, long);
      } else if (long && (byte & 0xf0) === 0x40) this.rex = byte;
      else break;
      if (cursor.short) return;
    }
    this.w = (this.rex >> 3) & 1;
    this.r = (this.rex & 4) << 1;
    this.x = (this.rex & 2) << 2;
    this.b = (this.rex & 1) << 3;
    this.opcode = byte;
    if (byte === 0x0f) this.#escape(cursor);
    else if ((byte & 0xfe) === 0xc4 && this.#isVex(cursor.peek(), mode)) this.#readVex(cursor, byte, long);
  }

  /** The prefix that may select a row: the last of F2 and F3, else 66. */
  get mandatory(): number {
    if (this.vex) return this.#vexPrefix;
    if (this.repeat === 0xf3) return Prefix.F3;
    if (this.repeat === 0xf2) return Prefix.F2;
    return this.operand66 ? Prefix.P66 : Prefix.NONE;
  }
  #vexPrefix: number = Prefix.NONE;

  #legacy(byte: number, long: boolean): void {
    if (byte === 0x66) this.operand66 = true;
    else if (byte === 0x67) this.address67 = true;
    else if (byte === 0xf0) this.lock = true;
    else if (byte >= 0xf2) this.repeat = byte;
    else if (!long || byte >= 0x64) this.segment = SEGMENT_PREFIXES[byte]!;
  }

  #escape(cursor: ByteCursor): void {
    this.map = 1;
    this.opcode = cursor.u8();
    if (this.opcode === 0x38 || this.opcode === 0x3a) {
      this.map = this.opcode === 0x38 ? 2 : 3;
      this.opcode = cursor.u8();
    }
  }

  /** Outside 64-bit mode C4 and C5 are LES and LDS unless ModRM.mod would be 3 (SDM vol. 2 2.3.5). */
  #isVex(next: number, mode: number): boolean {
    if ((mode & Mode.SIZE) === Mode.CODE_64) return true;
    return next >= 0xc0 && (mode & Mode.REAL_OR_V86) === 0;
  }

  #readVex(cursor: ByteCursor, first: number, long: boolean): void {
    this.vex = true;
    this.undefined = this.rex !== 0 || this.operand66 || this.repeat !== 0 || this.lock;
    const byte1 = cursor.u8();
    let last = byte1;
    this.r = byte1 & 0x80 ? 0 : 8;
    this.map = 1;
    if (first === 0xc4) {
      last = cursor.u8();
      this.x = byte1 & 0x40 ? 0 : 8;
      this.b = byte1 & 0x20 ? 0 : 8;
      this.map = byte1 & 0x1f;
      this.w = last >> 7;
      if (this.map === 0 || this.map > 3) {
        this.undefined = true;
        this.map = 1;
      }
    }
    this.vvvv = (~last >> 3) & 15;
    this.vexL = (last >> 2) & 1;
    this.#vexPrefix = VEX_PREFIX[last & 3]!;
    if (!long) {
      this.r = 0;
      this.x = 0;
      this.b = 0;
      this.w = 0;
      this.vvvv &= 7;
    }
    this.opcode = cursor.u8();
  }
}
