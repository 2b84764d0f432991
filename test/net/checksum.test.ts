import { expect, test } from "vitest";
import { checksumOf, fold, pseudoHeader, sumIsRight, sumWords } from "../../src/net/checksum.ts";
import { Random } from "../random.ts";

test("the example of RFC 1071, 3", () => {
  const bytes = new Uint8Array([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
  expect(sumWords(bytes, 0, 8)).toBe(0x2ddf0);
  expect(fold(0x2ddf0)).toBe(0xddf2);
  expect(checksumOf(0x2ddf0)).toBe(0x220d);
  expect(sumIsRight(sumWords(bytes, 0, 8) + 0x220d)).toBe(true);
});

test("every alignment, length and byte: as by hand", () => {
  const dice = new Random(1);
  const memory = Uint8Array.from({ length: 400 }, () => (dice.chance(3) ? 255 : dice.u32()));
  for (let offset = 0; offset < 8; offset++) {
    const bytes = memory.subarray(offset);
    for (let start = 0; start < 8; start++) {
      for (let length = 0; length < 200; length++) {
        let sum = 77;
        for (let i = 0; i < length; i++) sum += bytes[start + i]! << (i % 2 === 0 ? 8 : 0);
        expect(fold(sumWords(bytes, start, start + length, 77))).toBe(fold(sum));
      }
    }
  }
  expect(checksumOf(sumWords(new Uint8Array(65_535).fill(255), 0, 65_535))).toBe(0x00ff);
});

test("the pseudo header", () => {
  expect(pseudoHeader(0xc0a8_0001, 0xffff_fffe, 17, 20)).toBe(0xc0a8 + 1 + 0xffff + 0xfffe + 37);
});
