/**
 * What was compared with a real processor, held fast: digests of the library's answers to seeded cases. The
 * other tests prove these answers where the processor is at hand; this one runs everywhere.
 */

import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { sseEnvironment } from "../../../src/cpu/softfloat/index.ts";
import { families, makeCases } from "./families.ts";
import { Random } from "./values.ts";

it("the answers to 1000 seeded cases of each SSE operation have not changed", () => {
  const digests: Record<string, string> = {};
  for (const family of families()) {
    const hash = createHash("sha256");
    for (const c of makeCases(family, 1000, new Random(1))) {
      const env = sseEnvironment(c.mxcsr);
      const value = family.run(c.xmm0, family.integerSource ? (c.rax ?? 0n) : c.xmm1, env);
      hash.update(`${(env.flags & ~env.masks) === 0 ? value : "fault"} ${env.flags}\n`);
    }
    digests[family.name] = hash.digest("hex").slice(0, 16);
  }
  expect(digests).toMatchSnapshot();
});
