/** One image under one load: from power-on to the last answer, on virtual time alone, so that it repeats exactly. */
import { SymbolTable } from "../../debug/symbols.ts";
import { Machine, type StopReason } from "../../machine/machine.ts";
import { UserNetwork } from "../../net/user/network.ts";
import { MachineClock } from "./clock.ts";
import { Load, type LoadShape } from "./load.ts";
import { Wire } from "./wire.ts";

export interface ServerRunRequest {
  readonly image: Uint8Array;
  readonly load: LoadShape;
  /** Virtual nanoseconds from the guest to the generator and back. */
  readonly roundTrip: number;
  readonly model: string;
  /** Bytes of guest RAM. */
  readonly memory: number;
  readonly cpu?: string;
}

/** Counts between the first answer that counts and the last, of all the machine did. */
export interface ServerCounts {
  readonly requests: number;
  /** Virtual nanoseconds, idle ones included. */
  readonly time: number;
  readonly idleTime: number;
  readonly cycles: number;
  readonly instructions: number;
  readonly systemCalls: number;
  readonly ringTransitions: number;
  /** Names of figures of the model without a source that cycles rest on. */
  readonly assumed: readonly string[];
}

/** The image did not serve, or an answer was wrong or missing: one line. */
export class ServerError extends Error {
  override readonly name = "ServerError";
}

/** Virtual seconds that the server has to begin, and then from one answer to the next. */
const PATIENCE_S = { begin: 30, answer: 2 } as const;
/** A guest that computes for ever is given up. */
const LIMIT = { begin: 1e9, request: 2e6 } as const;
const LISTENING = "listening on port ";
/** What every system call passes once, by the way that it comes: arch/entry-*.S of the kernel. */
const DISPATCHES = ["dispatch_syscall", "dispatch_kml", "dispatch_zpoline", "dispatch_ukl", "dispatch_byp"];
/** A console line without an end is kept in pieces. */
const LONGEST_LINE = 200;
const MAC = "52:54:00:12:34:56";

type Counters = Omit<ServerCounts, "requests" | "assumed">;

/** Numbers for the generator's initial sequence numbers: the same in every run (Knuth's MMIX generator). */
function numbers(): () => number {
  let state = 1n;
  return () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 32n);
  };
}

/** @throws ServerError */
export function runServer(request: ServerRunRequest): ServerCounts {
  return new ServerRun(request).run();
}

class ServerRun {
  readonly #request: ServerRunRequest;
  readonly #machine: Machine;
  readonly #network: UserNetwork;
  readonly #load: Load;
  readonly #patience: ReturnType<Machine["platform"]["clock"]["timer"]>;
  /** The console's line under way, and the last one. */
  #console = "";
  #lastLine = "";
  #listens = false;
  #systemCalls = 0;
  #ringTransitions = 0;
  #start: Counters | null = null;
  #counts: ServerCounts | null = null;
  #failure: string | null = null;

  constructor(request: ServerRunRequest) {
    this.#request = request;
    const { model, memory, cpu } = request;
    const clock = new MachineClock();
    const network = new UserNetwork({ clock, hostSockets: false, random: numbers() });
    const wire = new Wire(network, request.roundTrip);
    const machine = new Machine({
      ...{ memory, timing: model, ...(cpu === undefined ? {} : { cpu }) },
      networks: [{ link: wire, source: wire, mac: MAC, transport: "pci" }],
      onConsole: (byte) => this.#consoleByte(byte),
    });
    this.#machine = machine;
    this.#network = network;
    clock.connect(machine);
    wire.connect(machine);
    this.#load = new Load(request.load, {
      progress: () => this.#patience.arm(machine.time + PATIENCE_S.answer * 1e9),
      begin: () => this.#begin(),
      end: (requests) => this.#end(requests),
      done: () => machine.stop(),
      failed: (what) => this.#fail(what),
    });
    this.#patience = machine.platform.clock.timer("patience of the load", () => {
      this.#fail(
        this.#listens
          ? `expected ${this.#load.waitsFor}, found none in ${PATIENCE_S.answer} s of the guest's time`
          : `expected it to say "${LISTENING}N", found nothing of it in ${PATIENCE_S.begin} s of the guest's time`,
      );
    });
    this.#watch();
    machine.load({ image: request.image });
  }

  run(): ServerCounts {
    const { warmUp, requests, connections, pipeline } = this.#request.load;
    this.#patience.arm(PATIENCE_S.begin * 1e9);
    const atMost = LIMIT.begin + (warmUp + requests + 2 * connections * pipeline) * LIMIT.request;
    const stop = this.#machine.runSync({ maxInstructions: atMost });
    this.#network.close();
    if (this.#failure !== null) throw new ServerError(this.#failure);
    if (stop.kind !== "stopped" || this.#counts === null) throw new ServerError(this.#ended(stop));
    return this.#counts;
  }

  #watch(): void {
    const { processor } = this.#machine;
    const symbols = SymbolTable.load(this.#request.image);
    for (const name of DISPATCHES) {
      const dispatch = symbols.byName(name);
      if (dispatch !== undefined) processor.watch(dispatch.address, () => void this.#systemCalls++);
    }
    processor.observer = {
      transfer: (_cpu, _cause, from, to) => {
        if (from !== to) this.#ringTransitions++;
      },
    };
  }

  #consoleByte(byte: number): void {
    const letter = String.fromCharCode(byte);
    if (letter === "\n" && !this.#listens && this.#console.startsWith(LISTENING)) {
      this.#listens = true;
      this.#soon(() => {
        this.#patience.arm(this.#machine.time + PATIENCE_S.answer * 1e9);
        this.#load.start(this.#network);
      });
    }
    if (letter === "\n") this.#lastLine = this.#console;
    if (letter === "\n" || this.#console.length >= LONGEST_LINE) this.#console = "";
    if (letter >= " ") this.#console += letter;
  }

  /** Between two slices. */
  #soon(action: () => void): void {
    const { clock } = this.#machine.platform;
    clock.timer("begin of the load", action).arm(clock.now() + 1);
  }

  #counters(): Counters {
    const { time, idleTime, cycles, instructions } = this.#machine;
    return {
      ...{ time, idleTime, cycles, instructions },
      ...{ systemCalls: this.#systemCalls, ringTransitions: this.#ringTransitions },
    };
  }

  #begin(): void {
    this.#machine.forgetFigures();
    this.#start = this.#counters();
  }

  #end(requests: number): void {
    const [start, now] = [this.#start!, this.#counters()];
    this.#counts = {
      requests,
      time: now.time - start.time,
      idleTime: now.idleTime - start.idleTime,
      cycles: now.cycles - start.cycles,
      instructions: now.instructions - start.instructions,
      systemCalls: now.systemCalls - start.systemCalls,
      ringTransitions: now.ringTransitions - start.ringTransitions,
      assumed: this.#machine.assumedUsed.map(({ name }) => name),
    };
  }

  #fail(what: string): void {
    this.#failure ??= what;
    this.#machine.stop();
  }

  #ended(stop: StopReason): string {
    const line = (this.#console || this.#lastLine).trim();
    return `expected it to serve, found ${stop.kind}${line === "" ? "" : `; its last line: ${line}`}`;
  }
}
