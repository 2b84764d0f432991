/**
 * Applications at ring 0: where they call the kernel and come back. Nothing in the processor's state tells of
 * that; watch points at these places do:
 *
 *  - the kernel's entry symbols (part `entry`), and every kernel function that a direct branch of the application
 *    leads to, found by disassembling the application;
 *  - near returns and jumps through a register in the kernel's exit code (part `exit`): they return from system
 *    calls, and where the kernel does without IRET from exceptions too;
 *  - the address that each call returns to, when the call is seen: a kernel function that was called directly
 *    returns by itself.
 *
 * Calls through pointers to kernel functions that are no entry symbols are not seen.
 */
import { Gpr } from "../cpu/registers.ts";
import type { CpuState } from "../cpu/state.ts";
import type { Machine } from "../machine/machine.ts";
import type { BranchScanner } from "./branch-scan.ts";
import { peekLinear } from "./peek.ts";
import type { Place } from "./ring-events.ts";
import type { RingNames } from "./ring-names.ts";
import type { RingTracer } from "./ring-trace.ts";
import type { Part, Sym } from "./symbols.ts";

const KERNEL = new Set<Part>(["entry", "dispatch", "exit", "work"]);
/** First instructions of an application: where the kernel may jump to without any transfer that is told of. */
const STARTS = ["_start", "main"];
/** A symbol of unknown size is disassembled this far, but not beyond the next one. */
const LONGEST = 0x1_0000n;

export class ApplicationWatch {
  readonly #machine: Machine;
  readonly #names: RingNames;
  readonly #tracer: RingTracer;
  readonly #scan: BranchScanner;
  readonly #watched = new Set<bigint>();
  #scanned = false;

  constructor(machine: Machine, names: RingNames, tracer: RingTracer, scan: BranchScanner) {
    this.#machine = machine;
    this.#names = names;
    this.#tracer = tracer;
    this.#scan = scan;
    for (const symbol of names.symbols!) {
      if (symbol.part === "entry") this.#watch(symbol.address, (cpu) => this.#entered(cpu, symbol));
      else if (!KERNEL.has(symbol.part) && STARTS.includes(symbol.name)) {
        this.#watch(symbol.address, (cpu) => this.#arrived(cpu));
      }
    }
    tracer.onTransition = (cpu) => this.#look(cpu);
    tracer.onKernelCall = (returnRip) => this.#watch(returnRip, (cpu) => this.#arrived(cpu));
  }

  #watch(address: bigint, callback: (cpu: CpuState) => void): void {
    if (this.#watched.has(address)) return;
    this.#watched.add(address);
    this.#machine.processor.watch(address, callback);
  }

  #peek(cpu: CpuState, address: bigint, length: number): Uint8Array {
    return peekLinear(this.#machine.mmu, cpu, address, length);
  }

  #peek64(cpu: CpuState, address: bigint): bigint | null {
    const bytes = this.#peek(cpu, address, 8);
    return bytes.length < 8 ? null : new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  }

  // ---- What the code says -------------------------------------------------------------------------------

  /** Once, when code of the image runs where its symbols say: then all of it is in memory. */
  #look(cpu: CpuState): void {
    if (this.#scanned || this.#names.find(cpu.rip) === null) return;
    this.#scanned = true;
    this.#tracer.onTransition = null;
    const all = [...this.#names.symbols!];
    all.forEach((symbol, i) => {
      const end = symbol.size > 0 ? symbol.address + BigInt(symbol.size) : (all[i + 1]?.address ?? 0n);
      const size = end - symbol.address;
      if (size > 0n && size < LONGEST) this.#lookAt(cpu, symbol, Number(size));
    });
  }

  #lookAt(cpu: CpuState, symbol: Sym, size: number): void {
    if (!KERNEL.has(symbol.part)) {
      for (const { target } of this.#scan(this.#peek(cpu, symbol.address, size), symbol.address).direct) {
        const callee = this.#names.find(target);
        if (callee !== null && KERNEL.has(callee.symbol.part)) {
          this.#watch(target, (state) => this.#entered(state, callee.symbol));
        }
      }
    } else if (symbol.part === "exit") {
      const code = this.#peek(cpu, symbol.address, size);
      const { returns, jumps } = this.#scan(code, symbol.address);
      for (const { address, released } of returns) {
        this.#watch(address, (state) => this.#returns(state, released));
      }
      for (const { address, register } of jumps) {
        this.#watch(address, (state) => this.#leaves(state, "JMP", state.gpr(register), state.gpr(Gpr.RSP)));
      }
    }
  }

  // ---- What happens -------------------------------------------------------------------------------------

  /** A kernel function's first instruction: by a call of the application? RSP points to the return address. */
  #entered(cpu: CpuState, symbol: Sym): void {
    const tracer = this.#tracer;
    if (cpu.cpl !== 0) return;
    const rsp = cpu.gpr(Gpr.RSP);
    const returnRip = this.#peek64(cpu, rsp);
    if (returnRip === null || this.#names.side(0, returnRip) !== "0 app") return;
    // Entered by SYSCALL or an exception, or called by kernel code on behalf of the application.
    if (tracer.side(cpu) !== "0 app") return;
    const site = this.#callSite(cpu, returnRip);
    const from: Place = { ...tracer.place(cpu, 0, site), side: "0 app" };
    const to: Place = { ...tracer.place(cpu, 0, cpu.rip), side: "0" };
    const after = rsp + 8n;
    if (symbol.part === "entry") tracer.enterSystemCall(cpu, "CALL", from, to, returnRip, after);
    else tracer.enterCall(cpu, symbol.name, from, to, returnRip, after);
  }

  /** The address of the CALL before a return address: E8 rel32, or FF /2 with a register. */
  #callSite(cpu: CpuState, returnRip: bigint): bigint {
    const bytes = this.#peek(cpu, returnRip - 5n, 5);
    if (bytes[0] === 0xe8) return returnRip - 5n;
    if (bytes[3] === 0xff && (bytes[4]! & 0xf8) === 0xd0) return returnRip - 2n;
    return returnRip;
  }

  /** An address of the application to which the kernel returns; its own code may come there too. */
  #arrived(cpu: CpuState): void {
    const tracer = this.#tracer;
    if (cpu.cpl !== 0 || tracer.side(cpu) === "0 app") return;
    const rsp = cpu.gpr(Gpr.RSP);
    // Nothing that it returns from: the program, or a thread of it, begins.
    const cause = tracer.pending(cpu, cpu.rip, rsp) === null ? "jump" : "RET";
    tracer.leave(cpu, cause, null, tracer.place(cpu, 0, cpu.rip), rsp);
  }

  /** A RET of the exit code: to the application, or to interrupted kernel code, or to its own caller. */
  #returns(cpu: CpuState, released: number): void {
    const rsp = cpu.gpr(Gpr.RSP);
    const target = this.#peek64(cpu, rsp);
    if (target !== null) this.#leaves(cpu, "RET", target, rsp + 8n + BigInt(released));
  }

  #leaves(cpu: CpuState, cause: string, target: bigint, rsp: bigint): void {
    const tracer = this.#tracer;
    if (cpu.cpl !== 0) return;
    const to = tracer.place(cpu, 0, target);
    if (to.side === "0 app" || tracer.pending(cpu, target, rsp)?.from.rip === target) {
      tracer.leave(cpu, cause, tracer.place(cpu, 0, cpu.rip), to, rsp);
    }
  }
}
