/** What the loaders of Linux images share: command line, initrd and zero page in guest memory. */
import { cString } from "./bytes.ts";
import { byteCount, ImageError } from "./image-error.ts";
import type { Placement } from "./placement.ts";
import type { BootModule, GuestMemory, LoadOptions } from "./platform.ts";

/** Writes the command line where the layout wants it and returns its address. */
export function placeCommandLine(
  memory: GuestMemory,
  placement: Placement,
  options: LoadOptions,
  limit = Number.POSITIVE_INFINITY,
): number {
  const { commandLine: range } = options.platform.layout;
  const bytes = cString(options.commandLine);
  const most = Math.min(limit, range.length - 1);
  if (bytes.length - 1 > most) {
    throw new ImageError(
      `the command line has ${byteCount(bytes.length - 1)}, expected at most ${byteCount(most)}`,
    );
  }
  if (options.commandLine.includes("\0")) throw new ImageError("the command line holds a NUL character");
  placement.claim("command line", range.base, bytes.length);
  memory.write(range.base, bytes);
  return range.base;
}

/** The initrd, if one is given. */
export function onlyModule(options: LoadOptions): BootModule | undefined {
  const modules = options.modules ?? [];
  if (modules.length > 1) {
    throw new ImageError(`the Linux boot protocol takes one initrd, found ${modules.length} modules`);
  }
  return modules[0];
}

/**
 * Puts the initrd as high as the kernel allows, away from where the kernel unpacks itself (boot.rst, field
 * initrd_addr_max: the last address it may occupy).
 */
export function placeInitrd(
  memory: GuestMemory,
  placement: Placement,
  module: BootModule | undefined,
  lastAddress: number,
): { base: number; length: number } | undefined {
  if (module === undefined) return undefined;
  if (module.data.length === 0)
    throw new ImageError("the initrd is empty: expected a cpio archive, found 0 bytes");
  const base = placement.claimHighest("initrd", module.data.length, lastAddress);
  memory.write(base, module.data);
  return { base, length: module.data.length };
}

/** Claims the zero page and writes it. */
export function writeZeroPage(
  memory: GuestMemory,
  placement: Placement,
  address: number,
  page: Uint8Array,
): void {
  placement.claim("zero page", address, page.length);
  memory.write(address, page);
}
