import { describe, expect, it } from "vitest";
import {
  callIndirect,
  choose,
  type Expr,
  type FunctionBuilder,
  f32,
  f64,
  I32,
  I64,
  i32,
  i64,
  lane,
  load,
  MEMORY_OPERATORS,
  ModuleBuilder,
  makeExpr,
  OPERATORS,
  op,
  select,
  type ValType,
  v128,
} from "../../src/wasm/index.ts";

type Values = (number | bigint)[];

/** Compiles one exported function `f` and returns it. */
function compile(
  params: ValType[],
  results: ValType[],
  build: (b: FunctionBuilder) => void,
  memory = new WebAssembly.Memory({ initial: 1 }),
): (...args: Values) => number | bigint | undefined {
  const m = new ModuleBuilder();
  m.importMemory("env", "memory", 1);
  m.function("f", params, results, build, { export: true });
  const module = new WebAssembly.Module(m.toBytes());
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  return instance.exports.f as (...args: Values) => number | bigint | undefined;
}

const EDGES_32 = [0, 1, -1, 2, 31, 32, 33, 0x7fffffff, -0x80000000, 0x12345678];
const EDGES_64 = [0n, 1n, -1n, 2n, 63n, 64n, 65n, (1n << 63n) - 1n, -(1n << 63n), 0x123456789abcdef0n];
const BINARY = ["add", "sub", "mul", "and", "or", "xor", "shl", "shrS", "shrU", "rotl", "rotr"] as const;
const DIVISION = ["divU", "divS", "remU", "remS"] as const;
const COMPARE = ["eq", "ne", "ltU", "ltS", "gtU", "gtS", "leU", "leS", "geU", "geS"] as const;

describe("operators", () => {
  it("every operator of the table validates with its signature, and no other signature does", () => {
    for (const operator of OPERATORS) {
      const lanes = Array.from({ length: operator.lanes }, (_, i) => (operator.lanes === 16 ? i : 0));
      const build = (result: ValType) => {
        const m = new ModuleBuilder();
        m.function(operator.name, operator.params, [result], (b) =>
          b.return(
            makeExpr(
              result,
              lane(operator.name, lanes, ...operator.params.map((t, i) => b.param(i, t))).node,
            ),
          ),
        );
        return WebAssembly.validate(m.toBytes());
      };
      expect(build(operator.result), operator.name).toBe(true);
      expect(build(operator.result === "i32" ? "i64" : "i32"), `${operator.name} with a wrong result`).toBe(
        false,
      );
    }
  });

  it("every load and store of the table moves the bytes its name says", () => {
    for (const access of MEMORY_OPERATORS) {
      const memory = new WebAssembly.Memory({ initial: 1 });
      const bytes = new Uint8Array(memory.buffer);
      bytes.set(Array.from({ length: 16 }, (_, i) => 0x80 + i * 3));
      const isStore = access.name.includes(".store");
      const f = compile(
        ["i32", "i32"],
        [],
        (b) => {
          const read = `${access.type}.load` as "i64.load";
          if (isStore) b.store(access.name, b.param(1, "i32"), load(read, b.param(0, "i32")), 0);
          else
            b.store(
              `${access.type}.store`,
              b.param(1, "i32"),
              load(access.name as "i64.load", b.param(0, "i32")),
            );
        },
        memory,
      );
      f(0, 64);
      const moved = Array.from(bytes.subarray(64, 64 + Math.min(access.width, 16)));
      if (isStore) expect(moved, access.name).toEqual(Array.from(bytes.subarray(0, access.width)));
      if (isStore) expect(bytes[64 + access.width], `${access.name} writes no more`).toBe(0);
      if (!isStore && !/load\d+x|splat/.test(access.name)) {
        expect(moved, access.name).toEqual(Array.from(bytes.subarray(0, access.width)));
      }
    }
  });

  it("constant folding gives what the emitted operator gives, for all edge values", () => {
    for (const name of [...BINARY, ...DIVISION, ...COMPARE]) {
      const dynamic32 = compile(["i32", "i32"], ["i32"], (b) =>
        b.return(b.param(0, "i32")[name](b.param(1, "i32"))),
      );
      const dynamic64 = compile(
        ["i64", "i64"],
        [(COMPARE as readonly string[]).includes(name) ? "i32" : "i64"],
        (b) => b.return(b.param(0, "i64")[name](b.param(1, "i64"))),
      );
      for (let x = 0; x < EDGES_32.length; x++) {
        for (let y = 0; y < EDGES_32.length; y++) {
          const folded32 = i32(EDGES_32[x]!)[name](EDGES_32[y]!);
          if (folded32.constant !== null) {
            expect(folded32.constant, `i32 ${EDGES_32[x]} ${name} ${EDGES_32[y]}`).toBe(
              dynamic32(EDGES_32[x]!, EDGES_32[y]!),
            );
          }
          const folded64 = i64(EDGES_64[x]!)[name](EDGES_64[y]!);
          if (folded64.constant !== null) {
            expect(folded64.constant, `i64 ${EDGES_64[x]} ${name} ${EDGES_64[y]}`).toBe(
              dynamic64(EDGES_64[x]!, EDGES_64[y]!),
            );
          }
        }
      }
    }
  });

  it("a division that traps is not folded away", () => {
    expect(i32(1).divU(0).constant).toBeNull();
    const f = compile([], ["i64"], (b) => b.return(i64(1).remU(0)));
    expect(() => f()).toThrow(WebAssembly.RuntimeError);
  });

  it("neutral elements vanish from the code", () => {
    const size = (build: (b: FunctionBuilder) => Expr) => {
      let bytes = 0;
      compile(["i64"], ["i64"], (b) => {
        b.return(build(b));
        bytes = b.size;
      });
      return bytes;
    };
    const plain = size((b) => b.param(0, "i64"));
    expect(size((b) => b.param(0, "i64").add(0).shl(0).and(-1n).or(0n).xor(0).mul(1))).toBe(plain);
    expect(size((b) => i64(0).add(b.param(0, "i64")))).toBe(plain);
    expect(size((b) => b.param(0, "i64").add(1))).toBeGreaterThan(plain);
  });

  it("conversions between i32 and i64 keep sign or zero bits", () => {
    for (const value of EDGES_32) {
      expect(compile(["i32"], ["i64"], (b) => b.return(b.param(0, "i32").toS64()))(value)).toBe(
        BigInt(value),
      );
      expect(i32(value).toS64().constant).toBe(BigInt(value));
      expect(i32(value).toU64().constant).toBe(BigInt(value >>> 0));
      for (const bits of [8, 16] as const) {
        const f = compile(["i32"], ["i32"], (b) => b.return(b.param(0, "i32").signExtend(bits)));
        expect(i32(value).signExtend(bits).constant).toBe(f(value));
      }
    }
    for (const value of EDGES_64) {
      expect(i64(value).wrap().constant).toBe(
        compile(["i64"], ["i32"], (b) => b.return(b.param(0, "i64").wrap()))(value),
      );
      for (const bits of [8, 16, 32] as const) {
        const f = compile(["i64"], ["i64"], (b) => b.return(b.param(0, "i64").signExtend(bits)));
        expect(i64(value).signExtend(bits).constant).toBe(f(value));
      }
    }
  });

  it("LEB128 constants of every length survive", () => {
    for (let bit = 0; bit < 64; bit++) {
      for (const value of [1n << BigInt(bit), (1n << BigInt(bit)) - 1n, -(1n << BigInt(bit))]) {
        const wide = BigInt.asIntN(64, value);
        expect(compile([], ["i64"], (b) => b.return(i64(wide)))()).toBe(wide);
        const narrow = Number(BigInt.asIntN(32, value));
        expect(compile([], ["i32"], (b) => b.return(i32(narrow)))()).toBe(narrow);
      }
    }
  });

  it("refuses operands of a wrong number or type", () => {
    expect(() => op("i64.add", i32(1), i32(2))).toThrow("i64.add takes (i64, i64)");
    expect(() => op("i8x16.add", v128(new Uint8Array(16)))).toThrow("i8x16.add takes");
    expect(() => lane("i8x16.shuffle", [1, 2], v128(new Uint8Array(16)), v128(new Uint8Array(16)))).toThrow(
      "16 lane",
    );
    expect(() => op("i64.nonsense", i64(1))).toThrow("no WebAssembly operator");
  });
});

describe("control flow", () => {
  it("if, loop and br_if compute a factorial", () => {
    const f = compile(["i64"], ["i64"], (b) => {
      const n = b.param(0, "i64");
      const product = b.let(b.param(0, "i64").or(0)) as I64;
      b.set(product, i64(1));
      b.loop((again) => {
        b.if(n.eqz(), () => b.return(product));
        b.set(product, product.mul(n));
        b.set(n, n.sub(1));
        b.br(again);
      });
    });
    expect(f(20n)).toBe(2432902008176640000n);
  });

  it("br_table takes each target by its index and the fallback beyond", () => {
    const f = compile(["i32"], ["i32"], (b) => {
      b.block((beyond) => {
        b.block((two) => {
          b.block((one) => {
            b.block((zero) => b.brTable(b.param(0, "i32"), [zero, one, two], beyond));
            b.return(i32(100));
          });
          b.return(i32(101));
        });
        b.return(i32(102));
      });
      b.return(i32(999));
    });
    expect([0, 1, 2, 3, -1].map((x) => f(x))).toEqual([100, 101, 102, 999, 999]);
  });

  it("a constant condition emits only the side taken", () => {
    const f = compile([], ["i32"], (b) => {
      b.if(i32(0), () => b.unreachable());
      b.if(
        i32(1),
        () => b.return(i32(7)),
        () => b.unreachable(),
      );
    });
    expect(f()).toBe(7);
  });

  it("select evaluates both sides, choose only one", () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    // Address -1 is out of bounds: evaluating it traps.
    const both = compile(
      ["i32"],
      ["i32"],
      (b) => b.return(select(b.param(0, "i32"), i32(1), load("i32.load", i32(-1)))),
      memory,
    );
    const one = compile(
      ["i32"],
      ["i32"],
      (b) => b.return(choose(b.param(0, "i32"), i32(1), load("i32.load", i32(-1)))),
      memory,
    );
    expect(() => both(1)).toThrow(WebAssembly.RuntimeError);
    expect(one(1)).toBe(1);
    expect(() => one(0)).toThrow(WebAssembly.RuntimeError);
  });

  it("a branch to a closed label is refused", () => {
    expect(() =>
      compile([], [], (b) => {
        let closed: { depth: number } | null = null;
        b.block((label) => {
          closed = label;
        });
        b.br(closed!);
      }),
    ).toThrow("not open");
  });
});

describe("locals", () => {
  it("let fixes a value before what it depends on changes", () => {
    const f = compile(["i32"], ["i32"], (b) => {
      const x = b.param(0, "i32");
      const before = b.let(x.add(1));
      const lazy = x.add(1);
      b.set(x, i32(100));
      b.return(before.mul(1000).add(lazy));
    });
    expect(f(1)).toBe(2 * 1000 + 101);
  });

  it("locals of closed scopes are used again", () => {
    let count = 0;
    compile([], ["i32"], (b) => {
      const seen = new Set<number>();
      for (let i = 0; i < 50; i++) {
        b.scope(() => {
          const local = b.local("i32");
          if (local.node.kind === "local") seen.add(local.node.index);
        });
      }
      count = seen.size;
      b.return(i32(0));
    });
    expect(count).toBe(1);
  });

  it("a let of a constant stays a constant", () => {
    compile([], [], (b) => {
      expect(b.let(i32(3))).toBeInstanceOf(I32);
      expect(b.let(i32(3)).constant).toBe(3);
      expect(b.let(i64(3))).toBeInstanceOf(I64);
    });
  });
});

describe("modules", () => {
  it("imports functions, calls them, and calls through an imported table", () => {
    const m = new ModuleBuilder();
    const table = m.importTable("env", "table", 1);
    const triple = m.importFunction("env", "triple", ["i32"], ["i32"]);
    const signature = m.type(["i32"], ["i32"]);
    m.function(
      "f",
      ["i32"],
      ["i32"],
      (b) => b.return(callIndirect(signature, table, i32(0), b.param(0, "i32")).add(1)),
      { export: true },
    );
    const wrapper = m.function("g", ["i32"], ["i32"], (b) =>
      b.return(makeExpr("i32", { kind: "call", target: triple, args: [b.param(0, "i32")] })),
    );
    m.export(wrapper);
    const wasmTable = new WebAssembly.Table({ element: "anyfunc", initial: 1 });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(m.toBytes()), {
      env: { table: wasmTable, triple: (x: number) => x * 3 },
    });
    wasmTable.set(0, instance.exports.g);
    expect((instance.exports.f as (x: number) => number)(5)).toBe(16);
  });

  it("functions may call those declared later", () => {
    const m = new ModuleBuilder();
    const odd = m.declare("odd", ["i32"], ["i32"]);
    const even = m.declare("even", ["i32"], ["i32"]);
    const other = (target: typeof odd, atZero: number) => (b: FunctionBuilder) => {
      const n = b.param(0, "i32");
      b.if(n.eqz(), () => b.return(i32(atZero)));
      b.return(makeExpr("i32", { kind: "call", target, args: [n.sub(1)] }));
    };
    m.define(odd, other(even, 0));
    m.define(even, other(odd, 1));
    m.export(even);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.toBytes()));
    expect([0, 1, 6, 7].map(exports.even as (n: number) => number)).toEqual([1, 0, 1, 0]);
  });

  it("float constants keep their bits", () => {
    expect(compile([], ["f64"], (b) => b.return(f64(Math.PI)))()).toBe(Math.PI);
    expect(compile([], ["f32"], (b) => b.return(f32(1.5)))()).toBe(1.5);
  });

  it("names reach the name section, so that profiles show them", () => {
    const m = new ModuleBuilder();
    m.function("handler ADD b8,a8", [], [], () => {});
    const section = WebAssembly.Module.customSections(new WebAssembly.Module(m.toBytes()), "name")[0]!;
    expect(new TextDecoder().decode(section)).toContain("handler ADD b8,a8");
  });

  it("a missing body, a double body and a late import are refused", () => {
    const m = new ModuleBuilder();
    const f = m.declare("f", [], []);
    expect(() => m.toBytes()).toThrow("f has no body");
    m.define(f, () => {});
    expect(() => m.define(f, () => {})).toThrow("defined twice");
    expect(() => m.importFunction("env", "late", [], [])).toThrow("after the first function");
  });
});
