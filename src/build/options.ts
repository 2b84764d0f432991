/** What can be asked of a build, and which combinations cannot work. */
import { BuildError } from "./build-error.ts";

export const LINK_MODES = ["ring3", "kml", "zpoline", "ukl", "ukl-byp", "shortcut"] as const;
export type LinkMode = (typeof LINK_MODES)[number];

/** How the kernel and the application are linked: src/ukl-kernel/include/config.h. */
export interface KernelOptions {
  readonly link: LinkMode;
  /** Page-table isolation: two page tables a process, CR3 written on entry and on exit. */
  readonly kpti?: boolean;
  /** With `kpti`: translations survive the CR3 writes. */
  readonly pcid?: boolean;
  /** Whether system calls of ring-0 code move to a kernel stack. Default: as the mode does. */
  readonly stackSwitch?: boolean;
  /** Where page faults of ring-0 code push their frame: on an IST stack (default), or, by #DF, where they can. */
  readonly faultStack?: "ist" | "df";
  /** How faults and interrupts return to ring-0 code. Default: IRET. */
  readonly return?: "iret" | "ret";
  /** Virtio disks, and the ext2 file system on them. */
  readonly disk?: boolean;
  /** Virtio network devices, TCP/IP, sockets, epoll. */
  readonly net?: boolean;
  /** Several processors: the kernel starts those that ACPI names. */
  readonly smp?: boolean;
}

/** Parts of the kernel that are compiled only when they are asked for. */
export type KernelPart = "disk" | "net" | "smp";

const PARTS = ["disk", "net", "smp"] as const satisfies readonly KernelPart[];

export const kernelParts = (options: KernelOptions): ReadonlySet<KernelPart> =>
  new Set(PARTS.filter((part) => options[part] === true));

/** A file of the initial file system besides the application. */
export interface ExtraFile {
  /** On this machine; a `.c` file is compiled. */
  readonly host: string;
  /** In the guest; default: the file's name in the root directory, without `.c`. */
  readonly guest?: string;
  /** Default: as on this machine; 755 for compiled programs. */
  readonly permissions?: number;
}

export interface BuildOptions extends KernelOptions {
  /** C and assembly sources, objects and archives; or one static executable (ring3, kml, zpoline). */
  readonly inputs: readonly string[];
  readonly extraFiles?: readonly ExtraFile[];
  /** With `link: "shortcut"`: C sources compiled as kernel code, which the application calls directly. */
  readonly shortcuts?: readonly string[];
  /** Kernel command line in front of the boot loader's. */
  readonly commandLine?: string;
  /** More options for gcc, for the application's sources. */
  readonly cFlags?: readonly string[];
  /** Build though the application can make system calls that the kernel does not have. */
  readonly allowMissingCalls?: boolean;
  /** Directory for the ELF file and the linker's map. */
  readonly keep?: string;
  /** Compiled kernel objects; default: the user's cache directory. */
  readonly cache?: string;
  /** Where usr/lib/x86_64-linux-musl is; default "/". */
  readonly root?: string;
  /** Called before each file of the kernel that has to be compiled. */
  readonly onProgress?: (done: number, total: number, file: string) => void;
}

/** Whether the application is part of the kernel's image. */
export const isLinked = (mode: LinkMode): boolean => LINK_MODES.indexOf(mode) >= LINK_MODES.indexOf("ukl");

/** Throws `BuildError` for what config.h refuses, and for what would have no effect. */
export function checkOptions(options: KernelOptions & Pick<BuildOptions, "shortcuts">): void {
  const { link } = options;
  if ((options.shortcuts ?? []).length > 0 && link !== "shortcut") {
    throw new BuildError(
      `--shortcut: expected --link shortcut, found ${link}: only there the application calls kernel functions`,
    );
  }
  if (options.kpti === true && link !== "ring3") {
    throw new BuildError(
      `--kpti: expected --link ring3, found ${link}: page-table isolation needs an application at ring 3`,
    );
  }
  if (options.pcid === true && options.kpti !== true) {
    throw new BuildError("--pcid: expected --kpti beside it: without CR3 writes there is nothing to keep");
  }
  if (options.faultStack === "df" && !isLinked(link)) {
    throw new BuildError(
      `--fault-stack df: expected --link ukl, ukl-byp or shortcut, found ${link}: ` +
        "unmodified binaries use the red zone below the stack: leave it at ist",
    );
  }
  if (options.stackSwitch === false && !isLinked(link)) {
    throw new BuildError(
      `--stack-switch off: expected --link ukl, ukl-byp or shortcut, found ${link}: ` +
        "the system calls of a program that was not compiled for it need a stack of the kernel",
    );
  }
  if (options.return === "ret" && link === "ring3") {
    throw new BuildError(
      "--return ret: expected a mode with the application at ring 0, found ring3: RET does not change the ring",
    );
  }
}

/** The kernel's compile-time constants. */
export function kernelDefines(options: KernelOptions): string[] {
  checkOptions(options);
  const { link, kpti = false, pcid = false, stackSwitch, faultStack = "ist" } = options;
  return [
    `-DLINK_MODE=${LINK_MODES.indexOf(link)}`,
    `-DKPTI=${Number(kpti)}`,
    `-DPCID=${Number(pcid)}`,
    ...(stackSwitch === undefined ? [] : [`-DSTACK_SWITCH=${Number(stackSwitch)}`]),
    `-DFAULT_STACK_IST=${Number(faultStack === "ist")}`,
    `-DRETURN_RET=${Number(options.return === "ret")}`,
    ...[...kernelParts(options)].map((part) => `-DCONFIG_${part.toUpperCase()}=1`),
  ];
}
