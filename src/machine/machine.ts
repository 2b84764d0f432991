/**
 * A machine to boot: processor, memory, devices and virtual time put together. This is the library's face;
 * the command line uses nothing else.
 *
 * Virtual time is one nanosecond an instruction, or what a timing model says, plus the time that idle processors
 * skip. Everything the guest can observe follows from the image, the options and the console input, so a run repeats exactly.
 */
import { type EntryState, type ImageInfo, installFirmware, loadImage } from "../boot/index.ts";
import type { SystemObserver, TimeSource } from "../cpu/core.ts";
import { figuresUsed, forgetFigures, UNITS_PER_CYCLE } from "../cpu/cost.ts";
import { type CpuModel, parseCpuModel } from "../cpu/cpuid/index.ts";
import { ROWS } from "../cpu/decode/tables/index.ts";
import { helpers } from "../cpu/helpers.ts";
import type { ProcessorSide } from "../cpu/outside.ts";
import { Processor } from "../cpu/processor.ts";
import { definitions } from "../cpu/semantics/index.ts";
import { Stop } from "../cpu/slice.ts";
import { CpuState } from "../cpu/state.ts";
import { MSR_TSC_ADJUST, PENDING_DEBUG } from "../cpu/system/cold-state.ts";
import { resetCpu, setIdentity } from "../cpu/system/index.ts";
import { Mmu } from "../mmu/mmu.ts";
import { PhysicalMemory } from "../mmu/physical-memory.ts";
import { type Figure, figuresOf, isAssumed, type TimingModel, timingModel } from "../timing/index.ts";
import { LOCAL_APIC_TIMER_HZ, RAM_LIMIT, RAM_MINIMUM, TSC_HZ, VGA_WINDOW } from "./address-map.ts";
import { bootPlatform, firmwareOptions, virtioMmioArguments } from "./boot-platform.ts";
import { enterImage } from "./enter.ts";
import { Pace } from "./pace.ts";
import { createPlatform, type Platform } from "./platform.ts";
import { type VirtioOptions, virtioDevices } from "./virtio.ts";

export type { ImageInfo };

export interface MachineOptions extends VirtioOptions {
  /** Guest RAM in bytes, a multiple of 4 KiB; 512 MiB unless given. */
  readonly memory?: number;
  /** Processor model, as `--cpu` takes it, e.g. "x86-64-v2,-smap". */
  readonly cpu?: string;
  /** Timing model, by a name of `TIMING_MODELS` (src/timing); "none" unless given. */
  readonly timing?: string;
  /** Seed of RDRAND, RDSEED and the entropy device. */
  readonly seed?: bigint;
  /** The real-time clock's date at power-on, seconds since 1970 UTC. */
  readonly startDate?: number;
  /** Bytes that the guest writes to COM1. */
  readonly onConsole?: (byte: number) => void;
  /** Bytes that the guest writes to the debug port E9h. */
  readonly onDebugByte?: (byte: number) => void;
  /** Something this machine does not know was asked of it: one call for each distinct message. */
  readonly onUnknown?: (message: string) => void;
}

export interface LoadRequest {
  readonly image: Uint8Array;
  readonly commandLine?: string;
  readonly initrd?: Uint8Array;
}

/** Why `run` came back. */
export type StopReason =
  | { readonly kind: "power-off" }
  | { readonly kind: "reset"; readonly source: string }
  | { readonly kind: "debug-exit"; readonly status: number }
  | { readonly kind: "triple-fault" }
  /** Halted with nothing that could ever wake it. */
  | { readonly kind: "halted" }
  | { readonly kind: "instruction-limit" }
  /** `stop()` was called. */
  | { readonly kind: "stopped" };

export interface RunOptions {
  /** Stop once this many instructions have been executed since power-on (a block may exceed it). */
  readonly maxInstructions?: number;
  /**
   * `run` only: called between two slices, every 20 ms of wall time or so, when the host's event loop has run.
   * The guest waits for what it returns. The guest's time is not disturbed: slices end by virtual time alone.
   */
  readonly onYield?: () => Promise<void> | undefined;
  /**
   * `run` only: the machine is idle and about to skip `nanoseconds` of virtual time, `Infinity` when only
   * input could wake it. The result says how many pass now: fewer let input in earlier; `Infinity` for
   * `Infinity` ends the run as "halted". Without it everything is skipped at once.
   */
  readonly onIdle?: (nanoseconds: number) => Promise<number>;
}

/** Longest stay in emitted code: code that V8 has optimised meanwhile is entered at the next call. */
const SLICE = 100_000;
/** The least that an instruction costs with a timing model, roughly: an instruction limit is approached with it. */
const LEAST_UNITS = UNITS_PER_CYCLE / 8;
/** Wall time between two chances for the host's event loop, ms. */
const YIELD_MS = 20;

export class Machine {
  readonly model: CpuModel;
  /** The timing model, and which of its figures were used. */
  readonly timing: TimingModel;
  readonly memory: PhysicalMemory;
  readonly mmu: Mmu;
  readonly platform: Platform;
  readonly processor: Processor;
  readonly states: readonly CpuState[];
  /** Messages of `onUnknown` with their counts. */
  readonly unknown = new Map<string, number>();

  /** Instructions executed since power-on. */
  instructions = 0;
  /** Virtual nanoseconds that halted processors skipped. */
  idleTime = 0;

  readonly #options: MachineOptions;
  readonly #pace: Pace;
  /** The timing model counts: budgets are in its units. */
  readonly #timed: boolean;
  /** What the processor spent up to the running slice: instructions, or units. */
  #spent = 0;
  #stop: StopReason | null = null;
  #sliceStart = 0;
  /** The last slice ended because the processor waits. */
  #isIdle = false;
  readonly #tscOffset: bigint[] = [];

  /**
   * @throws RangeError for a memory size that no machine has; CpuModelError or TimingModelError for an unknown
   * model.
   */
  constructor(options: MachineOptions = {}) {
    this.#options = options;
    const memorySize = options.memory ?? 512 * 2 ** 20;
    if (memorySize % 4096 !== 0 || memorySize < RAM_MINIMUM || memorySize > RAM_LIMIT) {
      throw new RangeError(
        `memory of ${memorySize} bytes: expected a multiple of 4 KiB from ${RAM_MINIMUM / 2 ** 20}M to ${RAM_LIMIT / 2 ** 20}M`,
      );
    }
    this.model = parseCpuModel(options.cpu ?? "");
    this.timing = timingModel(options.timing ?? "none");
    const costs = this.timing.costs;
    this.#timed = costs !== null;
    this.#pace = this.#timed ? new Pace(this.timing.frequencyHz, UNITS_PER_CYCLE) : new Pace(TSC_HZ, 1);
    const pages = PhysicalMemory.wasmPages(memorySize);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.memory = new PhysicalMemory(memory, { lowSize: memorySize });
    this.memory.map(VGA_WINDOW.base, VGA_WINDOW.length, "hole");
    const processors = 1;
    this.states = Array.from({ length: processors }, (_, i) => new CpuState(memory, i));
    const log = { unknown: (message: string) => this.#note(message) };
    this.platform = createPlatform({
      processors,
      memorySize,
      log,
      physicalAddressBits: this.model.physicalBits,
      x2apic: this.model.features.has("x2apic"),
      tscDeadline: this.model.features.has("tsc-deadline"),
      virtio: virtioDevices(options),
      memory: this.memory,
      ...(options.startDate === undefined ? {} : { startDate: options.startDate }),
      events: {
        onConsole: (byte) => options.onConsole?.(byte),
        onDebugByte: (byte) => options.onDebugByte?.(byte),
        onPowerOff: () => this.#end({ kind: "power-off" }),
        onReset: (source) => this.#end({ kind: "reset", source }),
        onDebugExit: (status) => this.#end({ kind: "debug-exit", status }),
      },
    });
    const port = this.platform.processorPort;
    this.mmu = new Mmu(this.memory, port, this.states, {
      physicalAddressBits: this.model.physicalBits,
      gigabytePages: this.model.features.has("pdpe1gb"),
    });
    this.processor = new Processor({
      memory,
      states: this.states,
      rows: ROWS,
      definitions,
      helpers,
      features: this.model.features,
      mmu: this.mmu,
      linear: this.mmu,
      translation: this.mmu,
      port,
      time: this.#timeSource(),
      log,
      ...(costs === null ? {} : { costs }),
    });
    const { charges } = this.processor;
    if (charges !== null && this.timing.tlb !== null) {
      this.mmu.timeTranslations(this.timing.tlb, (cost) => charges.charge(cost));
    }
    setIdentity(this.processor, {
      model: this.model,
      processors,
      tscHz: this.#pace.tscHz,
      crystalHz: LOCAL_APIC_TIMER_HZ,
      seed: options.seed ?? 0n,
    });
    this.mmu.onDataBreakpoint = (cpu, hits) => cpu.setI32(PENDING_DEBUG, cpu.i32(PENDING_DEBUG) | hits);
    this.mmu.onCodeWrite = (page) => this.processor.code.invalidatePage(page);
    const { clock } = this.platform;
    clock.onEarlierDeadline = (deadline) => {
      if (clock.currentTime === null) return;
      this.processor.shortenSlice(this.#pace.units(deadline - clock.currentTime()));
    };
    this.reset();
    port.connect(this.#processorSide());
  }

  #note(message: string): void {
    const count = this.unknown.get(message) ?? 0;
    this.unknown.set(message, count + 1);
    if (count === 0) this.#options.onUnknown?.(message);
  }

  #end(reason: StopReason): void {
    this.#stop ??= reason;
    this.processor.interruptSlice();
  }

  #timeSource(): TimeSource {
    // The time-stamp counter follows virtual time: at 1 GHz, or the timing model's frequency.
    const ticks = () => {
      const { clock } = this.platform;
      if (clock.currentTime === null) return this.#pace.ticks(clock.now(), 0);
      return this.#pace.ticks(this.#sliceStart, this.processor.spent);
    };
    return {
      tsc: (cpu) => BigInt.asUintN(64, ticks() + (this.#tscOffset[cpu.index] ?? 0n)),
      setTsc: (cpu, value) => {
        this.#tscOffset[cpu.index] = value - ticks();
      },
    };
  }

  #processorSide(): ProcessorSide {
    return {
      onInterruptLine: (cpu) => this.processor.noteEvent(cpu),
      timeOfTsc: (cpu, low, high) => {
        const tsc = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
        const time = this.#pace.timeOfTicks(tsc - (this.#tscOffset[cpu] ?? 0n));
        if (time < 0n) return 0;
        return time > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(time);
      },
      onLocalApicMove: (cpu, base) => this.mmu.localApicMoved(cpu, base),
    };
  }

  /** Power-on state of every processor and device; memory keeps its contents. */
  reset(): void {
    this.platform.reset();
    this.#pace.reset();
    for (const cpu of this.states) {
      this.#tscOffset[cpu.index] = 0n;
      cpu.setU64(MSR_TSC_ADJUST, 0n);
      resetCpu(this.processor, cpu, "power-up");
    }
    this.processor.code.flush();
    this.#stop = null;
  }

  /**
   * Puts an image into memory and the first processor at its entry.
   * @throws ImageError when it cannot be booted: one line that says what was expected and found.
   */
  load(request: LoadRequest): EntryState {
    const { memory } = this;
    const virtioMmio = this.platform.virtioMmioCount;
    const words = [request.commandLine ?? "", ...virtioMmioArguments(virtioMmio)];
    const entry = loadImage(
      request.image,
      {
        commandLine: words.filter((word) => word !== "").join(" "),
        modules: request.initrd ? [{ data: request.initrd }] : [],
        platform: bootPlatform(memory.size),
      },
      memory,
    );
    installFirmware(firmwareOptions(this.states.length, virtioMmio), memory);
    enterImage(this.processor, this.states[0]!, entry);
    return entry;
  }

  /** Virtual nanoseconds since power-on. */
  get time(): number {
    return this.platform.clock.now();
  }

  /**
   * Cycles that the processor executed since power-on, by the timing model; idle time is not among them. Without a
   * model, one for each instruction. Exact between instructions while single-stepping, and for observers: there the
   * instruction that they are told of is not yet among them, but what it has been charged so far is.
   */
  get cycles(): number {
    const running = this.platform.clock.currentTime === null ? 0 : this.processor.spent;
    return (this.#spent + running) / (this.#timed ? UNITS_PER_CYCLE : 1);
  }

  /** The figures of the timing model that what was executed since `forgetFigures` has cost. */
  get figuresUsed(): Figure[] {
    return figuresOf(
      this.timing,
      this.states.reduce((set, cpu) => set | figuresUsed(cpu), 0n),
    );
  }

  /** Those of them that no source gives. */
  get assumedUsed(): Figure[] {
    return this.figuresUsed.filter(isAssumed);
  }

  forgetFigures(): void {
    for (const cpu of this.states) forgetFigures(cpu);
  }

  /** Bytes typed at the serial console. They reach the guest between two slices. */
  type(bytes: Uint8Array): void {
    this.platform.console.receive(bytes);
  }

  /** Ends `run` at the end of the current slice. */
  stop(): void {
    this.#end({ kind: "stopped" });
  }

  set observer(observer: SystemObserver | null) {
    this.processor.observer = observer;
  }

  /** Runs to a stop without letting the host's event loop in. */
  runSync(options: RunOptions = {}): StopReason {
    for (;;) {
      const reason = this.#slice(options) ?? this.#skip(this.#idle());
      if (reason) return reason;
    }
  }

  /** Runs until the guest ends or `stop` is called; lets the host's event loop run in between. */
  async run(options: RunOptions = {}): Promise<StopReason> {
    const { onIdle, onYield } = options;
    for (;;) {
      const until = performance.now() + YIELD_MS;
      do {
        const reason = this.#slice(options);
        if (reason) return reason;
        const idle = this.#idle();
        if (idle === 0) continue;
        const halted = this.#skip(onIdle ? await onIdle(idle) : idle);
        if (halted) return halted;
      } while (performance.now() < until);
      await new Promise((resolve) => setImmediate(resolve));
      await onYield?.();
    }
  }

  /** One stay in the processor. */
  #slice({ maxInstructions = Number.POSITIVE_INFINITY }: RunOptions): StopReason | null {
    const { clock } = this.platform;
    this.#isIdle = false;
    clock.runDue();
    if (this.#stop) return this.#takeStop();
    const left = maxInstructions - this.instructions;
    if (left <= 0) return { kind: "instruction-limit" };
    const now = clock.now();
    const deadline = clock.nextDeadline();
    const scale = this.#timed ? UNITS_PER_CYCLE : 1;
    const limit = this.#timed ? left * LEAST_UNITS : left;
    const pause = deadline === null ? Number.POSITIVE_INFINITY : this.#pace.units(deadline - now);
    const budget = Math.max(1, Math.min(SLICE * scale, limit, pause));
    this.#sliceStart = now;
    clock.currentTime = () => this.#sliceStart + this.#pace.nanoseconds(this.processor.spent);
    const stop = this.processor.execute(this.states[0]!, budget);
    clock.currentTime = null;
    const { spent } = this.processor;
    this.instructions += this.processor.executed;
    this.#spent += spent;
    clock.advanceTo(now + this.#pace.pass(spent));
    if (this.#stop) return this.#takeStop();
    if (stop === Stop.SHUTDOWN) return { kind: "triple-fault" };
    this.#isIdle = stop === Stop.IDLE;
    return null;
  }

  /** Virtual nanoseconds from now to the next event if every processor waits, else 0. */
  #idle(): number {
    if (!this.#isIdle) return 0;
    const { clock } = this.platform;
    const next = clock.nextDeadline();
    return next === null ? Number.POSITIVE_INFINITY : Math.max(0, next - clock.now());
  }

  /** Lets idle time pass; with nothing to wait for, the machine has halted. */
  #skip(nanoseconds: number): StopReason | null {
    if (nanoseconds === Number.POSITIVE_INFINITY) return { kind: "halted" };
    const { clock } = this.platform;
    this.idleTime += nanoseconds;
    clock.advanceTo(clock.now() + nanoseconds);
    return null;
  }

  #takeStop(): StopReason {
    const reason = this.#stop!;
    this.#stop = null;
    return reason;
  }
}
