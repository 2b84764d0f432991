/**
 * Debian's cloud kernel in a machine of this process, with an initramfs that runs a script. Needs
 * `images/fetch-debian.ts` to have run.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildInitramfs, reachedInit } from "../../../images/initramfs.ts";
import { readVirtioModules } from "../../../images/kernel-modules.ts";
import type { BlockStore } from "../../../src/devices/virtio/block.ts";
import type { FrameWork, NetworkLink, NetworkPort } from "../../../src/devices/virtio/network-link.ts";
import { Machine, type MachineOptions } from "../../../src/machine/machine.ts";

const cache = join(import.meta.dirname, "..", "..", "..", "images", "cache");
const kernel = join(cache, "vmlinuz-cloud");
const debs = existsSync(join(cache, "debs")) ? readdirSync(join(cache, "debs")) : [];
const packages = [/^linux-image-.*cloud-amd64_/, /^busybox-static_/].map((pattern) =>
  debs.find((name) => pattern.test(name)),
);

/** Whether the kernel and its packages are there. */
export const hasLinux = existsSync(kernel) && packages.every((name) => name !== undefined);

let initrd: Uint8Array | null = null;

/** The initial RAM disk whose init runs a disk's script, with all virtio drivers. */
export function createInitrd(): Uint8Array {
  const root = mkdtempSync(join(tmpdir(), "ukl-emu-linux-"));
  try {
    for (const name of packages) execFileSync("dpkg-deb", ["-x", join(cache, "debs", name!), root]);
    const busybox = ["bin/busybox", "usr/bin/busybox"].map((p) => join(root, p)).find((p) => existsSync(p))!;
    return buildInitramfs("disk", readFileSync(busybox), readVirtioModules(root));
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** A disk that holds a script, for the initramfs to run. */
function scriptStore(script: string): BlockStore {
  const text = new TextEncoder().encode(script);
  const bytes = new Uint8Array(Math.ceil(text.length / 512) * 512);
  bytes.set(text);
  const refuse = (): never => {
    throw new Error("the script's disk is read-only");
  };
  return {
    size: bytes.length,
    readonly: true,
    read: (offset, target) => target.set(bytes.subarray(offset, offset + target.length)),
    write: refuse,
    writeZeroes: refuse,
    discard: refuse,
    flush() {},
  };
}

export interface LinuxRun {
  readonly machine: Machine;
  readonly reason: string;
  /** Console lines from the start of /init. */
  readonly lines: readonly string[];
}

/**
 * Boots with a script, which may end early.
 * @param words for the kernel's command line
 * @param betweenSlices called where input may enter; returns whether it put some in
 */
export async function runLinux(
  script: string,
  options: MachineOptions = {},
  betweenSlices: (machine: Machine) => boolean = () => false,
  words = "",
): Promise<LinuxRun> {
  initrd ??= createInitrd();
  const console: number[] = [];
  const drive = { id: "script", store: scriptStore(script), transport: "pci" } as const;
  const machine = new Machine({
    ...options,
    memory: options.memory ?? 256 << 20,
    drives: [...(options.drives ?? []), drive],
    onConsole: (byte) => {
      console.push(byte);
      options.onConsole?.(byte);
    },
  });
  machine.load({
    image: readFileSync(kernel),
    initrd,
    commandLine: `console=ttyS0 quiet cryptomgr.notests ${words}`.trim(),
  });
  // A source is asked between two slices: that is all that is wanted of it.
  const next = (): null => {
    betweenSlices(machine);
    return null;
  };
  machine.outside.connect({ hasRoom: true, receive: () => false }, { onFrames() {}, next });
  const reason = await machine.run({ maxInstructions: 60e9 });
  const text = Buffer.from(console).toString("latin1").replaceAll("\r", "");
  const lines = text.slice(Math.max(0, text.indexOf(reachedInit))).split("\n");
  return { machine, reason: reason.kind, lines };
}

/** A cable between two network devices: what one sends is kept until the other can be given it. */
export class Cable {
  readonly ends: readonly [NetworkLink, NetworkLink];
  /** Frames that crossed with work left, with a segmentation, and all. */
  readonly seen = { unfinished: 0, segmented: 0, frames: 0, longest: 0 };
  readonly #waiting: { to: number; frame: Uint8Array; work: FrameWork }[] = [];

  constructor(takesUnfinished = true) {
    const end = (to: number): NetworkLink => ({
      takesUnfinished,
      send: (frame, work) => {
        this.seen.frames++;
        this.seen.longest = Math.max(this.seen.longest, frame.length);
        if (work.checksum !== null) this.seen.unfinished++;
        if (work.segmentation !== null) this.seen.segmented++;
        this.#waiting.push({ to, frame: frame.slice(), work });
      },
    });
    this.ends = [end(1), end(0)];
  }

  /** Between two slices: hands over what there is room for. */
  deliver(ports: readonly NetworkPort[]): boolean {
    let count = 0;
    while (this.#waiting.length > 0 && ports[this.#waiting[0]!.to]!.hasRoom) {
      const { to, frame, work } = this.#waiting.shift()!;
      ports[to]!.receive(frame, work);
      count++;
    }
    return count > 0;
  }
}
