/** What every network back end is to the one who runs it: the outside of a network device, and a place to take frames from. */
import type { FrameWork, NetworkLink } from "../devices/virtio/network-link.ts";

export interface OutgoingFrame {
  /** Belongs to the back end again at the next call of `next`. */
  readonly frame: Uint8Array;
  readonly work: FrameWork;
}

export interface NetworkBackend extends NetworkLink {
  /** Called when there may be frames for the guest where there were none. It must not take them at once. */
  onFrames: () => void;
  /** The next frame for the guest; null if there is none now. Called only while the device has room for it. */
  next(): OutgoingFrame | null;
  /** Lets go of everything on the host: sockets, timers. May be called more than once. */
  close(): void;
}
