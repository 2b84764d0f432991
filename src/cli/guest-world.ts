/** Everything of the host's that a guest's run needs: its files, disks, networks, and what is recorded of it. */

import type { Machine } from "../machine/machine.ts";
import type { MachineOptions } from "../machine/machine-options.ts";
import type { Input, Place } from "../machine/outside-input.ts";
import { HostClock, type Pacing } from "../machine/pacing.ts";
import { openOutputs } from "./files.ts";
import { type RunFiles, readRunFiles } from "./load-machine.ts";
import { OpenDrives } from "./open-drives.ts";
import { OpenNetworks } from "./open-networks.ts";
import { FileSink } from "./output.ts";
import { openRecording, type RunRecording } from "./recording.ts";
import type { RunOptions } from "./run-options.ts";

export class GuestWorld {
  readonly files: RunFiles;
  readonly recording: RunRecording;
  /** Told of something that went wrong on the host and that the guest lives with, in one line. */
  onFailure: (message: string) => void = () => {};
  /** Told of an output that cannot be written to any more. */
  onClosed: (name: string, error: unknown) => void = () => {};

  readonly #options: RunOptions;
  readonly #drives: OpenDrives;
  readonly #networks: OpenNetworks;
  readonly #sinks: FileSink[] = [];

  private constructor(
    options: RunOptions,
    files: RunFiles,
    drives: OpenDrives,
    networks: OpenNetworks,
    recording: RunRecording,
  ) {
    this.#options = options;
    this.files = files;
    this.#drives = drives;
    this.#networks = networks;
    this.recording = recording;
    drives.onFailure = (message) => this.onFailure(message);
    networks.onFailure = (message) => this.onFailure(message);
  }

  /** Opens all or nothing. @throws UserError */
  static async open(options: RunOptions): Promise<GuestWorld> {
    const files = readRunFiles(options);
    const drives = await OpenDrives.open(options.drives);
    try {
      const recording = openRecording(options, files);
      try {
        const networks = await OpenNetworks.open(options.networks, options.replay !== undefined);
        return new GuestWorld(options, files, drives, networks, recording);
      } catch (error) {
        recording.close();
        throw error;
      }
    } catch (error) {
      drives.discard();
      throw error;
    }
  }

  /**
   * Opens files for writing, those of the world's own among them. None is a file that the run needs.
   * @param paths others
   * @returns file descriptors: of `paths`, and those that `begin` wants
   * @throws UserError
   */
  openOutputs(paths: readonly string[]): { descriptors: number[]; own: number[] } {
    const { image, initrd, record, pcap, replay } = this.#options;
    const all = [...paths, record, pcap].filter((path) => path !== undefined);
    const needed = [image, initrd, replay].filter((path) => path !== undefined);
    const descriptors = openOutputs(all, needed, this.#drives.files);
    return { own: descriptors.splice(paths.length), descriptors };
  }

  get devices(): Pick<MachineOptions, "drives" | "networks"> {
    return { drives: this.#drives.drives, networks: this.#networks.networks };
  }

  /** How virtual time goes with the host's; undefined: as the caller likes. */
  pacing(unlessGiven: "host" | "virtual"): Pacing | undefined {
    const { clock = unlessGiven, replay } = this.#options;
    return clock === "host" && replay === undefined ? new HostClock() : undefined;
  }

  /** The machine is about to run. @param descriptors what `openOutputs` has given for it */
  begin(machine: Machine, descriptors: readonly number[]): void {
    const [record, pcap] = [this.#options.record, this.#options.pcap];
    const open = [...descriptors];
    const sink = (path: string): FileSink => {
      const made = new FileSink(open.shift()!, (error) => this.onClosed(path, error));
      this.#sinks.push(made);
      return made;
    };
    if (record !== undefined) this.recording.begin(machine, sink(record).write);
    else this.recording.begin(machine, () => {});
    if (pcap !== undefined) this.#networks.capture(machine, sink(pcap).write);
    this.#networks.begin();
    const { recording } = this;
    const networks = this.#networks;
    machine.outside.onInput = (place: Place, input: Input) => {
      recording.input(place, input);
      if (input.kind === "frame") networks.arrived(input.device, input.frame, input.work);
    };
  }

  yield(): void {
    this.recording.yield();
    this.#networks.yield();
  }

  /** In place of `close`, where no guest has run. */
  discard(): void {
    this.close();
    this.#drives.discard();
  }

  /** May be called more than once. */
  close(): void {
    this.recording.close();
    this.#networks.close();
    this.#drives.close();
    for (const sink of this.#sinks.splice(0)) sink.close();
  }
}

/** Runs a session in its world, and leaves nothing of it open whatever its end. @throws UserError */
export async function withGuestWorld(
  options: RunOptions,
  create: (world: GuestWorld) => { run(): Promise<number>; close(): void },
): Promise<number> {
  const world = await GuestWorld.open(options);
  let hasBegun = false;
  try {
    const session = create(world);
    hasBegun = true;
    try {
      return await session.run();
    } finally {
      session.close();
    }
  } finally {
    if (hasBegun) world.close();
    else world.discard();
  }
}
