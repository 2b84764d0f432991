/** From options to a machine with its image loaded; what cannot be used is told by the option's name. */
import { ImageError } from "../boot/index.ts";
import { CpuModelError } from "../cpu/cpuid/index.ts";
import { Machine, type MachineOptions } from "../machine/machine.ts";
import { TimingModelError } from "../timing/index.ts";
import { UserError } from "./errors.ts";
import { readInput } from "./files.ts";
import type { RunOptions } from "./run-options.ts";

export interface RunFiles {
  readonly image: Uint8Array;
  readonly initrd: Uint8Array | undefined;
}

/** @throws UserError */
export function readRunFiles({ image, initrd }: RunOptions): RunFiles {
  return {
    image: readInput(image, "a kernel image"),
    initrd: initrd === undefined ? undefined : readInput(initrd, "an initial RAM disk"),
  };
}

type MachineDevices = Pick<MachineOptions, "drives" | "networks">;
type MachineEvents = Pick<MachineOptions, "onConsole" | "onDebugByte" | "onUnknown">;

/** @throws UserError */
export function loadMachine(
  options: RunOptions,
  { image, initrd }: RunFiles,
  devices: MachineDevices,
  events: MachineEvents,
): Machine {
  const machine = createMachine(options, devices, events);
  try {
    machine.load({ image, commandLine: options.append, ...(initrd ? { initrd } : {}) });
  } catch (error) {
    if (error instanceof ImageError) throw new UserError(`${options.image}: ${error.message}`);
    throw error;
  }
  return machine;
}

function createMachine(options: RunOptions, devices: MachineDevices, events: MachineEvents): Machine {
  const { memory, cpus, quantum, cpu, timing, seed, rng, hvc } = options;
  try {
    return new Machine({
      ...(cpus === undefined ? {} : { cpus }),
      ...(quantum === undefined ? {} : { quantum }),
      ...(memory === undefined ? {} : { memory }),
      ...(cpu === undefined ? {} : { cpu }),
      ...(timing === undefined ? {} : { timing }),
      ...(seed === undefined ? {} : { seed }),
      ...(rng === undefined ? {} : { rng }),
      ...(hvc === undefined ? {} : { virtioConsole: hvc }),
      ...devices,
      ...events,
    });
  } catch (error) {
    if (error instanceof CpuModelError) throw new UserError(`--cpu: ${error.message}`);
    if (error instanceof TimingModelError) throw new UserError(`--timing: ${error.message}`);
    if (error instanceof RangeError && /virtio/.test(error.message)) {
      const option = options.networks.length > 0 ? "--drive, --net" : "--drive";
      throw new UserError(`${option}: the machine cannot have ${error.message}`);
    }
    // Too small, too large, or more than the host can give.
    if (error instanceof RangeError && /memory/i.test(error.message)) {
      throw new UserError(`--memory: ${error.message}`);
    }
    throw error;
  }
}
