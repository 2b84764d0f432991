/**
 * Runs 64-bit conformance cases on single handler functions: decoder, emitted handler, soft-path helpers, and
 * nothing of MMU or run loop. No translation is ever in the TLB, so that every access takes the slow path,
 * which here is a look at the environment's windows.
 */

import type { Core } from "../../../../src/cpu/core.ts";
import { Outcome as Decoded, Decoder } from "../../../../src/cpu/decode/decoder.ts";
import { RecordFlag } from "../../../../src/cpu/decode/record.ts";
import { parseRow } from "../../../../src/cpu/decode/rows.ts";
import { rows } from "../../../../src/cpu/decode/tables/sse-all.ts";
import { Fault, PageFault, Vector } from "../../../../src/cpu/fault.ts";
import { constantFields } from "../../../../src/cpu/interpreter/fields.ts";
import { buildHandlerModule, HelperNames } from "../../../../src/cpu/interpreter/handlers.ts";
import { HandlerOutcome } from "../../../../src/cpu/interpreter/outcome.ts";
import * as L from "../../../../src/cpu/layout.ts";
import { Mode } from "../../../../src/cpu/modes.ts";
import { Cr0, Cr4, Flag, Gpr, STATUS_FLAGS } from "../../../../src/cpu/registers.ts";
import { SLOW_MODIFY, SLOW_STACK } from "../../../../src/cpu/semantics/memory-path.ts";
import { sseDefinitions } from "../../../../src/cpu/semantics/sse/index.ts";
import type { Form } from "../../../../src/cpu/semantics/stage.ts";
import { sseHelpers } from "../../../../src/cpu/sse/index.ts";
import { CpuState } from "../../../../src/cpu/state.ts";
import { RecordView } from "../../../../src/cpu/system/helper.ts";
import {
  COMPLETED,
  type ConformanceCase,
  initialRflags,
  type Outcome,
  type Patch,
} from "../../../conformance/case.ts";
import {
  defaultFxImage,
  type MemoryWindow,
  PAGE,
  WINDOWS,
  windowContent,
} from "../../../conformance/environment.ts";
import { loadFxImage, readFxImage } from "../../../conformance/fx-state.ts";

export const ROWS = rows.map(parseRow);

const FEATURES = new Set(ROWS.map((row) => row.feature));
const CODE_BITS = 47n;

type Handler = (cpu: number, record: number) => number;

interface Window {
  readonly window: MemoryWindow;
  readonly content: Uint8Array;
  readonly original: Uint8Array;
}

/** What a case set up and its instruction left, with the parts of the processor that a test may look at. */
export class HandlerExecutor {
  readonly name: string;
  readonly cpu: CpuState;
  readonly #memory: WebAssembly.Memory;
  readonly #decoder: Decoder;
  readonly #specialised: boolean;
  readonly #helpers = new HelperNames();
  readonly #handlers: Handler[] = [];
  readonly #forms: Form[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #record: RecordView;
  readonly #view: DataView;
  readonly #windows: Window[];
  readonly #imports: WebAssembly.Imports;
  /** SCRATCH holds a store for this address. */
  #pending: { address: bigint; size: number } | null = null;
  #cr2 = 0n;
  /** Names of the helpers called, in order. */
  readonly called: string[] = [];

  constructor(stage: "interpreter" | "specialised") {
    this.name = stage;
    this.#specialised = stage === "specialised";
    this.#memory = new WebAssembly.Memory({ initial: (L.RECORDS >> 16) + 1 });
    this.cpu = new CpuState(this.#memory, 0);
    this.#view = new DataView(this.#memory.buffer);
    this.#record = new RecordView(this.#memory);
    this.#decoder = new Decoder(ROWS, FEATURES, { handler: (form) => this.#handler(form) });
    this.#windows = WINDOWS.map((window) => {
      const original = windowContent(window);
      return { window, original, content: original.slice() };
    });
    this.#imports = {
      env: {
        memory: this.#memory,
        helper: (index: number, record: number) => this.#callHelper(index, record),
      },
      mmu: {
        slowRead: (_record: number, low: number, high: number, size: number) =>
          this.#access(low, high, size, false),
        slowWrite: (_record: number, low: number, high: number, size: number) =>
          this.#access(low, high, size, true),
        commit: () => this.#commit(),
        legacyAddress: () => 0,
      },
    };
  }

  #instantiate(bytes: Uint8Array<ArrayBuffer>): Handler {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.#imports);
    return instance.exports["handler"] as Handler;
  }

  /** One handler for each row, size and operand kind: what the interpreter tells apart by name. */
  #handler(form: Form): number {
    const key = `${form.row.id} ${form.operandSize} ${form.addressSize} ${form.memory}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#handlers.length;
      this.#numbers.set(key, number);
      this.#handlers.push(this.#instantiate(buildHandlerModule(form, sseDefinitions, this.#helpers.index)));
      this.#forms.push(form);
    }
    return number;
  }
  #callHelper(index: number, record: number): number {
    const name = this.#helpers.names[index]!;
    this.called.push(name);
    const helper = sseHelpers[name];
    if (!helper) throw new Error(`no helper ${name}`);
    try {
      return helper(null as unknown as Core, this.cpu, this.#record.at(record));
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      this.#fault(fault.vector, fault.error);
      return HandlerOutcome.FAULT;
    }
  }

  #fault(vector: number, error: number): 0 {
    this.cpu.setI32(L.FAULT_VECTOR, vector);
    this.cpu.setI32(L.FAULT_ERROR, error);
    return 0;
  }

  #windowOf(address: bigint): Window | undefined {
    const linear = Number(address);
    return this.#windows.find(
      ({ window }) => linear >= window.address && linear < window.address + window.size,
    );
  }

  #access(low: number, high: number, sizeFlags: number, write: boolean): number {
    const size = sizeFlags & 0xff;
    const start = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    const stack = (sizeFlags & SLOW_STACK) !== 0 || (this.#record.flags & 7) === L.Segment.SS;
    // AMD processors want the offset canonical too, before an FS or GS base is added.
    const offset = this.#operandOffset();
    const last = BigInt(size - 1);
    for (const address of [start, start + last, offset, offset + last]) {
      const end = BigInt.asUintN(64, address);
      if (end >> CODE_BITS !== 0n && end >> CODE_BITS !== 0x1_ffffn)
        return this.#fault(stack ? Vector.SS : Vector.GP, 0);
    }
    const scratch = this.cpu.bytes.subarray(L.SCRATCH, L.SCRATCH + size);
    const needsContent = !write || (sizeFlags & SLOW_MODIFY) !== 0;
    for (let i = 0; i < size; i++) {
      const address = BigInt.asUintN(64, start + BigInt(i));
      const found = this.#windowOf(address);
      if (!found || (write && !found.window.writable)) {
        this.#cr2 = address;
        return this.#fault(
          Vector.PF,
          PageFault.USER | (write ? PageFault.WRITE : 0) | (found ? PageFault.PRESENT : 0),
        );
      }
    }
    for (let i = 0; needsContent && i < size; i++) {
      const { content, window } = this.#windowOf(start + BigInt(i))!;
      scratch[i] = content[Number(start) + i - window.address]!;
    }
    if (write) this.#pending = { address: start, size };
    return this.cpu.block + L.SCRATCH;
  }

  /** Offset of the memory operand; that of MASKMOVQ and MASKMOVDQU is rDI. */
  #operandOffset(): bigint {
    if (!this.#decoder.row!.mnemonic.startsWith("MASKMOV")) return this.#record.effectiveOffset(this.cpu);
    return BigInt.asUintN(this.#record.flags & RecordFlag.ADDRESS_32 ? 32 : 64, this.cpu.gpr(Gpr.RDI));
  }

  #commit(): void {
    const { address, size } = this.#pending!;
    for (let i = 0; i < size; i++) {
      const { content, window } = this.#windowOf(address + BigInt(i))!;
      content[Number(address) + i - window.address] = this.cpu.bytes[L.SCRATCH + i]!;
    }
  }

  #setUp(c: ConformanceCase): void {
    const { cpu } = this;
    for (const { content, original } of this.#windows) content.set(original);
    const put = (address: number, bytes: Uint8Array) => {
      bytes.forEach((byte, i) => {
        const found = this.#windowOf(BigInt(address + i));
        if (found) found.content[address + i - found.window.address] = byte;
      });
    };
    for (const patch of c.patches) put(patch.address, patch.bytes);
    put(c.codeAddress, c.bytes);
    this.#before = this.#windows.map(({ content }) => content.slice());
    for (let i = 0; i < 16; i++) cpu.setGpr(i, c.gpr[i]!);
    cpu.rflags = initialRflags(c);
    cpu.setI32(L.CR0, Cr0.PE | Cr0.NE | Cr0.PG);
    cpu.setI32(L.CR4, Cr4.OSFXSR | Cr4.OSXMMEXCPT);
    cpu.setI32(L.MODE, Mode.CODE_64);
    cpu.setU64(L.TLB_KEY, 0x7ffn);
    const base = (segment: number) => L.SEGMENTS + segment * L.SEGMENT_STRIDE + L.SEGMENT_BASE;
    cpu.setU64(base(L.Segment.FS), c.fsBase);
    cpu.setU64(base(L.Segment.GS), c.gsBase);
    cpu.setU64(L.RIP_PAGE, BigInt(c.codeAddress & -PAGE));
    cpu.setU64(L.CONST_10000, 0x1_0000n);
    loadFxImage(cpu, c.fx ?? DEFAULT_FX);
    this.called.length = 0;
  }
  #before: Uint8Array[] = [];

  /** The outcome, or null when the bytes are no instruction of these rows: #UD is the decoder's business. */
  run(c: ConformanceCase, prepare?: (cpu: CpuState) => void): Outcome | null {
    this.#setUp(c);
    prepare?.(this.cpu);
    const code = this.#windows.find(
      ({ window }) =>
        window.executable && c.codeAddress >= window.address && c.codeAddress < window.address + window.size,
    )!;
    const at = c.codeAddress - code.window.address;
    const decoded = this.#decoder.decode(
      code.content,
      at,
      code.content.length,
      Mode.CODE_64,
      c.codeAddress & (PAGE - 1),
      this.#view,
      L.RECORDS,
    );
    if (decoded !== Decoded.OK) return null;
    const number = this.#view.getUint16(L.RECORDS, true);
    this.#record.at(L.RECORDS);
    const handler = this.#specialised
      ? this.#instantiate(
          buildHandlerModule(
            this.#forms[number]!,
            sseDefinitions,
            this.#helpers.index,
            constantFields(this.#view, L.RECORDS),
          ),
        )
      : this.#handlers[number]!;
    const faulted = handler(this.cpu.block, L.RECORDS) === HandlerOutcome.FAULT;
    return this.#outcome(c, faulted ? this.cpu.i32(L.FAULT_VECTOR) : COMPLETED);
  }

  #outcome(c: ConformanceCase, vector: number): Outcome {
    const { cpu } = this;
    const completed = vector === COMPLETED;
    const changes: Patch[] = [];
    this.#windows.forEach(({ window, content }, w) => {
      const before = this.#before[w]!;
      for (let at = 0; at < content.length; at += 8) {
        const quad = content.subarray(at, at + 8);
        if (quad.every((byte, i) => byte === before[at + i])) continue;
        const last = changes.at(-1);
        const address = window.address + at;
        if (last && last.address + last.bytes.length === address) {
          changes[changes.length - 1] = {
            address: last.address,
            bytes: Uint8Array.from([...last.bytes, ...quad]),
          };
        } else changes.push({ address, bytes: quad.slice() });
      }
    });
    const flags = (initialRflags(c) & ~STATUS_FLAGS) | cpu.statusFlags;
    return {
      vector,
      errorCode: completed ? 0 : cpu.i32(L.FAULT_ERROR),
      cr2: vector === Vector.PF ? this.#cr2 : 0n,
      rip: BigInt(c.codeAddress + (completed ? this.#decoder.length : 0)),
      rflags: completed ? flags & ~Flag.RF : flags,
      gpr: BigUint64Array.from({ length: 16 }, (_, i) => cpu.gpr(i)),
      selectors: [...c.selectors],
      fsBase: c.fsBase,
      gsBase: c.gsBase,
      fx: readFxImage(cpu, c.fx ?? DEFAULT_FX),
      changes,
    };
  }
}

const DEFAULT_FX = defaultFxImage();
