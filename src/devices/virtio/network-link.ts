/**
 * What a network device is plugged into: the interface between the device and whoever carries its frames. A frame is an
 * Ethernet frame without preamble and frame check sequence. Work that the driver left to the device, or that the
 * device may leave to the driver, travels beside the frame, so that nobody cuts up or sums what its receiver takes whole.
 */

/** A checksum that is still to be computed (5.1.6.2, VIRTIO_NET_HDR_F_NEEDS_CSUM). */
export interface PartialChecksum {
  /** Offset in the frame of the first byte that is summed; the sum goes to its end. */
  readonly start: number;
  /** Offset from `start` of the 16 bits that take the sum; they hold the sum of the pseudo header. */
  readonly offset: number;
}

/** A frame that stands for several (5.1.6.2, gso_type): each is to carry `size` bytes of its payload. */
export interface Segmentation {
  readonly protocol: "tcp4" | "tcp6";
  /** Bytes of payload in each segment but the last. */
  readonly size: number;
  /** The congestion window reduced flag is only for the first segment (VIRTIO_NET_HDR_GSO_ECN). */
  readonly ecn: boolean;
}

/** What is left to do with a frame. A frame with `segmentation` has a `checksum` to be computed too. */
export interface FrameWork {
  readonly checksum: PartialChecksum | null;
  readonly segmentation: Segmentation | null;
}

/** Nothing is left to do. */
export const COMPLETE: FrameWork = { checksum: null, segmentation: null };

/** The outside of a network device. */
export interface NetworkLink {
  /** Whether `send` takes frames with work left. If not, the device offers the driver no such features. */
  readonly takesUnfinished: boolean;
  /** A frame from the guest. Its bytes belong to the caller again when this returns. Never throws for what is in it. */
  send(frame: Uint8Array, work: FrameWork): void;
}

/** The network device, for who has frames for the guest. They may only come between two slices. */
export interface NetworkPort {
  /** Whether `receive` would take a frame now. While no driver runs it is true, and frames are lost. */
  readonly hasRoom: boolean;
  /**
   * Puts a frame on its way to the guest. Its bytes belong to the caller again when this returns. A frame with work left goes to a
   * driver that takes such frames as it is; for others the device does the work.
   * @returns false if it was dropped: no room, no driver, malformed, or longer than the driver or any frame
   * (65,557 bytes) allows; true for one that the driver's filter does not let through
   */
  receive(frame: Uint8Array, work: FrameWork): boolean;
}

/** A link to nowhere: the device is there, its cable ends in the air. */
export const UNPLUGGED: NetworkLink = { takesUnfinished: true, send() {} };
