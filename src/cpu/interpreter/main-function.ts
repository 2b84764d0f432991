/**
 * The interpreter: one loop around one `br_table` over pre-decoded records, with the hot instruction forms
 * as its arms. Everything else is reached through the table of handler functions.
 *
 *     run(cpu, record) -> Exit
 *
 * Instructions are counted where control leaves a block: each record knows how many instructions of its
 * block it completes, so straight-line code pays nothing.
 */
import {
  call,
  callIndirect,
  choose,
  type FunctionBuilder,
  type I32,
  i32,
  type i64,
  type Label,
  load,
  ModuleBuilder,
  op,
} from "../../wasm/index.ts";
import { emitBranchEntry } from "../branch-ring.ts";
import { type CostModel, RECORD_FIGURES, RECORD_UNITS } from "../cost.ts";
import {
  R_COUNT,
  R_DISP,
  R_FLAGS,
  R_HANDLER,
  R_IMM,
  R_LENGTH,
  R_LINK_NEXT,
  R_LINK_TAKEN,
  R_NEXT,
  RECORD_SIZE,
  RecordFlag,
} from "../decode/record.ts";
import {
  BUDGET,
  CHAIN_LINK,
  CODE_BASE,
  COST_FIGURES,
  CURRENT_RECORD,
  Exit,
  FAULT_ERROR,
  FAULT_VECTOR,
  JUMP_CACHE,
  JUMP_KEY,
  RIP,
  RIP_PAGE,
  SLICE_INSTRUCTIONS,
} from "../layout.ts";
import { importMemoryFunctions } from "../semantics/memory-path.ts";
import type { Definitions, Exits, Form } from "../semantics/stage.ts";
import { emitForm } from "./emit.ts";
import { dynamicFields } from "./fields.ts";
import { BUILTINS, Builtin, HandlerOutcome } from "./outcome.ts";

/** Link value of a direct branch whose target lies in another page. */
export const LINK_OTHER_PAGE = 1;

/**
 * Offset of a RIP's entry in the jump cache, from the low half of RIP. `jumpIndex` (src/mmu/jump-cache.ts)
 * is its twin and says why.
 */
export function jumpCacheOffset(b: FunctionBuilder, low: I32): I32 {
  const mixed = b.let(low.xor(low.shrU(6)));
  return mixed.shrU(2).and(0xfc00).or(mixed.and(0x3f).shl(4));
}

export interface MainFunction {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Size of the loop's code in bytes. */
  readonly size: number;
}

/**
 * @param hot the forms that become arms, numbered from BUILTINS in this order
 * @param helperIndex numbers helper names for the `helper` import
 * @param costs the timing model: BUDGET is spent in its units. Nothing is emitted for it without one.
 */
export function buildMainFunction(
  hot: readonly Form[],
  definitions: Definitions,
  helperIndex: (name: string) => number,
  costs: CostModel | null = null,
): MainFunction {
  const m = new ModuleBuilder();
  m.importMemory("env", "memory", 1);
  const table = m.importTable("env", "handlers", 0);
  const imports = importMemoryFunctions(m);
  const helper = m.importFunction("env", "helper", ["i32", "i32"], ["i32"]);
  const handlerType = m.type(["i32", "i32"], ["i32"]);
  const run = m.declare("run", ["i32", "i32"], ["i32"]);
  const size = m.define(run, (b) => {
    const cpu = b.param(0, "i32");
    const record = b.param(1, "i32");
    const target = b.local("i64");
    const link = b.local("i32");
    const budget = b.local("i32");
    const outcome = b.local("i32");
    const again: { label: Label | null } = { label: null };

    const spend = () => {
      const count = load("i32.load8_u", record, R_COUNT);
      const cost = costs === null ? count : load("i32.load", record, RECORD_UNITS);
      b.set(budget, load("i32.load", cpu, BUDGET).sub(cost));
      b.store("i32.store", cpu, budget, BUDGET);
      if (costs !== null) {
        b.store("i32.store", cpu, load("i32.load", cpu, SLICE_INSTRUCTIONS).add(count), SLICE_INSTRUCTIONS);
        const used = op(
          "v128.or",
          load("v128.load", cpu, COST_FIGURES),
          load("v128.load", record, RECORD_FIGURES),
        );
        b.store("v128.store", cpu, used, COST_FIGURES);
      }
      emitBranchEntry(b, cpu, record);
    };
    const leave = (exit: number) => {
      b.store("i32.store", cpu, record, CURRENT_RECORD);
      b.return(i32(exit));
    };
    const nextRip = () => load("i64.load", cpu, RIP_PAGE).add(load("i64.load16_u", record, R_NEXT));

    b.loop((top) => {
      again.label = top;
      b.block((fault) => {
        b.block((event) => {
          b.block((jump) => {
            b.block((follow) => {
              const exits: Exits = {
                fault: () => b.br(fault),
                jump: (rip) => {
                  b.set(target, rip);
                  b.br(jump);
                },
                branch: (taken) => {
                  b.set(link, choose(taken, i32(R_LINK_TAKEN), i32(R_LINK_NEXT)));
                  b.br(follow);
                },
                event: () => {
                  b.set(target, nextRip());
                  b.br(event);
                },
                helper: (name) => {
                  b.set(outcome, call(helper, i32(helperIndex(name)), record));
                  settle();
                },
              };
              const advance = () => {
                b.set(record, record.add(RECORD_SIZE));
                b.br(top);
              };
              /** Acts on `outcome`. */
              const settle = () => {
                b.if(outcome.eqz(), advance);
                b.brIf(fault, outcome.eq(HandlerOutcome.FAULT));
                b.if(outcome.geU(HandlerOutcome.TAKEN), () => {
                  b.set(link, choose(outcome.eq(HandlerOutcome.TAKEN), i32(R_LINK_TAKEN), i32(R_LINK_NEXT)));
                  b.br(follow);
                });
                b.set(target, load("i64.load", cpu, RIP));
                b.brIf(jump, outcome.eq(HandlerOutcome.JUMP));
                b.br(event);
              };
              const builtins: Record<number, () => void> = {
                [Builtin.GOTO]: () => {
                  b.set(link, i32(R_LINK_NEXT));
                  b.br(follow);
                },
                [Builtin.PAGE_END]: () => exits.jump(nextRip()),
                [Builtin.RAISE]: () => {
                  b.store("i32.store", cpu, load("i32.load", record, R_IMM), FAULT_VECTOR);
                  b.store("i32.store", cpu, i32(0), FAULT_ERROR);
                  b.br(fault);
                },
                // Not through the jump cache: it may still hold this very record.
                [Builtin.STALE]: () => {
                  spend();
                  b.store("i64.store", cpu, nextRip().sub(load("i64.load8_u", record, R_LENGTH)), RIP);
                  leave(Exit.LOOKUP);
                },
                // Nothing is spent: the block goes on behind this record.
                [Builtin.WATCH]: () => leave(Exit.WATCH),
              };
              const arms: (() => void)[] = [];
              for (let i = 0; i < BUILTINS; i++) arms.push(builtins[i]!);
              for (const form of hot) {
                arms.push(() => {
                  emitForm(form, definitions, {
                    b,
                    cpu,
                    record,
                    fields: dynamicFields(record),
                    exits,
                    imports,
                    costs,
                  });
                  advance();
                });
              }
              emitTable(b, load("i32.load16_u", record, R_HANDLER), arms);
              // Handlers beyond the arms.
              b.set(
                outcome,
                callIndirect(handlerType, table, load("i32.load16_u", record, R_HANDLER), cpu, record),
              );
              settle();
            });
            // follow: a direct branch through the link at `record + link`.
            spend();
            b.set(outcome, load("i32.load", record.add(link)));
            b.if(outcome.gtU(LINK_OTHER_PAGE).and(budget.geS(0)), () => {
              b.set(record, outcome);
              b.br(top);
            });
            b.set(target, nextRip());
            b.if(link.eq(R_LINK_TAKEN), () => {
              b.set(target, target.add(load("i64.load32_s", record, R_DISP)));
              // 16- and 32-bit branches wrap; the decoder marks them with the address-size flags.
              const wraps = b.let(load("i32.load8_u", record, R_FLAGS));
              b.if(wraps.and(RecordFlag.ADDRESS_32), () => b.set(target, target.and(0xffff_ffffn)));
              b.if(wraps.and(RecordFlag.ADDRESS_16), () => b.set(target, target.and(0xffffn)));
            });
            const probe = outcome.eq(LINK_OTHER_PAGE).and(budget.geS(0));
            b.if(probe.eqz(), () => {
              b.store("i64.store", cpu, target, RIP);
              b.store("i32.store", cpu, record.add(link), CHAIN_LINK);
              b.store("i32.store", cpu, record, CURRENT_RECORD);
              b.return(choose(budget.ltS(0), i32(Exit.BUDGET), i32(Exit.CHAIN)));
            });
            emitProbe(b, cpu, record, target, top);
            leave(Exit.LOOKUP);
          });
          // jump: to `target`, through the jump cache.
          spend();
          b.if(budget.geS(0), () => emitProbe(b, cpu, record, target, top));
          b.store("i64.store", cpu, target, RIP);
          b.store("i32.store", cpu, record, CURRENT_RECORD);
          b.return(choose(budget.ltS(0), i32(Exit.BUDGET), i32(Exit.LOOKUP)));
        });
        // event: RIP becomes `target`.
        spend();
        b.store("i64.store", cpu, target, RIP);
        leave(Exit.EVENT);
      });
      leave(Exit.FAULT);
    });
  });
  m.export(run);
  return { bytes: m.toBytes(), size };
}

/** `br_table` over the arms; an index beyond them falls out behind. */
function emitTable(b: FunctionBuilder, index: I32, arms: readonly (() => void)[]): void {
  const labels: Label[] = [];
  const nest = (i: number): void => {
    if (i < 0) {
      b.brTable(index, labels.slice(1).reverse(), labels[0]!);
      return;
    }
    b.block((label) => {
      labels.push(label);
      nest(i - 1);
    });
    b.scope(arms[i]!);
  };
  b.block((beyond) => {
    labels.push(beyond);
    nest(arms.length - 1);
  });
}

/** Goes on at `target` if the jump cache knows it; else stores RIP and falls through. */
function emitProbe(
  b: FunctionBuilder,
  cpu: I32,
  record: I32,
  target: ReturnType<typeof i64>,
  top: Label,
): void {
  b.scope(() => {
    const entry = b.let(cpu.add(jumpCacheOffset(b, b.let(target.wrap()))));
    const hit = load("i64.load", entry, JUMP_CACHE)
      .eq(target)
      .and(load("i32.load", entry, JUMP_CACHE + 8).eq(load("i32.load", cpu, JUMP_KEY)));
    b.if(hit, () => {
      const inPage = target.add(load("i64.load", cpu, CODE_BASE)).and(0xfff);
      b.store("i64.store", cpu, target.sub(inPage), RIP_PAGE);
      b.set(record, load("i32.load", entry, JUMP_CACHE + 12));
      b.br(top);
    });
    b.store("i64.store", cpu, target, RIP);
  });
}
