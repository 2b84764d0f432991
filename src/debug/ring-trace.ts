/**
 * Ring tracing: every transition between privilege levels, every exception, interrupt and system call, and for
 * applications that run at ring 0 every call of the kernel. The processor's observer tells of transfers;
 * `ring-application.ts` finds the calls that change no ring.
 */
import type { SystemObserver, TransferCause } from "../cpu/core.ts";
import { pushesErrorCode, Vector } from "../cpu/fault.ts";
import { CR2 } from "../cpu/layout.ts";
import { Efer, Gpr } from "../cpu/registers.ts";
import type { CpuState } from "../cpu/state.ts";
import type { Machine } from "../machine/machine.ts";
import { hex } from "./hex.ts";
import { interruptSource } from "./interrupt-source.ts";
import { peekLinear } from "./peek.ts";
import type { Frame, Moment, Place, RingSink, Transition } from "./ring-events.ts";
import { addressSpace, PendingFrames } from "./ring-frames.ts";
import type { RingNames, Side } from "./ring-names.ts";
import { resultText, returnedData, systemCallName, systemCallText } from "./system-call-text.ts";
import { exceptionName } from "./vectors.ts";

/** An event that is about to be delivered, and the state that it interrupts. */
interface Delivery {
  readonly name: string;
  readonly detail: string;
  readonly rsp: bigint;
}

type EventKind = "fault" | "interrupt" | "software" | "nmi";

/** The registers of SYSCALL's arguments in their order. */
const ARGUMENTS = [Gpr.RDI, Gpr.RSI, Gpr.RDX, 10, 8, 9] as const;

/** A page fault's error code in words (SDM vol. 3A figure 4-12). */
function pageFaultText(error: number): string {
  const access = error & 0x10 ? "fetch" : error & 2 ? "write" : "read";
  const words = [access, error & 4 ? "user" : "supervisor", error & 1 ? "protection" : "not present"];
  if (error & 8) words.push("reserved bit");
  if (error & 0x20) words.push("protection key");
  return words.join(", ");
}

const vectorText = (vector: number): string => `${hex(vector, 2).toUpperCase()}h`;

function faultDetail(cpu: CpuState, vector: number, error: number): string {
  if (vector === Vector.PF) {
    return `at 0x${hex(cpu.u64(CR2))}: ${pageFaultText(error)}`;
  }
  return pushesErrorCode(vector) ? `error ${hex(error, 4).toUpperCase()}h` : "";
}

/** A return by an instruction of these ends what is pending at the stack pointer. */
const RETURNS = new Set<TransferCause>(["SYSRET", "SYSEXIT", "IRET", "RETF"]);

export class RingTracer implements SystemObserver {
  readonly #machine: Machine;
  readonly #names: RingNames;
  readonly #sinks: readonly RingSink[];
  readonly #frames = new PendingFrames<Frame>();
  readonly #sources = new Map<number, string>();
  /** By processor. */
  readonly #deliveries: (Delivery | null)[];
  /** Who runs, as the last transition has left it, by processor. */
  readonly #sides: Side[];
  /** Called after each transition. */
  onTransition: ((cpu: CpuState) => void) | null = null;
  /** Told of each call of the kernel by such an application: where it returns to. */
  onKernelCall: ((returnRip: bigint) => void) | null = null;

  constructor(machine: Machine, names: RingNames, sinks: readonly RingSink[]) {
    this.#machine = machine;
    this.#names = names;
    this.#sinks = sinks;
    this.#deliveries = machine.states.map(() => null);
    this.#sides = machine.states.map(() => "0");
    const { cpl, rip } = machine.states[0]!;
    // Where execution begins: boot code before paging has no names and is no application.
    if (names.find(rip) !== null) this.#sides[0] = names.side(cpl, rip);
  }

  side(cpu: CpuState): Side {
    return this.#sides[cpu.index]!;
  }

  moment({ index }: CpuState): Moment {
    const machine = this.#machine;
    const runs = machine.platform.clock.currentTime !== null && machine.current.index === index;
    return {
      processor: index,
      time: machine.time,
      instructions: machine.instructionsOf[index]! + (runs ? machine.processor.executed : 0),
      cycles: machine.cyclesOf(index),
      idle: machine.idleTimeOf[index]!,
    };
  }

  place(cpu: CpuState, cpl: number, rip: bigint): Place {
    const symbol = this.#names.at(cpu, rip, (address, length) => this.#peek(cpu, address, length));
    return { side: this.#names.side(cpl, rip), cpl, rip, symbol };
  }

  // ---- What the processor tells -------------------------------------------------------------------------

  event(cpu: CpuState, kind: EventKind, vector: number, error: number): void {
    const name = this.#eventName(kind, vector);
    const detail =
      kind === "fault" ? faultDetail(cpu, vector, error) : kind === "interrupt" ? this.#source(vector) : "";
    // A fault during the delivery of another event: both are told.
    const earlier = this.#deliveries[cpu.index]!;
    this.#deliveries[cpu.index] =
      earlier === null
        ? { name, detail, rsp: cpu.gpr(Gpr.RSP) }
        : {
            name: `${earlier.name} > ${name}`,
            detail: [earlier.detail, detail].filter((text) => text !== "").join("; "),
            rsp: earlier.rsp,
          };
  }

  #eventName(kind: EventKind, vector: number): string {
    if (kind === "fault") return exceptionName(vector);
    if (kind === "nmi") return "NMI";
    return kind === "software" ? `INT ${vectorText(vector)}` : `interrupt ${vectorText(vector)}`;
  }

  #source(vector: number): string {
    let source = this.#sources.get(vector);
    if (source === undefined) {
      source = interruptSource(this.#machine, vector) ?? "";
      this.#sources.set(vector, source);
    }
    return source;
  }

  transfer(cpu: CpuState, cause: TransferCause, from: number, to: number, source: bigint): void {
    this.#names.look(cpu);
    this.#names.transfer(to, source, cpu.rip);
    const origin = this.place(cpu, from, source);
    const target = this.place(cpu, to, cpu.rip);
    this.#follow(cpu, origin);
    const delivery = this.#deliveries[cpu.index]!;
    this.#deliveries[cpu.index] = null;
    if (RETURNS.has(cause)) {
      this.leave(cpu, cause, origin, target, cpu.gpr(Gpr.RSP));
    } else if (cause === "SYSCALL") {
      this.enterSystemCall(cpu, cause, origin, target, cpu.gpr(Gpr.RCX), cpu.gpr(Gpr.RSP));
    } else if (cause === "call gate" && (cpu.efer & Efer.LMA) !== 0) {
      this.#enterGate(cpu, origin, target);
    } else {
      // A task switch neither enters nor returns: the task that is left goes on where it was.
      const frame =
        cause === "event" && delivery !== null
          ? this.#frame(cpu, "event", delivery.name, delivery.detail, origin, cpu.rip, null)
          : null;
      if (frame !== null) this.#frames.enter(cpu, delivery!.rsp, frame);
      const name = cause === "event" ? (delivery?.name ?? "event") : cause;
      this.#emit(cpu, name, origin, target, frame, null, null);
    }
  }

  /** A 64-bit call gate: RIP, CS, and from an outer ring RSP and SS are on the stack (SDM vol. 3A 5.8.5.1). */
  #enterGate(cpu: CpuState, from: Place, to: Place): void {
    const rsp = cpu.gpr(Gpr.RSP);
    const stack = this.#peek(cpu, rsp, 24);
    let frame: Frame | null = null;
    if (stack.length === 24) {
      const view = new DataView(stack.buffer, stack.byteOffset, 24);
      frame = this.#frame(cpu, "call", "call gate", "", from, cpu.rip, view.getBigUint64(0, true));
      this.#frames.enter(cpu, from.cpl === to.cpl ? rsp + 16n : view.getBigUint64(16, true), frame);
    }
    this.#emit(cpu, "call gate", from, to, frame, null, null);
  }

  #peek(cpu: CpuState, address: bigint, length: number): Uint8Array {
    return peekLinear(this.#machine.mmu, cpu, address, length);
  }

  // ---- What is also told of calls that change no ring ---------------------------------------------------

  /** Registers are those of SYSCALL's convention; `returnRsp` is RSP behind the return. */
  enterSystemCall(
    cpu: CpuState,
    cause: string,
    from: Place,
    to: Place,
    returnRip: bigint,
    returnRsp: bigint,
  ): void {
    const number = Number(cpu.gpr(Gpr.RAX) & 0xffff_ffffn);
    const registers = ARGUMENTS.map((register) => cpu.gpr(register));
    const peek = (address: bigint, length: number) => this.#peek(cpu, address, length);
    const name = systemCallName(number);
    const frame = this.#frame(cpu, "system call", name, "", from, to.rip!, returnRip, number, registers);
    this.#frames.enter(cpu, returnRsp, frame);
    this.#enteredKernel(from, returnRip);
    this.#emit(cpu, cause, from, to, frame, null, () => systemCallText(number, registers, peek));
  }

  /** A call of one of the kernel's functions. */
  enterCall(cpu: CpuState, name: string, from: Place, to: Place, returnRip: bigint, returnRsp: bigint): void {
    const frame = this.#frame(cpu, "call", name, "", from, to.rip!, returnRip);
    this.#frames.enter(cpu, returnRsp, frame);
    this.#enteredKernel(from, returnRip);
    this.#emit(cpu, "CALL", from, to, frame, null, () => `${name}()`);
  }

  #enteredKernel(from: Place, returnRip: bigint): void {
    if (from.side === "0 app") this.onKernelCall?.(returnRip);
  }

  /** Control comes to `to`, and RSP is then `rsp`. `from` null: by an instruction that was not seen. */
  leave(cpu: CpuState, cause: string, from: Place | null, to: Place, rsp: bigint): void {
    const frame = this.#frames.take(cpu, to.rip!, rsp);
    const origin = from ?? { side: this.side(cpu), cpl: cpu.cpl, rip: null, symbol: null };
    this.#emit(cpu, cause, origin, to, null, frame, null);
  }

  /** What would return to `rip` with RSP `rsp`, or null. */
  pending(cpu: CpuState, rip: bigint, rsp: bigint): Frame | null {
    return this.#frames.peek(cpu, rip, rsp);
  }

  #frame(
    cpu: CpuState,
    kind: Frame["kind"],
    name: string,
    detail: string,
    from: Place,
    entry: bigint,
    returnRip: bigint | null,
    number: number | null = null,
    registers: readonly bigint[] = [],
  ): Frame {
    return { kind, name, detail, number, registers, start: this.moment(cpu), from, returnRip, entry };
  }

  /** A change of sides that nothing has told of: near returns and jumps between kernel and application. */
  #follow(cpu: CpuState, origin: Place): void {
    if (origin.side === this.side(cpu)) return;
    const from: Place = { side: this.side(cpu), cpl: origin.cpl, rip: null, symbol: null };
    this.#emit(cpu, "unseen", from, origin, null, null, null);
  }

  #emit(
    cpu: CpuState,
    cause: string,
    from: Place,
    to: Place,
    enters: Frame | null,
    leaves: Frame | null,
    call: (() => string) | null,
  ): void {
    this.#sides[cpu.index] = to.side;
    const transition: Transition = {
      ...{ moment: enters?.start ?? this.moment(cpu), cause, from, to, enters, leaves, call, cpu },
      result: cpu.gpr(Gpr.RAX),
      answer: leaves === null ? "" : this.#answer(cpu, leaves),
      space: addressSpace(cpu),
    };
    for (const sink of this.#sinks) sink.transition(transition);
    this.onTransition?.(cpu);
  }

  #answer(cpu: CpuState, { kind, number, registers }: Frame): string {
    if (kind === "event") return "";
    const result = cpu.gpr(Gpr.RAX);
    const peek = (address: bigint, length: number) => this.#peek(cpu, address, length);
    return resultText(number, result) + returnedData(number, registers, result, peek);
  }

  // ---- The console, and the end -------------------------------------------------------------------------

  console(text: string): void {
    const moment = this.moment(this.#machine.current);
    for (const sink of this.#sinks) sink.console?.(moment, text);
  }

  end(): void {
    const moments = this.#machine.states.map((cpu) => this.moment(cpu));
    for (const sink of this.#sinks) sink.end(moments);
  }
}
