/** CLC STC CMC CLD STD CLI STI CLAC STAC LAHF SAHF SALC, and hints that do nothing. */
import { i32, i64, load, select } from "../../wasm/index.ts";
import { Vector } from "../fault.ts";
import { CPL, FLAGS_SYSTEM, PENDING, SHADOW, SHADOW_RIP, Shadow } from "../layout.ts";
import { Flag, Gpr, STATUS_FLAGS } from "../registers.ts";
import { setContext } from "./ring-switch.ts";
import type { Definition, Definitions, Stage } from "./stage.ts";

function setSystem(s: Stage, set: number, clear: number): void {
  s.b.store("i32.store", s.cpu, s.systemFlags().and(~clear).or(set), FLAGS_SYSTEM);
}

/** CPL > IOPL is the helper's: #GP(0), or VIF in place of IF under CR4.VME or CR4.PVI (SDM vol. 2, CLI, STI). */
function checkIopl(s: Stage, helper: string): void {
  const iopl = s.systemFlags().and(Flag.IOPL).shrU(12);
  s.b.if(load("i32.load", s.cpu, CPL).gtU(iopl), () => s.exits.helper(helper));
}

const clearInterrupt: Definition = (s) => {
  checkIopl(s, "cli");
  setSystem(s, 0, Flag.IF);
};

/** Interrupts stay inhibited for one instruction more when IF was 0 (SDM vol. 2, STI). */
const setInterrupt: Definition = (s) => {
  const { b, cpu } = s;
  checkIopl(s, "sti");
  b.if(s.systemFlags().and(Flag.IF).eqz(), () => {
    setSystem(s, Flag.IF, 0);
    b.store("i64.store", cpu, s.nextRip(), SHADOW_RIP);
    b.store("i32.store", cpu, i32(Shadow.STI), SHADOW);
    b.if(load("i32.load", cpu, PENDING), () => s.exits.event());
  });
};

/** CLAC and STAC: #UD above CPL 0 (SDM vol. 2); the row asks for SMAP. */
function accessCheck(set: number, clear: number): Definition {
  return (s) => {
    s.faultIf(load("i32.load", s.cpu, CPL), Vector.UD);
    const system = s.b.let(s.systemFlags().and(~clear).or(set));
    s.b.store("i32.store", s.cpu, system, FLAGS_SYSTEM);
    setContext(s, system, i32(0));
  };
}

/** SF, ZF, AF, PF and CF; OF stays. */
const storeAh: Definition = (s) => {
  const low = STATUS_FLAGS & 0xff;
  const image = s.ah().read().wrap().and(low);
  s.flags.setImage(image.or(s.flags.of().shl(11)));
};

const nothing: Definition = () => {};

export const flagControl: Definitions = {
  CLC: (s) => s.flags.setCarry(i64(0)),
  STC: (s) => s.flags.setCarry(i64(1)),
  CMC: (s) => s.flags.setCarry(s.b.let(s.flags.cf().eqz().toU64())),
  CLD: (s) => setSystem(s, 0, Flag.DF),
  STD: (s) => setSystem(s, Flag.DF, 0),
  CLI: clearInterrupt,
  STI: setInterrupt,
  CLAC: accessCheck(0, Flag.AC),
  STAC: accessCheck(Flag.AC, 0),
  // Bit 1 is always set (SDM vol. 1 figure 3-8).
  LAHF: (s) => s.ah().write(s.flags.image().and(0xff).or(2).toU64()),
  SAHF: storeAh,
  SALC: (s) => s.gpr(Gpr.RAX, 1).write(select(s.flags.cf(), i64(0xff), i64(0))),
  NOP: nothing,
  LFENCE: nothing,
  MFENCE: nothing,
  SFENCE: nothing,
};
