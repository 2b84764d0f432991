/** The same guest for both machines: the command lines of this emulator and of QEMU's TCG. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

export type MachineName = "ukl-emu" | "qemu";

export interface GuestDrive {
  readonly file: string;
  readonly format: "raw" | "qcow2";
  readonly transport?: "pci" | "mmio";
  /** Writes are forgotten. */
  readonly snapshot?: boolean;
}

export interface GuestSpec {
  readonly kernel: string;
  readonly initrd?: string;
  /** Kernel command line; the console is added. */
  readonly append: string;
  readonly memoryMiB: number;
  readonly cpus?: number;
  readonly drives?: readonly GuestDrive[];
  /** Ports of the host's loopback that lead to the guest. */
  readonly forwards?: readonly { readonly host: number; readonly guest: number }[];
  /** More arguments, for one machine. */
  readonly extra?: Partial<Record<MachineName, readonly string[]>>;
}

const root = join(import.meta.dirname, "..", "..");

/** Bundles the emulator as it stands into a directory. @returns the entry point */
export function bundleEmulator(directory: string): string {
  execFileSync(process.execPath, ["scripts/bundle.mjs", directory], { cwd: root, stdio: "ignore" });
  return join(directory, "cli.js");
}

function emulatorCommand(entry: string, spec: GuestSpec): string[] {
  const drives = (spec.drives ?? []).flatMap(({ file, format, transport, snapshot }) => [
    "--drive",
    [
      `file=${file}`,
      `format=${format}`,
      ...(snapshot ? ["snapshot"] : []),
      `transport=${transport ?? "pci"}`,
    ].join(","),
  ]);
  const forwards = spec.forwards?.map(({ host, guest }) => `hostfwd=tcp:127.0.0.1:${host}-:${guest}`);
  return [
    ...[process.execPath, entry, "boot", spec.kernel],
    ...(spec.initrd === undefined ? [] : ["--initrd", spec.initrd]),
    ...["--append", `console=ttyS0 ${spec.append}`, "--memory", `${spec.memoryMiB}M`],
    ...(spec.cpus === undefined ? [] : ["--cpus", String(spec.cpus)]),
    ...drives,
    ...(forwards ? ["--net", ["user", ...forwards].join(",")] : []),
    ...(spec.extra?.["ukl-emu"] ?? []),
  ];
}

function qemuCommand(spec: GuestSpec): string[] {
  const drives = (spec.drives ?? []).flatMap(({ file, format, transport, snapshot }, index) => [
    "-drive",
    `file=${file},format=${format},if=none,id=disk${index}${snapshot ? ",snapshot=on" : ""}`,
    "-device",
    `virtio-blk-${transport === "mmio" ? "device" : "pci"},drive=disk${index}`,
  ]);
  const forwards = spec.forwards?.map(({ host, guest }) => `hostfwd=tcp:127.0.0.1:${host}-:${guest}`);
  const network = ["-netdev", ["user,id=net0", ...(forwards ?? [])].join(",")];
  return [
    ...["qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "qemu64", "-m", `${spec.memoryMiB}M`],
    ...["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"],
    // Linux gives up on a timer that a busy host is late with.
    ...["-kernel", spec.kernel, "-append", `console=ttyS0 no_timer_check ${spec.append}`],
    ...(spec.initrd === undefined ? [] : ["-initrd", spec.initrd]),
    ...(spec.cpus === undefined ? [] : ["-smp", String(spec.cpus)]),
    ...drives,
    ...(forwards ? [...network, "-device", "virtio-net-pci,netdev=net0"] : []),
    ...(spec.extra?.qemu ?? []),
  ];
}

/** @param entry of the emulator, see `bundleEmulator` */
export const machineCommand = (machine: MachineName, entry: string, spec: GuestSpec): string[] =>
  machine === "qemu" ? qemuCommand(spec) : emulatorCommand(entry, spec);
