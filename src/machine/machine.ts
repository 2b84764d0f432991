/**
 * A machine to boot: processor, memory, devices and virtual time put together. This is the library's face;
 * the command line uses nothing else.
 *
 * Virtual time is one nanosecond an instruction, or what a timing model says, plus the time that idle processors
 * skip; several processors share it in turns (`turns.ts`). Everything the guest can observe follows from the image, the
 * options and the input (`outside-input.ts`), so a run repeats exactly.
 */
import { type EntryState, type ImageInfo, installFirmware, loadImage } from "../boot/index.ts";
import type { SystemObserver } from "../cpu/core.ts";
import { figuresUsed, forgetFigures, UNITS_PER_CYCLE } from "../cpu/cost.ts";
import { type CpuModel, parseCpuModel } from "../cpu/cpuid/index.ts";
import { ROWS } from "../cpu/decode/tables/index.ts";
import { helpers } from "../cpu/helpers.ts";
import { MAX_CPUS } from "../cpu/layout.ts";
import type { ProcessorSide } from "../cpu/outside.ts";
import { Processor } from "../cpu/processor.ts";
import { definitions } from "../cpu/semantics/index.ts";
import { Stop } from "../cpu/slice.ts";
import { CpuState } from "../cpu/state.ts";
import { MSR_TSC_ADJUST, PENDING_DEBUG } from "../cpu/system/cold-state.ts";
import { Activity, activity, resetCpu, setIdentity, waitForStartup } from "../cpu/system/index.ts";
import type { VirtioConsole } from "../devices/virtio/console.ts";
import type { NetworkPort } from "../devices/virtio/network-link.ts";
import { Mmu } from "../mmu/mmu.ts";
import { PhysicalMemory } from "../mmu/physical-memory.ts";
import { type Figure, figuresOf, isAssumed, type TimingModel, timingModel } from "../timing/index.ts";
import { LOCAL_APIC_TIMER_HZ, RAM_LIMIT, RAM_MINIMUM, TSC_HZ, VGA_WINDOW } from "./address-map.ts";
import { bootPlatform, firmwareOptions, virtioMmioArguments } from "./boot-platform.ts";
import { enterImage, leaveAsFirmware } from "./enter.ts";
import type { LoadRequest, MachineOptions, RunOptions, StopReason } from "./machine-options.ts";
import { OutsideInput } from "./outside-input.ts";
import { Pace } from "./pace.ts";
import { createPlatform, type Platform } from "./platform.ts";
import { runPaced } from "./run-loop.ts";
import { QUANTUM } from "./turns.ts";
import { virtioDevices } from "./virtio.ts";
import { VirtualTime } from "./virtual-time.ts";

export type { LoadRequest, MachineOptions, RunOptions, StopReason } from "./machine-options.ts";
export type { ImageInfo };

/** Longest stay in emitted code: code that V8 has optimised meanwhile is entered at the next call. */
const SLICE = 100_000;
/** The least that an instruction costs with a timing model, roughly: an instruction limit is approached with it. */
const LEAST_UNITS = UNITS_PER_CYCLE / 8;
/**
 * A processor that executes PAUSE waits for another one: it gives its turn away, but not before it has spent these
 * nanoseconds of it. Else turns would be dearest where all of them wait for time to pass.
 */
const SHORTEST_SPIN = 500;

/** @throws RangeError that names the quantity */
function wholeNumber(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${name}: expected a whole number from ${least} to ${most}, found ${value}`);
}

export class Machine {
  readonly model: CpuModel;
  /** The timing model, and which of its figures were used. */
  readonly timing: TimingModel;
  readonly memory: PhysicalMemory;
  readonly mmu: Mmu;
  readonly platform: Platform;
  readonly processor: Processor;
  readonly states: readonly CpuState[];
  /** Where everything from outside enters. */
  readonly outside: OutsideInput;
  /** The network devices in the order of the options: frames for the guest go in between two slices. */
  readonly networks: readonly NetworkPort[];
  /** Messages of `onUnknown` with their counts. */
  readonly unknown = new Map<string, number>();

  /** Instructions executed since power-on. */
  instructions = 0;
  /** Of them, those of each processor. */
  readonly instructionsOf: number[];
  /** Virtual nanoseconds that were skipped because every processor waited. */
  idleTime = 0;
  /** Virtual nanoseconds that each processor waited through in HLT or MWAIT, or for its start; `idleTime` included. */
  readonly idleTimeOf: number[];
  /** Virtual nanoseconds that passed, by a host's clock, while processors had something to execute and did not. */
  stolenTime = 0;

  readonly #options: MachineOptions;
  readonly #virtioConsole: VirtioConsole | null;
  /** The timing model counts: budgets are in its units. */
  readonly #timed: boolean;
  /** What each processor spent up to the running slice: instructions, or units. */
  readonly #spent: number[];
  readonly #time: VirtualTime;
  /** Units of the budget. */
  readonly #quantum: number;
  /** The processor in its turn waits for another. */
  #yields = false;
  #stop: StopReason | null = null;
  #current: CpuState;
  /** Every processor waits. */
  #isIdle = false;

  /**
   * @throws RangeError for a memory size, number of processors or quantum that no machine has; CpuModelError or
   * TimingModelError for an unknown model.
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
    const pace = this.#timed ? new Pace(this.timing.frequencyHz, UNITS_PER_CYCLE) : new Pace(TSC_HZ, 1);
    const pages = PhysicalMemory.wasmPages(memorySize);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.memory = new PhysicalMemory(memory, { lowSize: memorySize });
    this.memory.map(VGA_WINDOW.base, VGA_WINDOW.length, "hole");
    const processors = wholeNumber("processors", options.cpus ?? 1, 1, MAX_CPUS);
    const quantum = wholeNumber(
      "quantum",
      options.quantum ?? QUANTUM.unlessGiven,
      QUANTUM.least,
      QUANTUM.most,
    );
    this.#quantum = pace.units(quantum);
    this.instructionsOf = Array<number>(processors).fill(0);
    this.idleTimeOf = Array<number>(processors).fill(0);
    this.#spent = Array<number>(processors).fill(0);
    this.states = Array.from({ length: processors }, (_, i) => new CpuState(memory, i));
    this.#current = this.states[0]!;
    const log = { unknown: (message: string) => this.#note(message) };
    const virtio = virtioDevices(options, (byte) => options.onConsole?.(byte));
    this.networks = virtio.networks;
    this.#virtioConsole = virtio.console;
    this.platform = createPlatform({
      processors,
      memorySize,
      log,
      physicalAddressBits: this.model.physicalBits,
      x2apic: this.model.features.has("x2apic"),
      tscDeadline: this.model.features.has("tsc-deadline"),
      virtio: virtio.attachments,
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
    const { processorPort: port, console } = this.platform;
    this.outside = new OutsideInput({
      place: this,
      type: (bytes) => (this.#virtioConsole?.isOpen === true ? this.#virtioConsole : console).receive(bytes),
      sendBreak: () => console.receiveBreak(),
      moveTime: (to) => this.#moveTime(to),
      deadline: () => this.platform.clock.nextDeadline() ?? Number.POSITIVE_INFINITY,
      runDue: () => this.platform.clock.runDue(),
    });
    this.networks.forEach((port, i) => {
      this.outside.connect(port, options.networks?.[i]?.source ?? null);
    });
    this.#time = new VirtualTime(this.platform.clock, pace, () => this.processor.spent);
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
      features:
        processors > 1 ? new Set([...this.model.features, "several-processors"]) : this.model.features,
      mmu: this.mmu,
      linear: this.mmu,
      translation: this.mmu,
      port,
      time: this.#time,
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
      tscHz: pace.tscHz,
      crystalHz: LOCAL_APIC_TIMER_HZ,
      seed: options.seed ?? 0n,
    });
    this.mmu.onDataBreakpoint = (cpu, hits) => cpu.setI32(PENDING_DEBUG, cpu.i32(PENDING_DEBUG) | hits);
    this.mmu.onCodeWrite = (page) => this.processor.code.invalidatePage(page);
    const { clock } = this.platform;
    clock.onEarlierDeadline = (deadline) => {
      if (clock.currentTime === null) return;
      this.processor.shortenSlice(this.#time.unitsUntil(deadline));
    };
    this.processor.onPause = () => {
      const { turns } = this.#time;
      if (turns.sharing === 1) return;
      if (turns.turnSpent(this.processor.spent) < this.#time.units(SHORTEST_SPIN)) return;
      this.#yields = true;
      this.processor.interruptSlice();
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
    this.outside.wake();
  }

  #processorSide(): ProcessorSide {
    return {
      onInterruptLine: (cpu) => this.#interruptLine(cpu),
      timeOfTsc: (cpu, low, high) => this.#time.timeOfTsc(cpu, low, high),
      onLocalApicMove: (cpu, base) => this.mmu.localApicMoved(cpu, base),
    };
  }

  #interruptLine(cpu: number): void {
    this.processor.noteEvent(cpu);
    // One that runs alone, and may for long, makes room for another that it, or a device, has woken.
    const { turns } = this.#time;
    if (this.platform.clock.currentTime === null || turns.sharing > 1 || turns.has(cpu)) return;
    if (this.processor.awake(this.states[cpu]!)) this.processor.interruptSlice();
  }

  /** Power-on state of every processor and device; memory keeps its contents. */
  reset(): void {
    this.platform.reset();
    this.#time.reset();
    for (const cpu of this.states) {
      cpu.setU64(MSR_TSC_ADJUST, 0n);
      resetCpu(this.processor, cpu, "power-up");
      // The bootstrap processor is the first (SDM vol. 3A 9.4).
      if (cpu.index !== 0) waitForStartup(cpu);
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
    for (const cpu of this.states.slice(1)) leaveAsFirmware(this.processor, cpu);
    return entry;
  }

  /** The processor in its turn, or that has had the last. */
  get current(): CpuState {
    return this.#current;
  }

  /** Virtual nanoseconds since power-on. */
  get time(): number {
    return this.platform.clock.now();
  }

  /**
   * Cycles that the processors executed since power-on, by the timing model; idle time is not among them. Without a
   * model, one for each instruction. Exact between instructions while single-stepping, and for observers: there the
   * instruction that they are told of is not yet among them, but what it has been charged so far is.
   */
  get cycles(): number {
    return this.states.reduce((sum, { index }) => sum + this.cyclesOf(index), 0);
  }

  /** Of `cycles`, those of one processor. */
  cyclesOf(index: number): number {
    const { processor, platform } = this;
    const runs = platform.clock.currentTime !== null && this.#current.index === index;
    return (this.#spent[index]! + (runs ? processor.spent : 0)) / (this.#timed ? UNITS_PER_CYCLE : 1);
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

  /** Bytes typed at the console: the virtio one if a driver runs it, else the serial one. */
  type(bytes: Uint8Array): void {
    this.outside.type(bytes);
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
  run(options: RunOptions = {}): Promise<StopReason> {
    const { outside, platform } = this;
    const { clock } = platform;
    const steps = {
      outside,
      now: () => clock.now(),
      slice: () => this.#slice(options),
      idle: () => this.#idle(),
      skip: (nanoseconds: number) => this.#skip(nanoseconds),
      untilDeadline: () => (clock.nextDeadline() ?? Number.POSITIVE_INFINITY) - clock.now(),
    };
    return runPaced(steps, options);
  }

  /** The processors that have something to execute. One by itself finds out by executing. */
  #awake(): number[] {
    if (this.states.length === 1) return [0];
    return this.states.filter((cpu) => this.processor.awake(cpu)).map((cpu) => cpu.index);
  }

  /** Begins a round of turns. `false`: every processor waits. */
  #beginRound(): boolean {
    const awake = this.#awake();
    if (awake.length === 0) return false;
    // By itself a processor may run until something happens; a line that MWAIT watches has to be looked at.
    const alone = awake.length === 1 && !this.states.some((cpu) => activity(cpu) === Activity.MWAIT);
    const length = alone ? Number.POSITIVE_INFINITY : this.#quantum;
    this.#time.turns.begin(awake, this.platform.clock.now(), length);
    return true;
  }

  /** One stay in a processor: its turn, or a part of it. */
  #slice({ maxInstructions = Number.POSITIVE_INFINITY }: RunOptions): StopReason | null {
    const { clock } = this.platform;
    if (this.outside.apply() === "end") return { kind: "replayed" };
    this.#isIdle = false;
    clock.runDue();
    if (this.#stop) return this.#takeStop();
    const left = Math.min(maxInstructions, this.outside.maxInstructions) - this.instructions;
    if (left <= 0) return { kind: "instruction-limit" };
    const { turns } = this.#time;
    if (!turns.active && !this.#beginRound()) {
      this.#isIdle = true;
      return null;
    }
    const scale = this.#timed ? UNITS_PER_CYCLE : 1;
    const limit = this.#timed ? left * LEAST_UNITS : left;
    const pause = this.#time.unitsUntil(clock.nextDeadline());
    const budget = Math.max(1, Math.min(SLICE * scale, limit, pause, turns.left));
    const cpu = this.states[turns.processor]!;
    this.#current = cpu;
    this.#yields = false;
    this.#time.beginSlice();
    const stop = this.processor.execute(cpu, budget);
    const { spent, executed } = this.processor;
    this.instructions += executed;
    this.instructionsOf[cpu.index]! += executed;
    this.#spent[cpu.index]! += spent;
    // A round of one is a slice, so that others who were woken meanwhile come into the next.
    const round = this.#time.endSlice(stop === Stop.IDLE || this.#yields || turns.sharing === 1);
    for (const { index } of this.states) if (!turns.has(index)) this.idleTimeOf[index]! += round;
    if (this.#stop) return this.#takeStop();
    if (stop === Stop.SHUTDOWN) return { kind: "triple-fault" };
    this.#isIdle = stop === Stop.IDLE && this.states.length === 1;
    return null;
  }

  /** Virtual nanoseconds from now to the next event if every processor waits and nothing has come in, else 0. */
  #idle(): number {
    if (!this.#isIdle || this.outside.apply() !== "nothing") return 0;
    const { clock } = this.platform;
    const next = clock.nextDeadline();
    return next === null ? Number.POSITIVE_INFINITY : Math.max(0, next - clock.now());
  }

  /** Lets idle time pass; with nothing to wait for, the machine has halted. */
  #skip(nanoseconds: number): StopReason | null {
    if (nanoseconds === Number.POSITIVE_INFINITY) return { kind: "halted" };
    if (nanoseconds > 0) this.#moveTime(this.platform.clock.now() + nanoseconds);
    return null;
  }

  /** Time passes in which nothing is executed. */
  #moveTime(to: number): void {
    const nanoseconds = to - this.platform.clock.now();
    if (this.#isIdle) {
      this.idleTime += nanoseconds;
      for (const { index } of this.states) this.idleTimeOf[index]! += nanoseconds;
    } else this.stolenTime += nanoseconds;
    this.#time.moveTo(to);
  }

  #takeStop(): StopReason {
    const reason = this.#stop!;
    this.#stop = null;
    return reason;
  }
}
