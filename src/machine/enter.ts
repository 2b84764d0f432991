/** Puts a processor into the state that a boot protocol asks for. */
import type { EntryState, SegmentState } from "../boot/index.ts";
import type { Core } from "../cpu/core.ts";
import * as L from "../cpu/layout.ts";
import { Segment } from "../cpu/layout.ts";
import { Gpr } from "../cpu/registers.ts";
import type { CpuState, SegmentRegister } from "../cpu/state.ts";
import { resetCpu, setFirmwareMtrrs } from "../cpu/system/index.ts";
import { RAM_LIMIT } from "./address-map.ts";

const loaded = ({ selector, attributes, base, limit }: SegmentState): SegmentRegister => ({
  selector,
  attributes,
  base: BigInt(base),
  limit,
  isNull: false,
});

/** What firmware leaves in every processor. */
export function leaveAsFirmware(core: Core, cpu: CpuState): void {
  setFirmwareMtrrs(core, cpu, RAM_LIMIT);
}

export function enterImage(core: Core, cpu: CpuState, entry: EntryState): void {
  resetCpu(core, cpu, "power-up");
  leaveAsFirmware(core, cpu);
  // The whole of RAX to RDI: what the protocol does not name is zero.
  for (let register = 0; register < 8; register++) cpu.setGpr(register, 0n);
  for (const [name, value] of Object.entries(entry.registers)) {
    cpu.setGpr(Gpr[name.toUpperCase() as keyof typeof Gpr], BigInt(value));
  }
  cpu.rip = BigInt(entry.rip);
  cpu.rflags = entry.rflags;
  cpu.setI32(L.CR0, entry.cr0 | 0);
  cpu.setU64(L.CR3, BigInt(entry.cr3));
  cpu.setI32(L.CR4, entry.cr4);
  cpu.setI32(L.EFER, entry.efer);
  cpu.setSegment(Segment.CS, loaded(entry.cs));
  for (const segment of [Segment.ES, Segment.SS, Segment.DS, Segment.FS, Segment.GS]) {
    cpu.setSegment(segment, loaded(entry.data));
  }
  cpu.setSegment(Segment.TR, loaded(entry.tr));
  cpu.setU64(L.GDTR_BASE, BigInt(entry.gdt.base));
  cpu.setI32(L.GDTR_LIMIT, entry.gdt.limit);
  cpu.setU64(L.IDTR_BASE, BigInt(entry.idt.base));
  cpu.setI32(L.IDTR_LIMIT, entry.idt.limit);
  core.modeChanged(cpu);
  core.translation.flushAll(cpu);
}
