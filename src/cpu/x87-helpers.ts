/** The x87 instruction set as helpers of emitted code: availability, operands, pending errors. */
import { Access, type Core } from "./core.ts";
import { Fault, Vector } from "./fault.ts";
import { GPR, MODE, Segment } from "./layout.ts";
import { Mode } from "./modes.ts";
import { Cr0, Flag } from "./registers.ts";
import type { CpuState } from "./state.ts";
import { CONTINUE, type Helper, type RecordView, type SystemHelpers } from "./system/helper.ts";
import { operandAddress } from "./system/operand.ts";
import { executeFwait, executeX87, type X87Bus, type X87Outcome, X87State } from "./x87/index.ts";

/** SDM vol. 3A table 6-7: by the operand's length, those of 14 to 108 bytes are FSTENV's and FSAVE's images. */
const ALIGNMENT: Readonly<Record<number, number>> = { 2: 2, 4: 4, 8: 8, 10: 8, 14: 2, 28: 4, 94: 2, 108: 4 };

function alignmentOf(length: number): number {
  return ALIGNMENT[length] ?? 1;
}

/** One instruction's view of the processor. */
class HelperBus implements X87Bus {
  readonly #core: Core;
  readonly #cpu: CpuState;
  readonly #record: RecordView;

  constructor(core: Core, cpu: CpuState, record: RecordView) {
    this.#core = core;
    this.#cpu = cpu;
    this.#record = record;
  }

  read(length: number): Uint8Array {
    const address = operandAddress(this.#cpu, this.#record, length, false);
    return this.#core.memory.readBytes(address, length, Access.READ, alignmentOf(length));
  }
  write(bytes: Uint8Array): void {
    const address = operandAddress(this.#cpu, this.#record, bytes.length, true);
    this.#core.memory.writeBytes(address, bytes, Access.WRITE, alignmentOf(bytes.length));
  }
  probe(length: number): void {
    const address = operandAddress(this.#cpu, this.#record, length, true);
    this.#core.memory.probeWrite(address, length, Access.WRITE, alignmentOf(length));
  }
  get flags(): number {
    return this.#cpu.statusFlags;
  }
  setFlags(zfPfCf: number): void {
    this.#cpu.statusFlags = zfPfCf & (Flag.ZF | Flag.PF | Flag.CF);
  }
  setAx(value: number): void {
    this.#cpu.view.setUint16(GPR, value, true);
  }
  get instructionPointer(): bigint {
    return this.#cpu.rip;
  }
  get codeSelector(): number {
    return this.#cpu.selector(Segment.CS);
  }
  get dataPointer(): bigint {
    return this.#record.effectiveOffset(this.#cpu);
  }
  get dataSelector(): number {
    return this.#cpu.selector(this.#record.segment);
  }
  get realMode(): boolean {
    return (this.#cpu.i32(MODE) & Mode.REAL_OR_V86) !== 0;
  }
  get operandSize32(): boolean {
    return this.#record.operandSize !== 2;
  }
}

function settle(core: Core, cpu: CpuState, outcome: X87Outcome): typeof CONTINUE {
  if (outcome === "undefined") throw new Fault(Vector.UD);
  if (outcome === "error") {
    // With CR0.NE = 0 a PC reports the error through FERR# and IRQ 13 (SDM vol. 1 8.7.2): not wired here.
    if (!(cpu.cr0 & Cr0.NE))
      core.log.unknown("x87: unmasked exception with CR0.NE = 0 raises #MF, not IRQ 13");
    throw new Fault(Vector.MF);
  }
  return CONTINUE;
}

/** SDM vol. 3A table 2-2: #NM when CR0.EM or CR0.TS is set. */
const x87: Helper = (core, cpu, record) => {
  if (cpu.cr0 & (Cr0.EM | Cr0.TS)) throw new Fault(Vector.NM);
  const { imm32 } = record;
  const outcome = executeX87(
    new X87State(cpu.view),
    imm32 & 0xff,
    (imm32 >> 8) & 0xff,
    new HelperBus(core, cpu, record),
  );
  return settle(core, cpu, outcome);
};

/** As above, but #NM only when CR0.MP and CR0.TS are both set. */
const fwait: Helper = (core, cpu) => {
  if ((cpu.cr0 & (Cr0.MP | Cr0.TS)) === (Cr0.MP | Cr0.TS)) throw new Fault(Vector.NM);
  return settle(core, cpu, executeFwait(new X87State(cpu.view)));
};

export const x87Helpers: SystemHelpers = { x87, fwait };
