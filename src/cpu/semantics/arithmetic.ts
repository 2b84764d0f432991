/** Integer addition and subtraction: ADD ADC SUB SBB CMP INC DEC NEG, ADCX ADOX. */
import { i64 } from "../../wasm/index.ts";
import { readAs, truncate } from "./operand-reads.ts";
import type { Definition, Definitions } from "./stage.ts";

function add(withCarry: boolean): Definition {
  return (s) => {
    const destination = s.operand(0);
    const width = destination.scalar;
    const b = readAs(s.operand(1), width);
    destination.update((a) => {
      const sum = a.add(b);
      const result = s.b.let(withCarry ? sum.add(s.flags.cf().toU64()) : sum);
      s.flags.add(width, a, b, result);
      return result;
    });
  };
}

function subtract(withBorrow: boolean): Definition {
  return (s) => {
    const destination = s.operand(0);
    const width = destination.scalar;
    const b = readAs(s.operand(1), width);
    destination.update((a) => {
      const difference = a.sub(b);
      const result = s.b.let(withBorrow ? difference.sub(s.flags.cf().toU64()) : difference);
      s.flags.sub(width, a, b, result);
      return result;
    });
  };
}

const compare: Definition = (s) => {
  const first = s.operand(0);
  const a = first.read();
  const b = readAs(s.operand(1), first.width);
  s.flags.sub(first.scalar, a, b, s.b.let(a.sub(b)));
};

function step(sign: 1 | -1): Definition {
  return (s) => {
    const destination = s.operand(0);
    destination.update((a) => {
      const result = s.b.let(a.add(sign));
      s.flags.increment(destination.scalar, a, result, sign);
      return result;
    });
  };
}

const negate: Definition = (s) => {
  const destination = s.operand(0);
  destination.update((a) => {
    const result = s.b.let(a.neg());
    s.flags.sub(destination.scalar, i64(0), a, result);
    return result;
  });
};

/** ADCX and ADOX: an addition through CF alone or OF alone; the other flags stay (SDM vol. 2, ADCX). */
function addThrough(flag: "cf" | "of"): Definition {
  return (s) => {
    const { b, flags } = s;
    const destination = s.operand(0);
    const width = destination.scalar;
    const source = s.operand(1).read();
    const old = destination.read();
    const sum = b.let(truncate(old.add(source).add(flags[flag]().toU64()), width));
    const carry = old.and(source).or(old.or(source).and(sum.not()));
    const out = b.let(carry.shrU(width * 8 - 1).and(1));
    if (flag === "cf") flags.setCarry(out);
    else flags.setCarryOverflow(b.let(flags.cf().toU64()), out);
    destination.write(sum);
  };
}

export const arithmetic: Definitions = {
  ADD: add(false),
  ADC: add(true),
  SUB: subtract(false),
  SBB: subtract(true),
  CMP: compare,
  INC: step(1),
  DEC: step(-1),
  NEG: negate,
  ADCX: addThrough("cf"),
  ADOX: addThrough("of"),
};
