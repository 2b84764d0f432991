/**
 * A stock Linux kernel as the user network's guest: Debian's cloud kernel in QEMU (TCG), whose virtio-net device is joined to
 * a `NetworkBackend` by QEMU's stream protocol: each frame after its length in 32 bits. Its shell is driven over the
 * serial line.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  type CpioEntry,
  characterDevice,
  directory,
  encodeCpio,
  file,
  symlink,
} from "../../src/build/cpio.ts";
import { COMPLETE } from "../../src/devices/virtio/network-link.ts";
import type { NetworkBackend } from "../../src/net/backend.ts";

const cache = join(import.meta.dirname, "..", "..", "images", "cache");
const kernel = join(cache, "vmlinuz-cloud");
const debs = existsSync(join(cache, "debs")) ? readdirSync(join(cache, "debs")) : [];
const kernelPackage = debs.find((name) => /^linux-image-.*cloud-amd64_/.test(name));
const busyboxPackage = debs.find((name) => /^busybox-static_/.test(name));
const hasQemu = !spawnSync("qemu-system-x86_64", ["--version"]).error;

/** Whether there is all that it takes: the packages of `images/fetch-debian.ts`, and QEMU. */
export const available: boolean =
  existsSync(kernel) && kernelPackage !== undefined && busyboxPackage !== undefined && hasQemu;

/** In the order in which they can be loaded. */
const MODULES = [
  "drivers/virtio/virtio_ring.ko",
  "drivers/virtio/virtio.ko",
  "drivers/virtio/virtio_pci_legacy_dev.ko",
  "drivers/virtio/virtio_pci_modern_dev.ko",
  "drivers/virtio/virtio_pci.ko",
  "net/core/failover.ko",
  "drivers/net/net_failover.ko",
  "drivers/net/virtio_net.ko",
];

const END = "@@ end of command";

/** Runs lines from the console; after each the mark and its exit status. */
const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /etc
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox mount -t tmpfs tmpfs /tmp
/bin/busybox --install -s /bin
export PATH=/bin
stty -F /dev/ttyS0 -echo -onlcr
for module in ${MODULES.map((path) => basename(path)).join(" ")}; do insmod /modules/$module; done
ip link set lo up
ip link set eth0 up
echo "${END} 0"
while read -r line; do eval "$line"; echo "${END} $?"; done
poweroff -f
`;

/** Configures what DHCP gives. */
const UDHCPC = `#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr flush dev $interface
ip addr add $ip/$mask dev $interface
[ -n "$mtu" ] && ip link set $interface mtu $mtu
[ -n "$router" ] && ip route replace default via $router
[ -n "$dns" ] && echo "nameserver $dns" >/etc/resolv.conf
echo "$1 ip=$ip mask=$mask router=$router dns=$dns mtu=$mtu hostname=$hostname lease=$lease server=$serverid"
`;

function unpack(name: string, into: string): void {
  execFileSync("dpkg-deb", ["-x", join(cache, "debs", name), into]);
}

/** Writes the initramfs. */
function buildInitramfs(work: string): string {
  const root = join(work, "root");
  unpack(kernelPackage!, root);
  unpack(busyboxPackage!, root);
  const modules = ["lib/modules", "usr/lib/modules"].map((p) => join(root, p)).find((p) => existsSync(p))!;
  const drivers = join(modules, readdirSync(modules)[0]!, "kernel");
  const busybox = ["bin/busybox", "usr/bin/busybox"].map((p) => join(root, p)).find((p) => existsSync(p))!;
  const text = (content: string): Uint8Array => new TextEncoder().encode(content);
  const entries: CpioEntry[] = [
    directory("bin"),
    directory("dev"),
    directory("etc"),
    directory("modules"),
    characterDevice("dev/console", 5, 1),
    file("bin/busybox", readFileSync(busybox), 0o755),
    symlink("bin/sh", "busybox"),
    file("init", text(INIT), 0o755),
    file("etc/udhcpc", text(UDHCPC), 0o755),
    ...MODULES.map((path) => file(`modules/${basename(path)}`, readFileSync(join(drivers, path)))),
  ];
  const path = join(work, "initrd.gz");
  writeFileSync(path, gzipSync(encodeCpio(entries), { level: 1 }));
  rmSync(root, { recursive: true });
  return path;
}

/**
 * Joins a network and a socket that speaks the stream protocol. Frames wait on both sides, and are not lost but by `loses`.
 */
function joinStream(network: NetworkBackend, socket: Socket, loses: () => boolean): void {
  let rest: Buffer = Buffer.alloc(0);
  const prefix = Buffer.alloc(4);
  socket.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (rest.length - at >= 4) {
      const length = rest.readUInt32BE(at);
      if (rest.length - at - 4 < length) break;
      if (!loses()) network.send(rest.subarray(at + 4, at + 4 + length), COMPLETE);
      at += 4 + length;
    }
    rest = rest.subarray(at);
  });
  let scheduled = false;
  const pump = (): void => {
    scheduled = false;
    socket.cork();
    while (socket.writableLength < 1 << 20) {
      const next = network.next();
      if (next === null) break;
      if (loses()) continue;
      prefix.writeUInt32BE(next.frame.length);
      socket.write(Buffer.concat([prefix, next.frame]));
    }
    socket.uncork();
  };
  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(pump);
  };
  network.onFrames = schedule;
  socket.on("drain", schedule);
  socket.on("error", () => {});
  schedule();
}

export interface Result {
  readonly status: number;
  readonly lines: string[];
}

export class LinuxGuest {
  readonly #work: string;
  readonly #qemu: ChildProcess;
  readonly #server: Server | null;
  #text = "";
  #wait: (() => void) | null = null;
  #ended = false;

  private constructor(work: string, qemu: ChildProcess, server: Server | null) {
    this.#work = work;
    this.#qemu = qemu;
    this.#server = server;
    qemu.stdout!.setEncoding("latin1").on("data", (part: string) => {
      this.#text += part;
      this.#wait?.();
    });
    qemu.on("close", () => {
      this.#ended = true;
      this.#wait?.();
    });
  }

  /** @param network the network behind its card; or the words of a `-netdev` of QEMU's own, with id `n`. @param loses asked for each frame */
  static async boot(
    network: NetworkBackend | string,
    loses: () => boolean = () => false,
  ): Promise<LinuxGuest> {
    const work = mkdtempSync(join(tmpdir(), "linux-guest-"));
    const initrd = buildInitramfs(work);
    let server: Server | null = null;
    let netdev: string;
    if (typeof network === "string") netdev = network;
    else {
      const path = join(work, "net.sock");
      server = createServer((socket) => joinStream(network, socket, loses));
      await new Promise<void>((resolve) => server!.listen(path, resolve));
      netdev = `stream,id=n,server=off,addr.type=unix,addr.path=${path}`;
    }
    const qemu = spawn(
      "qemu-system-x86_64",
      ["-accel", "tcg", "-m", "512", "-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio"]
        .concat([
          "-kernel",
          kernel,
          "-initrd",
          initrd,
          "-append",
          "console=ttyS0 quiet cryptomgr.notests panic=-1",
        ])
        .concat(["-netdev", netdev, "-device", "virtio-net-pci,netdev=n,romfile="]),
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    const guest = new LinuxGuest(work, qemu, server);
    await guest.#result();
    return guest;
  }

  async #result(): Promise<Result> {
    for (;;) {
      const match = new RegExp(`${END} (\\d+)\r?\n`).exec(this.#text);
      if (match !== null) {
        const lines = this.#text.slice(0, match.index).split(/\r?\n/).slice(0, -1);
        this.#text = this.#text.slice(match.index + match[0].length);
        return { status: Number(match[1]), lines };
      }
      if (this.#ended) throw new Error(`the guest has ended: ${this.#text.slice(-2000)}`);
      await new Promise<void>((resolve) => {
        this.#wait = resolve;
      });
    }
  }

  /** Runs one line of shell. Its output must end with a line end. */
  async run(line: string): Promise<Result> {
    this.#qemu.stdin!.write(`${line}\n`);
    return this.#result();
  }

  close(): void {
    this.#qemu.kill("SIGKILL");
    this.#server?.close();
    rmSync(this.#work, { recursive: true, force: true });
  }
}
