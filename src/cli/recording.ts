/** `--record` and `--replay`: what has to be the same for a run to repeat, and the run's input to a file or from one. */
import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { Machine, StopReason } from "../machine/machine.ts";
import type { Input, Place } from "../machine/outside-input.ts";
import { Ending } from "../replay/format.ts";
import { Recorder } from "../replay/recorder.ts";
import { RecordingFile } from "../replay/recording-file.ts";
import { Replayer } from "../replay/replayer.ts";
import { RecordingError } from "../replay/varint.ts";
import { systemErrorText, UserError } from "./errors.ts";
import type { RunFiles } from "./load-machine.ts";
import { macText } from "./networks.ts";
import type { Cause } from "./outcome.ts";
import type { RunOptions } from "./run-options.ts";
import { packageVersion } from "./version.ts";

/** What a run does with recordings. */
export interface RunRecording {
  /** The machine is about to run. @param write where a recording goes */
  begin(machine: Machine, write: (bytes: Uint8Array) => void): void;
  /** Something enters the machine. */
  input(place: Place, input: Input): void;
  /** The guest has written to the console. @returns true where a recorded run was stopped at this byte */
  consoleByte(byte: number): boolean;
  /** The run is stopped because of the last byte on the console. */
  stoppedByConsole(): void;
  /** Between slices. */
  yield(): void;
  /** The run is over. @returns how it differs from the recorded one, null if it does not */
  end(machine: Machine, reason: StopReason, cause: Cause | null): string | null;
  /** May be called more than once. */
  close(): void;
}

const none: RunRecording = {
  begin() {},
  input() {},
  consoleByte: () => false,
  stoppedByConsole() {},
  yield() {},
  end: () => null,
  close() {},
};

/** @throws UserError */
export function openRecording(options: RunOptions, files: RunFiles): RunRecording {
  const { record, replay } = options;
  if (record !== undefined) return new Recording(options, header(options, files));
  if (replay === undefined) return none;
  return new Replay(replay, header(options, files));
}

// ---- What has to be the same -----------------------------------------------------------------------------

/** By option, in words that can be compared and shown. */
type Header = Readonly<Record<string, string>>;

const NONE = "none";
const DEFAULT = "the default";

const contents = (size: number, digest: string): string => `${size} bytes, SHA-256 ${digest}`;

function ofBytes(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return NONE;
  return contents(bytes.length, createHash("sha256").update(bytes).digest("hex"));
}

const CHUNK = 2 ** 20;

/** @throws UserError */
function ofFile(path: string): string {
  const hash = createHash("sha256");
  const chunk = new Uint8Array(CHUNK);
  try {
    const fd = openSync(path, "r");
    try {
      let size = 0;
      for (;;) {
        const read = readSync(fd, chunk, 0, CHUNK, size);
        if (read === 0) return contents(size, hash.digest("hex"));
        hash.update(chunk.subarray(0, read));
        size += read;
      }
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new UserError(`--drive: ${path}: expected to read it, found ${systemErrorText(error)}`);
  }
}

function header(options: RunOptions, files: RunFiles): Header {
  const { drives, networks } = options;
  const option = (value: unknown): string => (value === undefined ? DEFAULT : String(value));
  return {
    version: packageVersion(),
    IMAGE: ofBytes(files.image),
    "--initrd": ofBytes(files.initrd),
    "--append": JSON.stringify(options.append),
    "--memory": option(options.memory),
    "--cpus": option(options.cpus ?? 1),
    "--quantum": option(options.quantum),
    "--cpu": option(options.cpu),
    "--timing": option(options.timing ?? "none"),
    "--seed": option(options.seed ?? 0n),
    "--rng": option(options.rng ?? NONE),
    "--hvc": option(options.hvc ?? NONE),
    ...Object.fromEntries(
      drives.map((drive, i) => {
        const kind = drive.readonly ? "readonly" : "snapshot";
        return [`--drive ${i + 1}`, `${drive.id}, ${drive.transport}, ${kind}, ${ofFile(drive.file)}`];
      }),
    ),
    ...Object.fromEntries(
      networks.map(({ backend, mac, mtu, queuePairs, transport }, i) => [
        `--net ${i + 1}`,
        `${backend.kind}, ${macText(mac)}, mtu ${option(mtu)}, queues ${queuePairs}, ${transport}`,
      ]),
    ),
  };
}

/** @throws UserError that names the first difference */
function compare(path: string, recorded: Header, given: Header): void {
  for (const name of new Set([...Object.keys(recorded), ...Object.keys(given)])) {
    const [expected = NONE, found = NONE] = [recorded[name], given[name]];
    if (expected === found) continue;
    if (name === "version") {
      throw new UserError(`${path}: expected a recording of ukl-emu ${found}, found one of ${expected}`);
    }
    throw new UserError(`--replay ${path}: expected ${name} as recorded (${expected}), found ${found}`);
  }
}

/** @throws RecordingError */
function parseHeader(text: string): Header {
  const wrong = new RecordingError("a header that is not one");
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw wrong;
  }
  if (typeof parsed !== "object" || parsed === null) throw wrong;
  if (!Object.values(parsed).every((value) => typeof value === "string")) throw wrong;
  return parsed as Header;
}

// ---- Recording -------------------------------------------------------------------------------------------

class Recording implements RunRecording {
  readonly #header: Header;
  readonly #maxInstructions: number;
  #machine: Machine | null = null;
  #recorder: Recorder | null = null;

  constructor({ drives, maxInstructions = 0 }: RunOptions, header: Header) {
    // A replay needs the disks as they were. Nobody but the user could bring them back.
    const written = drives.find(({ readonly, snapshot }) => !readonly && !snapshot);
    if (written !== undefined) {
      throw new UserError(
        `--record: expected every drive to be readonly or snapshot, so that a replay finds it as it was, found ${written.file}`,
      );
    }
    this.#header = header;
    this.#maxInstructions = maxInstructions;
  }

  begin(machine: Machine, write: (bytes: Uint8Array) => void): void {
    this.#machine = machine;
    this.#recorder = new Recorder(write, JSON.stringify(this.#header));
  }

  input(place: Place, input: Input): void {
    this.#recorder!.input(place, input);
  }

  consoleByte(byte: number): boolean {
    this.#recorder!.consoleByte(byte);
    return false;
  }

  stoppedByConsole(): void {
    this.#recorder!.stoppedByConsole();
  }

  yield(): void {
    this.#recorder!.yield(this.#machine!);
  }

  end(machine: Machine, reason: StopReason, cause: Cause | null): null {
    const recorder = this.#recorder!;
    // An output that failed may have stopped the run anywhere: there is no saying where it would end again.
    if (cause === "closed") recorder.cutOff();
    else if (reason.kind !== "instruction-limit") recorder.end(machine, Ending.BETWEEN_SLICES);
    else recorder.end(machine, Ending.INSTRUCTION_LIMIT, this.#maxInstructions);
    return null;
  }

  close(): void {}
}

// ---- Replaying -------------------------------------------------------------------------------------------

class Replay implements RunRecording {
  readonly #path: string;
  readonly #fd: number;
  readonly #replayer: Replayer;
  #isOpen = true;

  /** @throws UserError */
  constructor(path: string, given: Header) {
    this.#path = path;
    try {
      this.#fd = openSync(path, "r");
    } catch (error) {
      throw new UserError(`--replay ${path}: expected a recording, found ${systemErrorText(error)}`);
    }
    try {
      if (!fstatSync(this.#fd).isFile()) throw new RecordingError("a directory or a special file");
      const file = new RecordingFile(this.#fd);
      compare(path, parseHeader(file.header), given);
      this.#replayer = new Replayer(file);
    } catch (error) {
      this.close();
      throw this.#userError(error);
    }
  }

  #userError(error: unknown): unknown {
    if (!(error instanceof RecordingError)) return error;
    return new UserError(`--replay ${this.#path}: expected a recording, found ${error.message}`);
  }

  begin(machine: Machine): void {
    machine.outside.replay = this.#replayer;
  }

  input(): void {}

  consoleByte(byte: number): boolean {
    return this.#replayer.consoleByte(byte);
  }

  stoppedByConsole(): void {}

  yield(): void {}

  end(machine: Machine, { kind }: StopReason, cause: Cause | null): string | null {
    // Whoever stops it earlier does not compare ends.
    const isStopped = kind === "stopped" && cause !== "replayed";
    if (!isStopped) this.#replayer.finish(machine);
    return this.#replayer.divergence;
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }
}
