import { expect, test } from "vitest";
import { SendBuffer } from "../../../src/net/tcp/send-buffer.ts";
import { Random } from "../../random.ts";

test("appended, copied from anywhere, released: as one long array", () => {
  const dice = new Random(8);
  for (let round = 0; round < 5; round++) {
    const buffer = new SendBuffer();
    let model = Buffer.alloc(0);
    for (let step = 0; step < 150; step++) {
      const size = dice.pick([0, 1, 3, 100, 4095, 4096, 4097, 20_000]);
      const bytes = Buffer.from(Uint8Array.from({ length: size }, () => dice.u32()));
      // Short ones are copied: whoever wrote them may use the memory again.
      buffer.append(bytes);
      model = Buffer.concat([model, bytes]);
      if (size < 4096) bytes.fill(0);
      for (let i = 0; i < 3; i++) {
        const offset = dice.below(model.length + 1);
        const length = dice.below(Math.min(3000, model.length - offset) + 1);
        const target = new Uint8Array(length + 2);
        buffer.copy(offset, length, target, 1);
        expect(Buffer.compare(target.subarray(1, length + 1), model.subarray(offset, offset + length))).toBe(
          0,
        );
        expect([target[0], target[length + 1]]).toEqual([0, 0]);
      }
      const count = dice.chance(5) ? model.length : dice.below(Math.min(5000, model.length) + 1);
      buffer.release(count);
      model = model.subarray(count);
      expect(buffer.length).toBe(model.length);
    }
  }
});
