/** Kernel code that a linked application calls without a system call (`--link shortcut`). */
import { copyFileSync } from "node:fs";
import { basename, join } from "node:path";
import { compileKernel, compileShortcut, defaultCache } from "./kernel-source.ts";
import type { LinkedImage } from "./link-kernel.ts";
import { type BuildOptions, kernelDefines, kernelParts } from "./options.ts";
import type { ImageSymbol } from "./symbols.ts";
import type { Toolchain } from "./toolchain.ts";

export interface Shortcuts {
  /** Object files of the user's, from `--shortcut`. */
  readonly given: readonly string[];
  /** Those, and link/shortcut.c, whose definitions are weak. */
  readonly all: readonly string[];
  /** Whether a symbol of the linked image is one of theirs. */
  has(linked: LinkedImage, symbol: ImageSymbol): boolean;
}

/**
 * Compiles them.
 * @param directory an empty one for their object files alone
 * @throws BuildError with the compiler's messages
 */
export async function compileShortcuts(
  options: BuildOptions,
  toolchain: Toolchain,
  directory: string,
): Promise<Shortcuts> {
  if (options.link !== "shortcut") return { given: [], all: [], has: () => false };
  const defines = kernelDefines(options);
  const given: string[] = [];
  for (const [index, source] of (options.shortcuts ?? []).entries()) {
    const object = join(directory, `${index}-${basename(source)}.o`);
    await compileShortcut(source, defines, object);
    given.push(object);
  }
  const [own] = await compileKernel({
    toolchain,
    defines,
    parts: kernelParts(options),
    cache: options.cache ?? defaultCache(),
    sources: ["link/shortcut.c"],
  });
  const copy = join(directory, "shortcut.o");
  copyFileSync(own!, copy);
  return {
    given,
    all: [...given, copy],
    has: ({ map }, { address }) =>
      map.some(
        ({ file, address: at, size }) => file.startsWith(directory) && address >= at && address < at + size,
      ),
  };
}
