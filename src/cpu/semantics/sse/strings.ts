/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM: the operands are read here, the comparison itself is done by the
 * helpers of `src/cpu/sse/string-compare.ts`.
 */
import { i32 } from "../../../wasm/index.ts";
import { HELPER_VALUE } from "../../layout.ts";
import type { Definition, Definitions } from "../stage.ts";
import { requireSse } from "./access.ts";
import { SOFT_FIRST, SOFT_SECOND } from "./lanes.ts";

/** HELPER_VALUE tells the explicit-length forms whether REX.W makes the lengths RAX and RDX. */
function stringCompare(mnemonic: string): Definition {
  return (s) => {
    requireSse(s);
    const second = s.operand(1).readV();
    s.b.store("v128.store", s.cpu, s.operand(0).readV(), SOFT_FIRST);
    s.b.store("v128.store", s.cpu, second, SOFT_SECOND);
    s.b.store("i32.store", s.cpu, i32(s.operandSize === 8 ? 8 : 4), HELPER_VALUE);
    s.exits.helper(mnemonic.toLowerCase());
  };
}

export const strings: Definitions = Object.fromEntries(
  ["PCMPESTRI", "PCMPESTRM", "PCMPISTRI", "PCMPISTRM"].map((name) => [name, stringCompare(name)]),
);
