/**
 * The initramfs images the acceptance runs and the benchmark use: busybox-static and one /init each.
 */
import { gzipSync } from "node:zlib";
import { type CpioEntry, characterDevice, directory, encodeCpio, file, symlink } from "../src/build/cpio.ts";

/** The line at which "power-on to /init" ends in tests and benchmarks. */
export const reachedInit = "ukl-emu: reached /init";

const payloadBytes = 256 * 1024;

/** A file whose hash the guest must compute right: a fixed linear congruential sequence. */
export function payload(): Uint8Array {
  const bytes = new Uint8Array(payloadBytes);
  let state = 1;
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

const fileName = (path: string): string => path.replace(/^.*\//, "");

const mounts = `/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev 2>/dev/null
/bin/busybox mount -t tmpfs tmpfs /tmp
/bin/busybox --install -s /bin
export PATH=/bin
`;

/** Virtio drivers of Debian's kernels by their place in the package, in the order in which they can be loaded. */
export const diskModules = [
  "drivers/virtio/virtio_ring.ko",
  "drivers/virtio/virtio.ko",
  "drivers/virtio/virtio_pci_legacy_dev.ko",
  "drivers/virtio/virtio_pci_modern_dev.ko",
  "drivers/virtio/virtio_pci.ko",
  "drivers/virtio/virtio_mmio.ko",
  "drivers/char/hw_random/virtio-rng.ko",
  "drivers/block/virtio_blk.ko",
] as const;

/** What a network device needs beyond them. */
export const networkModules = [
  "net/core/failover.ko",
  "drivers/net/net_failover.ko",
  "drivers/net/virtio_net.ko",
] as const;

/** All that are loaded if they are there. */
export const optionalModules = [...networkModules, "drivers/char/virtio_console.ko"] as const;

/** The /init scripts by image name. */
export const initScripts = {
  /** Says that user space runs, and powers off: what a boot costs. */
  init: `#!/bin/busybox sh
echo "${reachedInit}"
/bin/busybox poweroff -f
`,
  /** The acceptance run: every line between "begin" and "end" is compared with the host. */
  script: `#!/bin/busybox sh
echo "${reachedInit}"
${mounts}echo "script: begin"
cat /proc/cpuinfo
mount
dd if=/dev/zero of=/tmp/zeros bs=4096 count=256 2>&1 | head -n 2
sha256sum /tmp/zeros
dd if=/data/payload of=/tmp/copy bs=512 2>/dev/null
cmp /data/payload /tmp/copy && echo "copy: same"
sha256sum /data/payload
awk 'BEGIN { for (i = 1; i <= 1000; i++) { s += i * i; h += 1 / i } printf "awk: %d %.12f %.6e\\n", s, h, s / h }'
gzip -c /data/payload | gunzip -c | sha256sum
seq 1 2000 | sort -rn | head -n 3
uname -srm
echo "script: end"
poweroff -f
`,
  /** An interactive shell on the console; the machine powers off when it exits. */
  shell: `#!/bin/busybox sh
${mounts}echo "${reachedInit}"
setsid cttyhack sh
poweroff -f
`,
  /**
   * Virtio devices: loads the drivers (the initramfs needs them: `diskModules`; others only if they are there), then
   * runs what the disk with the serial number "script" holds, or else an interactive shell.
   */
  disk: `#!/bin/busybox sh
${mounts}for module in ${diskModules.map(fileName).join(" ")}; do
  insmod /lib/modules/$module
done
for module in ${optionalModules.map(fileName).join(" ")}; do
  [ ! -e /lib/modules/$module ] || insmod /lib/modules/$module
done
echo "${reachedInit}"
for disk in /sys/block/vd*; do
  [ "$(cat $disk/serial 2>/dev/null)" = script ] && script=/dev/\${disk##*/}
done
if [ -n "$script" ]; then tr -d '\\0' <$script >/tmp/script; sh /tmp/script
else setsid cttyhack sh; fi
poweroff -f
`,
  /** Prints the kernel's symbols, for debugging: boot it with nokaslr. */
  symbols: `#!/bin/busybox sh
/bin/busybox mkdir -p /proc
/bin/busybox mount -t proc proc /proc
echo "symbols: begin"
/bin/busybox cat /proc/kallsyms
echo "symbols: end"
/bin/busybox poweroff -f
`,
} as const;

export type InitramfsName = keyof typeof initScripts;

/**
 * Builds one initramfs, gzip-compressed without a time stamp.
 * @param modules kernel modules by file name, for `disk`
 */
export function buildInitramfs(
  name: InitramfsName,
  busybox: Uint8Array,
  modules: Readonly<Record<string, Uint8Array>> = {},
): Uint8Array {
  const entries: CpioEntry[] = [
    directory("bin"),
    directory("dev"),
    // The kernel opens /dev/console for init before anything is mounted.
    characterDevice("dev/console", 5, 1),
    characterDevice("dev/null", 1, 3),
    file("bin/busybox", busybox, 0o755),
    symlink("bin/sh", "busybox"),
    file("init", new TextEncoder().encode(initScripts[name]), 0o755),
  ];
  if (name === "script") entries.push(directory("data"), file("data/payload", payload()));
  const moduleFiles = Object.entries(modules);
  if (moduleFiles.length > 0) entries.push(directory("lib"), directory("lib/modules"));
  for (const [module, bytes] of moduleFiles) entries.push(file(`lib/modules/${module}`, bytes));
  return gzipSync(encodeCpio(entries), { level: 9 });
}
