/**
 * A machine of memory management alone: RAM, processors' blocks, a bus that records its accesses, and page
 * tables written the way an operating system writes them.
 */
import {
  CPL,
  CR0,
  CR3,
  CR4,
  cpuBlock,
  DR,
  EFER,
  FLAGS_SYSTEM,
  MODE,
  PKRU,
  RAM,
  TLB_ADDEND,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
  TLB_KEY,
  type TLB_READ,
  type TLB_WRITE,
} from "../../src/cpu/layout.ts";
import { Mode } from "../../src/cpu/modes.ts";
import type { PortSize, ProcessorPort } from "../../src/cpu/outside.ts";
import { Cr0, Cr4, Efer, Flag } from "../../src/cpu/registers.ts";
import { CpuState } from "../../src/cpu/state.ts";
import { Mmu } from "../../src/mmu/mmu.ts";
import { PhysicalMemory } from "../../src/mmu/physical-memory.ts";

export const RAM_SIZE = 0x80_0000;
export const MAXPHYADDR = 40;

export interface BusAccess {
  readonly write: boolean;
  readonly address: number;
  readonly size: PortSize;
  readonly value: number;
}

/** A bus whose bytes at `address` read as `address & FFH` each, and which writes nothing down but the access. */
export class RecordingBus {
  accesses: BusAccess[] = [];
  readonly port: ProcessorPort = {
    readMmio: (address: number, size: PortSize): number => {
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = value * 256 + ((address + i) & 0xff);
      this.accesses.push({ write: false, address, size, value });
      return value;
    },
    writeMmio: (address: number, size: PortSize, value: number): void => {
      this.accesses.push({ write: true, address, size, value });
    },
  } as ProcessorPort;
}

export type PagingKind = "32-bit" | "PAE" | "4-level" | "5-level";

export interface Machine {
  readonly physical: PhysicalMemory;
  readonly mmu: Mmu;
  readonly cpu: CpuState;
  readonly cpus: readonly CpuState[];
  readonly bus: RecordingBus;
  readonly view: DataView;
}

export interface MachineOptions {
  readonly processors?: number;
  readonly highSize?: number;
  readonly gigabytePages?: boolean;
  readonly physicalAddressBits?: number;
}

export function createMachine(options: MachineOptions = {}): Machine {
  const highSize = options.highSize ?? 0;
  const memory = new WebAssembly.Memory({ initial: PhysicalMemory.wasmPages(RAM_SIZE + highSize) });
  const physical = new PhysicalMemory(memory, { lowSize: RAM_SIZE, highSize });
  const cpus = Array.from({ length: options.processors ?? 1 }, (_, index) => new CpuState(memory, index));
  const bus = new RecordingBus();
  const mmu = new Mmu(physical, bus.port, cpus, {
    physicalAddressBits: options.physicalAddressBits ?? MAXPHYADDR,
    gigabytePages: options.gigabytePages ?? true,
  });
  return { physical, mmu, cpu: cpus[0]!, cpus, bus, view: new DataView(memory.buffer) };
}

/** Control state beyond the paging mode; everything absent is off. */
export interface Controls {
  readonly wp?: boolean;
  readonly smep?: boolean;
  readonly smap?: boolean;
  readonly nxe?: boolean;
  readonly pke?: boolean;
  readonly pge?: boolean;
  readonly pcide?: boolean;
  readonly ac?: boolean;
  readonly am?: boolean;
  readonly cpl?: number;
  readonly pkru?: number;
}

/** Sets the registers for a paging mode and tells the MMU. CR3 stays. */
export function setControls(machine: Machine, kind: PagingKind, controls: Controls = {}): void {
  const { cpu, mmu } = machine;
  const long = kind === "4-level" || kind === "5-level";
  cpu.setI32(CR0, Cr0.PE | Cr0.PG | (controls.wp ? Cr0.WP : 0) | (controls.am ? Cr0.AM : 0));
  cpu.setI32(
    CR4,
    (kind === "32-bit" ? Cr4.PSE : Cr4.PAE) |
      (kind === "5-level" ? Cr4.LA57 : 0) |
      (controls.smep ? Cr4.SMEP : 0) |
      (controls.smap ? Cr4.SMAP : 0) |
      (controls.pke ? Cr4.PKE : 0) |
      (controls.pge ? Cr4.PGE : 0) |
      (controls.pcide ? Cr4.PCIDE : 0),
  );
  cpu.setI32(EFER, (long ? Efer.LME | Efer.LMA : 0) | (controls.nxe ? Efer.NXE : 0));
  cpu.setI32(MODE, long ? Mode.CODE_64 : Mode.CODE_32 | Mode.STACK_32);
  cpu.setI32(CPL, controls.cpl ?? 0);
  cpu.setI32(FLAGS_SYSTEM, 2 | (controls.ac ? Flag.AC : 0));
  cpu.setI32(PKRU, controls.pkru ?? 0);
  mmu.contextChanged(cpu);
}

/** Loads CR3 as MOV to CR3 does; `keep` is bit 63 of the operand. */
export function setCr3(machine: Machine, value: number, keep = false): void {
  machine.cpu.setI32(CR3, value | 0);
  machine.cpu.setI32(CR3 + 4, Math.floor(value / 2 ** 32));
  machine.mmu.addressSpaceChanged(machine.cpu, keep);
}

export function setDebugRegister(machine: Machine, n: number, value: bigint): void {
  machine.cpu.setU64(DR + n * 8, value);
  machine.mmu.contextChanged(machine.cpu);
}

/** Bits of paging-structure entries by the manual's names. */
export const Entry = {
  P: 1n << 0n,
  RW: 1n << 1n,
  US: 1n << 2n,
  A: 1n << 5n,
  D: 1n << 6n,
  PS: 1n << 7n,
  G: 1n << 8n,
  XD: 1n << 63n,
} as const;

/** log2 of the memory that an entry covers, by paging mode, from the top: what selects it in an address. */
const LEVELS: Record<PagingKind, readonly number[]> = {
  "32-bit": [22, 12],
  PAE: [30, 21, 12],
  "4-level": [39, 30, 21, 12],
  "5-level": [48, 39, 30, 21, 12],
};

/** Page tables in guest RAM. */
export class PageTables {
  readonly root: number;
  readonly kind: PagingKind;
  readonly #machine: Machine;
  #next: number;

  /** Takes pages from `start` on; the first is the root. */
  constructor(machine: Machine, kind: PagingKind, start: number) {
    this.#machine = machine;
    this.kind = kind;
    this.root = start;
    this.#next = start + 0x1000;
  }

  get #entrySize(): number {
    return this.kind === "32-bit" ? 4 : 8;
  }

  readEntry(address: number): bigint {
    const { physical } = this.#machine;
    return this.#entrySize === 4 ? BigInt(physical.read32(address)) : physical.read64(address);
  }

  writeEntry(address: number, value: bigint): void {
    const { physical } = this.#machine;
    if (this.#entrySize === 4) physical.write32(address, Number(value));
    else physical.write64(address, value);
  }

  /** Physical addresses of the entries for `linear`, from the top to the one that maps 2^shift bytes. */
  path(linear: bigint, shift: number): number[] {
    const addresses: number[] = [];
    let table = this.root;
    for (const level of LEVELS[this.kind]) {
      const width = this.kind === "32-bit" ? 10 : this.kind === "PAE" && level === 30 ? 2 : 9;
      const index = Number((linear >> BigInt(level)) & ((1n << BigInt(width)) - 1n));
      const address = table + index * this.#entrySize;
      addresses.push(address);
      if (level === shift) return addresses;
      let entry = this.readEntry(address);
      if ((entry & Entry.P) === 0n) {
        const rights = this.kind === "PAE" && level === 30 ? 0n : Entry.RW | Entry.US;
        entry = BigInt(this.#next) | Entry.P | rights;
        this.#next += 0x1000;
        this.writeEntry(address, entry);
      }
      table = Number(entry & 0x000f_ffff_ffff_f000n);
    }
    throw new Error(`no level of ${this.kind} paging maps 2^${shift} bytes`);
  }

  /** Maps 2^shift bytes; `bits` are the entry's bits beside P, PS and the address. */
  map(linear: bigint, physical: number, bits: bigint, shift = 12): number[] {
    const path = this.path(linear, shift);
    let entry = bits | Entry.P | (shift > 12 ? Entry.PS : 0n);
    if (shift === 22) {
      // PSE-36: bits 39:32 of the address in bits 20:13.
      entry |= BigInt(physical >>> 0) | (BigInt(Math.floor(physical / 2 ** 32)) << 13n);
    } else entry |= BigInt(physical);
    this.writeEntry(path.at(-1)!, entry);
    return path;
  }

  load(): void {
    setCr3(this.#machine, this.root);
  }
}

/** What emitted code does first: the host address if the TLB hits, else null. */
export function fastPath(
  machine: Machine,
  array: typeof TLB_READ | typeof TLB_WRITE,
  linear: bigint,
  size: number,
  cpu = machine.cpu,
): number | null {
  const block = cpuBlock(cpu.index);
  const at = block + array + (Number(linear >> 12n) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE;
  const last = BigInt.asIntN(64, linear + BigInt(size - 1));
  const wanted = (last & ~0xfffn) | machine.view.getBigInt64(block + TLB_KEY, true);
  if (machine.view.getBigInt64(at, true) !== wanted) return null;
  return (Number(BigInt.asIntN(32, linear)) + machine.view.getInt32(at + TLB_ADDEND, true)) >>> 0;
}

export function halves(linear: bigint): [lo: number, hi: number] {
  return [Number(BigInt.asIntN(32, linear)), Number(BigInt.asIntN(32, linear >> 32n))];
}

/** Host address of a physical address in low RAM. */
export function host(physical: number): number {
  return RAM + physical;
}
