/**
 * Initramfs images for campaigns: busybox, programs of the host with their libraries, kernel modules, and a script. They are
 * not compressed, since an emulated processor would have to undo it.
 */
import { basename } from "node:path";
import { type CpioEntry, characterDevice, directory, encodeCpio, file, symlink } from "../src/build/cpio.ts";
import { parentDirectories, programEntries } from "./host-programs.ts";
import type { KernelModule } from "./module-tree.ts";

export interface GuestParts {
  /** busybox, statically linked. */
  readonly busybox: Uint8Array;
  /** Loaded in this order before the script. */
  readonly modules: readonly KernelModule[];
  /** Programs of the host, by name or absolute path. */
  readonly programs: readonly string[];
  /** More programs, by their path in the guest without a leading slash. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** Lines of a shell, run as process 1 with everything mounted. The machine powers off when they end. */
  readonly script: string;
}

const init = ({ modules, script }: GuestParts): string => `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /mnt
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev 2>/dev/null
/bin/busybox mount -t tmpfs tmpfs /tmp
/bin/busybox mkdir -p /dev/shm
/bin/busybox mount -t tmpfs tmpfs /dev/shm
/bin/busybox --install -s /bin
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
ip link set lo up
for module in ${modules.map(({ path }) => basename(path)).join(" ")}; do insmod /lib/modules/$module || echo "init: insmod $module failed"; done
${script}
# What is still in the console's buffer would be lost.
sleep 1
poweroff -f
`;

export function buildGuestInitramfs(parts: GuestParts): Uint8Array {
  const text = new TextEncoder();
  const programs = programEntries(parts.programs);
  const modules = parts.modules.map(({ path, bytes }) => file(`lib/modules/${basename(path)}`, bytes));
  const more = Object.entries(parts.files ?? {}).map(([path, bytes]) => file(path, bytes, 0o755));
  const files = [...programs, ...modules, ...more];
  const fixed: CpioEntry[] = [
    directory("bin"),
    directory("dev"),
    // The kernel opens /dev/console for init before anything is mounted.
    characterDevice("dev/console", 5, 1),
    characterDevice("dev/null", 1, 3),
    file("bin/busybox", parts.busybox, 0o755),
    symlink("bin/sh", "busybox"),
    file("init", text.encode(init(parts)), 0o755),
  ];
  const made = new Set(["bin", "dev"]);
  const parents = parentDirectories(files.map(({ path }) => path)).filter(({ path }) => !made.has(path));
  return encodeCpio([...fixed, ...parents, ...files]);
}
