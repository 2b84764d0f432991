/**
 * A machine to boot: processor, memory, devices and virtual time put together. This is the library's face, and the
 * command line is built on it.
 *
 * Virtual time is one nanosecond an instruction, or what a timing model says, plus the time that idle processors
 * skip; several processors share it in turns (`execution.ts`, `turns.ts`). Everything the guest can observe follows
 * from the image, the options and the input (`outside-input.ts`), so a run repeats exactly.
 */
import { type EntryState, type ImageInfo, installFirmware, loadImage } from "../boot/index.ts";
import type { SystemObserver } from "../cpu/core.ts";
import { figuresUsed, forgetFigures, UNITS_PER_CYCLE } from "../cpu/cost.ts";
import { type CpuModel, parseCpuModel } from "../cpu/cpuid/index.ts";
import { ROWS } from "../cpu/decode/tables/index.ts";
import { helpers } from "../cpu/helpers.ts";
import { MAX_CPUS } from "../cpu/layout.ts";
import { Processor } from "../cpu/processor.ts";
import { definitions } from "../cpu/semantics/index.ts";
import { CpuState } from "../cpu/state.ts";
import { MSR_TSC_ADJUST, PENDING_DEBUG } from "../cpu/system/cold-state.ts";
import { resetCpu, setIdentity, waitForStartup } from "../cpu/system/index.ts";
import type { VirtioConsole } from "../devices/virtio/console.ts";
import type { NetworkPort } from "../devices/virtio/network-link.ts";
import { Mmu } from "../mmu/mmu.ts";
import { PhysicalMemory } from "../mmu/physical-memory.ts";
import { type Figure, figuresOf, isAssumed, type TimingModel, timingModel } from "../timing/index.ts";
import { LOCAL_APIC_TIMER_HZ, RAM_LIMIT, RAM_MINIMUM, TSC_HZ, VGA_WINDOW } from "./address-map.ts";
import { bootPlatform, firmwareOptions, virtioMmioArguments } from "./boot-platform.ts";
import { enterImage, leaveAsFirmware } from "./enter.ts";
import { Execution } from "./execution.ts";
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

  /** Of `instructions`, those of each processor. */
  readonly instructionsOf: readonly number[];
  /** Virtual nanoseconds that each processor waited through in HLT or MWAIT, or for its start; `idleTime` included. */
  readonly idleTimeOf: readonly number[];

  readonly #options: MachineOptions;
  readonly #virtioConsole: VirtioConsole | null;
  readonly #time: VirtualTime;
  readonly #execution: Execution;

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
    const timed = costs !== null;
    const pace = timed ? new Pace(this.timing.frequencyHz, UNITS_PER_CYCLE) : new Pace(TSC_HZ, 1);
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
    this.states = Array.from({ length: processors }, (_, i) => new CpuState(memory, i));
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
        onPowerOff: () => this.#execution.end({ kind: "power-off" }),
        onReset: (source) => this.#execution.end({ kind: "reset", source }),
        onDebugExit: (status) => this.#execution.end({ kind: "debug-exit", status }),
      },
    });
    const { clock, processorPort: port, console } = this.platform;
    this.outside = new OutsideInput({
      place: this,
      type: (bytes) => (this.#virtioConsole?.isOpen === true ? this.#virtioConsole : console).receive(bytes),
      sendBreak: () => console.receiveBreak(),
      moveTime: (to) => this.#execution.moveTime(to),
      deadline: () => clock.nextDeadline() ?? Number.POSITIVE_INFINITY,
    });
    this.networks.forEach((port, i) => {
      this.outside.connect(port, options.networks?.[i]?.source ?? null);
    });
    this.#time = new VirtualTime(clock, pace, () => this.processor.spent);
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
    this.#execution = new Execution({
      processor: this.processor,
      states: this.states,
      clock,
      time: this.#time,
      outside: this.outside,
      quantum: pace.units(quantum),
      timed,
    });
    this.instructionsOf = this.#execution.instructionsOf;
    this.idleTimeOf = this.#execution.idleTimeOf;
    this.reset();
    port.connect({
      onInterruptLine: (cpu) => this.#execution.interruptLine(cpu),
      timeOfTsc: (cpu, low, high) => this.#time.timeOfTsc(cpu, low, high),
      onLocalApicMove: (cpu, base) => this.mmu.localApicMoved(cpu, base),
    });
  }

  #note(message: string): void {
    const count = this.unknown.get(message) ?? 0;
    this.unknown.set(message, count + 1);
    if (count === 0) this.#options.onUnknown?.(message);
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
    this.#execution.reset();
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
    return this.#execution.current;
  }

  /** Virtual nanoseconds since power-on. */
  get time(): number {
    return this.platform.clock.now();
  }

  /** Instructions executed since power-on. */
  get instructions(): number {
    return this.#execution.instructions;
  }

  /** Virtual nanoseconds that were skipped because every processor waited. */
  get idleTime(): number {
    return this.#execution.idleTime;
  }

  /** Virtual nanoseconds that passed, by a host's clock, while processors had something to execute and did not. */
  get stolenTime(): number {
    return this.#execution.stolenTime;
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
    return this.#execution.cyclesOf(index);
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
    this.#execution.end({ kind: "stopped" });
  }

  set observer(observer: SystemObserver | null) {
    this.processor.observer = observer;
  }

  /** Runs to a stop without letting the host's event loop in. */
  runSync(options: RunOptions = {}): StopReason {
    for (;;) {
      const execution = this.#execution;
      const reason = execution.slice(options) ?? execution.skip(execution.idle());
      if (reason) return reason;
    }
  }

  /** Runs until the guest ends or `stop` is called; lets the host's event loop run in between. */
  run(options: RunOptions = {}): Promise<StopReason> {
    return runPaced(this.#execution, this.outside, this.platform.clock, options);
  }
}
