/**
 * Where the outside world enters the machine: the only place. What is typed, frames for network devices, breaks of the
 * serial line, and movements of virtual time that a host's clock asks for come in here, between two slices; each has its
 * place in the run, a count of instructions and a virtual time. So whoever notes them with their places can have the run
 * again, and whoever supplies noted ones needs nothing else.
 *
 * Everything beyond this line (terminals, sockets, protocol stacks) is the host's and does not repeat.
 */
import type { FrameWork, NetworkPort } from "../devices/virtio/network-link.ts";

/** One thing that enters. Bytes belong to the giver again when whoever is told of it returns. */
export type Input =
  /** Bytes typed at the serial console. */
  | { readonly kind: "console"; readonly bytes: Uint8Array }
  /** A break of the serial line. */
  | { readonly kind: "break" }
  /** A frame for a network device, by its number in the machine. */
  | { readonly kind: "frame"; readonly device: number; readonly frame: Uint8Array; readonly work: FrameWork }
  /** Virtual time moves to `to` ns. It passes no deadline. */
  | { readonly kind: "time"; readonly to: number };

/** A place between two slices. Both only grow. */
export interface Place {
  /** Executed since power-on, by all processors. */
  readonly instructions: number;
  /** Virtual nanoseconds since power-on. */
  readonly time: number;
}

/** Is told of all input before it is applied. */
export type InputListener = (place: Place, input: Input) => void;

/** Supplies input in place of the outside world. */
export interface InputReplay {
  /** Where something is to be done next; the end when nothing is left. */
  readonly next: Place;
  /** Nothing is left: at `next` the run ends. */
  readonly over: boolean;
  /** What is to be done at `next`. Null: nothing but to look whether all is as it was. */
  take(): Input | null;
  /** The machine has passed `next`: it does not do what it did. Called once. */
  missed(place: Place): void;
  /** The limit of instructions that the run had. */
  readonly maxInstructions: number;
}

/** Where frames for a network device come from: every `NetworkBackend` is one. */
export interface FrameSource {
  /** Set by the machine. Called when there may be frames where there were none. */
  onFrames: () => void;
  /** The next frame, which belongs to the source again at the next call. Called only while the device has room. */
  next(): { readonly frame: Uint8Array; readonly work: FrameWork } | null;
}

/** What the input goes to. */
export interface InputTarget {
  readonly place: Place;
  type(bytes: Uint8Array): void;
  sendBreak(): void;
  moveTime(to: number): void;
  /** Virtual time of the next event, `Infinity` if there is none. */
  deadline(): number;
  /** Carries out what is due now, and what that makes due. */
  runDue(): void;
}

/** Timers of Node.js hold no more, ms: 24 days. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** What `apply` has found. */
export type Applied = "nothing" | "input" | "end";

export class OutsideInput {
  /** Set by whoever records. */
  onInput: InputListener | null = null;
  /** Something may still be typed: a machine that nothing else can wake waits for it. */
  mayType = false;

  readonly #target: InputTarget;
  /** What was typed since the last slice. */
  readonly #typed: Input[] = [];
  readonly #ports: NetworkPort[] = [];
  readonly #sources: (FrameSource | null)[] = [];
  #replay: InputReplay | null = null;
  #missed = false;
  /** Something may have come since `apply` looked. */
  #signalled = false;
  #wake: (() => void) | null = null;

  constructor(target: InputTarget) {
    this.#target = target;
  }

  /** Adds the next network device. @param source where its frames come from; null: it only sends */
  connect(port: NetworkPort, source: FrameSource | null): void {
    this.#ports.push(port);
    this.#sources.push(source);
    if (source !== null) source.onFrames = () => this.wake();
  }

  /** From now on input comes from here, and what the outside world has is dropped. */
  set replay(replay: InputReplay) {
    this.#replay = replay;
  }

  get replaying(): boolean {
    return this.#replay !== null;
  }

  /** Frames may come at any time. */
  get hasNetwork(): boolean {
    return this.#replay === null && this.#sources.some((source) => source !== null);
  }

  /** Something may still come: a machine that nothing else can wake has not halted. */
  get mayCome(): boolean {
    return this.#replay === null && (this.mayType || this.hasNetwork);
  }

  type(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#queue({ kind: "console", bytes: Uint8Array.from(bytes) });
  }

  sendBreak(): void {
    this.#queue({ kind: "break" });
  }

  #queue(input: Input): void {
    if (this.#replay !== null) return;
    this.#typed.push(input);
    this.wake();
  }

  /** Moves virtual time, as the host's clock has it. @param to not behind the next deadline */
  moveTime(to: number): void {
    this.#enter({ kind: "time", to });
  }

  /** Ends a `wait`, or the next one. */
  wake(): void {
    this.#signalled = true;
    this.#wake?.();
  }

  /** Resolves when something may have come, or after the time, or earlier. */
  async wait(milliseconds: number): Promise<void> {
    if (this.#signalled) return;
    await new Promise<void>((resolve) => {
      // Without a deadline there is no timer: what keeps the process alive is what may come.
      const timer =
        milliseconds < Number.POSITIVE_INFINITY
          ? setTimeout(() => this.#wake?.(), Math.min(milliseconds, LONGEST_TIMER))
          : null;
      this.#wake = () => {
        if (timer !== null) clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }

  /** The limit of instructions that a run which is repeated had: slices before it are as short as they were. */
  get maxInstructions(): number {
    return this.#replay === null ? Number.POSITIVE_INFINITY : this.#replay.maxInstructions;
  }

  /**
   * Applies what is there. Called between slices. What is due at this place comes before each input: the place alone could
   * not say whether a frame came before the guest's own had left or is the answer to it.
   */
  apply(): Applied {
    this.#signalled = false;
    return this.#replay === null ? this.#applyOutside() : this.#applyReplay(this.#replay);
  }

  #applyOutside(): Applied {
    let applied: Applied = "nothing";
    if (this.#typed.length > 0) {
      for (const input of this.#typed.splice(0)) {
        this.#target.runDue();
        this.#enter(input);
      }
      applied = "input";
    }
    for (let device = 0; device < this.#sources.length; device++) {
      const source = this.#sources[device]!;
      if (source === null) continue;
      const port = this.#ports[device]!;
      for (;;) {
        this.#target.runDue();
        if (!port.hasRoom) break;
        const outgoing = source.next();
        if (outgoing === null) break;
        this.#enter({ kind: "frame", device, frame: outgoing.frame, work: outgoing.work });
        applied = "input";
      }
    }
    return applied;
  }

  #applyReplay(replay: InputReplay): Applied {
    let applied: Applied = "nothing";
    for (;;) {
      if (this.#missed) return "end";
      const { instructions, time } = this.#target.place;
      const { next } = replay;
      if (instructions > next.instructions || time > next.time) {
        this.#missed = true;
        replay.missed({ instructions, time });
        return "end";
      }
      if (instructions < next.instructions || time < next.time) return applied;
      this.#target.runDue();
      if (replay.over) return "end";
      const input = replay.take();
      if (input === null) continue;
      // No recorder moves time over a deadline. Who would, would have all timers fire for what was skipped.
      if (input.kind === "time" && input.to > this.#target.deadline()) {
        this.#missed = true;
        replay.missed({ instructions, time });
        return "end";
      }
      this.#enter(input);
      applied = "input";
    }
  }

  #enter(input: Input): void {
    this.onInput?.(this.#target.place, input);
    switch (input.kind) {
      case "console":
        this.#target.type(input.bytes);
        break;
      case "break":
        this.#target.sendBreak();
        break;
      case "frame":
        this.#ports[input.device]?.receive(input.frame, input.work);
        break;
      case "time":
        this.#target.moveTime(input.to);
        break;
    }
  }
}
