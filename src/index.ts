/** The library: `import { Machine } from "ukl-emu"`. */
export { describeImage, ImageError, type ImageInfo } from "./boot/index.ts";
export { CpuModelError } from "./cpu/cpuid/index.ts";
export type { CpuState, SegmentRegister } from "./cpu/state.ts";
export type { BlockStore } from "./devices/virtio/block.ts";
export type { FrameWork, NetworkLink, NetworkPort } from "./devices/virtio/network-link.ts";
export {
  type LoadRequest,
  Machine,
  type MachineOptions,
  type RunOptions,
  type StopReason,
} from "./machine/machine.ts";
export type {
  FrameSource,
  Input,
  InputListener,
  InputReplay,
  OutsideInput,
  Place,
} from "./machine/outside-input.ts";
export { HostClock, type Pacing, SleepIdle } from "./machine/pacing.ts";
export type { MachineDrive, MachineNetwork, VirtioTransport } from "./machine/virtio.ts";
export {
  type Figure,
  TIMING_MODELS,
  type TimingModel,
  TimingModelError,
  timingModel,
} from "./timing/index.ts";
