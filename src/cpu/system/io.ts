/** IN, OUT, INS, OUTS (SDM vol. 2; privileges: vol. 1 19.5). */
import { Access, type Core } from "../core.ts";
import { RecordFlag } from "../decode/record.ts";
import { Fault, Vector } from "../fault.ts";
import * as L from "../layout.ts";
import { Segment } from "../layout.ts";
import type { PortSize } from "../outside.ts";
import { Flag, Gpr } from "../registers.ts";
import type { CpuState } from "../state.ts";
import { DR7_ENABLES, noteIoBreakpoints } from "./debug-registers.ts";
import {
  CONTINUE,
  type Helper,
  type HelperResult,
  JUMP,
  type RecordView,
  type SystemHelpers,
  writeReg,
} from "./helper.ts";
import { iopl, isProtected, isVirtual8086 } from "./modes.ts";
import { checkedAddress } from "./operand.ts";
import { ioPermitted } from "./task-state.ts";

/** Elements of a repeated INS or OUTS done in one call: the run loop gets a look in between chunks. */
const CHUNK = 256;

/** There is no 64-bit port access: REX.W means 32 bits. */
function portSize(record: RecordView): PortSize {
  return record.operandSize === 8 ? 4 : record.operandSize;
}

/** #GP(0) if CPL > IOPL (or in virtual-8086 mode) and a bit of the permission bitmap is set. */
function checkPermission(core: Core, cpu: CpuState, port: number, size: number): void {
  if (!isProtected(cpu)) return;
  if (cpu.cpl <= iopl(cpu) && !isVirtual8086(cpu)) return;
  if (!ioPermitted(core, cpu, port, size)) throw new Fault(Vector.GP, 0);
}

function input(port: (cpu: CpuState, record: RecordView) => number): Helper {
  return (core, cpu, record) => {
    const size = portSize(record);
    const number = port(cpu, record);
    checkPermission(core, cpu, number, size);
    writeReg(cpu, L.GPR + Gpr.RAX * 8, size, core.port.readPort(number, size));
    noteIoBreakpoints(cpu, number, size);
    return CONTINUE;
  };
}

function output(port: (cpu: CpuState, record: RecordView) => number): Helper {
  return (core, cpu, record) => {
    const size = portSize(record);
    const number = port(cpu, record);
    checkPermission(core, cpu, number, size);
    const mask = size === 4 ? 0xffff_ffff : (1 << (size * 8)) - 1;
    core.port.writePort(number, size, (cpu.gpr32(Gpr.RAX) & mask) >>> 0);
    noteIoBreakpoints(cpu, number, size);
    return CONTINUE;
  };
}

const immediatePort = (_cpu: CpuState, record: RecordView) => record.imm32 & 0xff;
const portInDx = (cpu: CpuState) => cpu.gpr16(Gpr.RDX);

/** A register as wide as addresses are: SI, ESI or RSI. */
function addressRegister(cpu: CpuState, register: number, size: 2 | 4 | 8): bigint {
  return BigInt.asUintN(size * 8, cpu.gpr(register));
}
function setAddressRegister(cpu: CpuState, register: number, size: 2 | 4 | 8, value: bigint): void {
  if (size === 8) cpu.setGpr(register, BigInt.asUintN(64, value));
  else if (size === 4) cpu.setGpr32(register, Number(BigInt.asUintN(32, value)));
  else cpu.setGpr16(register, Number(BigInt.asUintN(16, value)));
}

/**
 * Runs `element` once, or with REP up to rCX times. After each element the registers are up to date, so a
 * fault in the middle restarts with what is left.
 */
function strings(
  pointer: number,
  element: (core: Core, cpu: CpuState, record: RecordView, port: number, size: PortSize) => void,
): Helper {
  return (core, cpu, record): HelperResult => {
    const size = portSize(record);
    const port = portInDx(cpu);
    checkPermission(core, cpu, port, size);
    const width = record.addressSize;
    const repeated = (record.flags & (RecordFlag.REP | RecordFlag.REPNE)) !== 0;
    // A debug trap comes after each iteration (SDM vol. 3B 18.2.4, 18.3.1.4).
    const traps = cpu.i32(L.FLAGS_SYSTEM) & Flag.TF || cpu.i32(L.DR + 7 * 8) & DR7_ENABLES;
    const chunk = traps ? 1 : CHUNK;
    const step = BigInt(cpu.i32(L.FLAGS_SYSTEM) & Flag.DF ? -size : size);
    for (let done = 0; ; done++) {
      const left = repeated ? addressRegister(cpu, Gpr.RCX, width) : 1n;
      if (left === 0n) return CONTINUE;
      // RIP still names this instruction: it goes on where it stopped.
      if (done === chunk) return JUMP;
      element(core, cpu, record, port, size);
      noteIoBreakpoints(cpu, port, size);
      setAddressRegister(cpu, pointer, width, addressRegister(cpu, pointer, width) + step);
      if (!repeated) return CONTINUE;
      setAddressRegister(cpu, Gpr.RCX, width, left - 1n);
    }
  };
}

/** To ES:rDI, which no prefix overrides. The destination is checked before the port is read. */
const ins = strings(Gpr.RDI, (core, cpu, record, port, size) => {
  const offset = addressRegister(cpu, Gpr.RDI, record.addressSize);
  const address = checkedAddress(cpu, Segment.ES, offset, size, true);
  core.memory.probeWrite(address, size, Access.WRITE);
  core.memory.write(address, size, core.port.readPort(port, size));
});

/** From DS:rSI or the segment of a prefix. */
const outs = strings(Gpr.RSI, (core, cpu, record, port, size) => {
  const offset = addressRegister(cpu, Gpr.RSI, record.addressSize);
  const address = checkedAddress(cpu, record.segment, offset, size, false);
  core.port.writePort(port, size, core.memory.read(address, size));
});

export const ioInstructions: SystemHelpers = {
  in_imm: input(immediatePort),
  in_dx: input(portInDx),
  out_imm: output(immediatePort),
  out_dx: output(portInDx),
  ins,
  outs,
};
