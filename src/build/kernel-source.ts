/** The kernel's sources: where they are, and the objects compiled from them, kept by their contents. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { BuildError } from "./build-error.ts";
import type { KernelPart } from "./options.ts";
import { runTool, type Toolchain } from "./toolchain.ts";

/** Directories of src/ukl-kernel that are not the kernel. */
const NOT_KERNEL = ["apps", "mechanisms", "link", "include"];

const KERNEL_FLAGS = [
  ...["-m64", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-pic", "-fno-pie"],
  // Kernel code: interrupts arrive anywhere, addresses are in the top 2 GiB, vector registers are the application's.
  ...["-mcmodel=kernel", "-mno-red-zone", "-mgeneral-regs-only", "-fno-stack-protector"],
  ...["-fcf-protection=none", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"],
  ...["-fno-asynchronous-unwind-tables", "-fno-ident", "-fno-strict-aliasing"],
];

/** src/ukl-kernel of this package, whether this runs from src/ or from a bundle. */
export function kernelDirectory(): string {
  for (let directory = import.meta.dirname; ; directory = dirname(directory)) {
    const candidate = join(directory, "src", "ukl-kernel");
    if (existsSync(join(candidate, "include", "image.h"))) return candidate;
    if (dirname(directory) === directory) {
      throw new BuildError(
        "build: expected the kernel's sources in the package (src/ukl-kernel), found none",
      );
    }
  }
}

/** The user's cache directory by the XDG base directory specification. */
export function defaultCache(): string {
  const { XDG_CACHE_HOME } = process.env;
  return join(XDG_CACHE_HOME?.startsWith("/") ? XDG_CACHE_HOME : join(homedir(), ".cache"), "ukl-emu");
}

/** Paths below `directory`, in a fixed order. */
function filesBelow(directory: string): string[] {
  return (readdirSync(directory, { recursive: true }) as string[])
    .map((path) => path.split("\\").join("/"))
    .sort();
}

/** Sources that belong to parts of the kernel: compiled if one of these parts is asked for. First match counts. */
const PART_SOURCES: readonly (readonly [RegExp, readonly KernelPart[]])[] = [
  [/^drivers\/virtio-blk\.c$|^fs\/(?:ext2|block-cache|mount)/, ["disk"]],
  [/^drivers\/virtio-net\.c$|^net\//, ["net"]],
  [/^drivers\//, ["disk", "net"]],
];

/** The kernel's C and assembly files, relative to src/ukl-kernel. */
export function kernelSources(directory: string, parts: ReadonlySet<KernelPart>): string[] {
  return filesBelow(directory).filter((path) => {
    if (!/\.[cS]$/.test(path) || !path.includes("/") || NOT_KERNEL.includes(path.split("/")[0]!))
      return false;
    const part = PART_SOURCES.find(([pattern]) => pattern.test(path));
    return part === undefined || part[1].some((name) => parts.has(name));
  });
}

/** Runs jobs on all processors; the first failure stops the rest. */
async function parallel<T>(jobs: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = new Array(jobs.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < jobs.length) {
      const index = next++;
      try {
        results[index] = await jobs[index]!();
      } catch (error) {
        next = jobs.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), jobs.length) }, worker));
  return results;
}

export interface CompileKernelOptions {
  readonly toolchain: Toolchain;
  /** -D options. */
  readonly defines: readonly string[];
  /** Where objects are kept. */
  readonly cache: string;
  /** Parts of the kernel beside those that are always there. */
  readonly parts: ReadonlySet<KernelPart>;
  /** Sources relative to src/ukl-kernel; default: the whole kernel with these parts. */
  readonly sources?: readonly string[];
  readonly onProgress?: ((done: number, total: number, file: string) => void) | undefined;
}

/**
 * Compiles the kernel.
 * @returns paths of the objects, in the order of their sources
 * @throws BuildError with the compiler's messages
 */
export async function compileKernel(options: CompileKernelOptions): Promise<string[]> {
  const directory = kernelDirectory();
  const { toolchain, defines, cache } = options;
  const sources = options.sources ?? kernelSources(directory, options.parts);
  const flags = [...KERNEL_FLAGS, ...defines, "-I", "include", "-I", ".", `-ffile-prefix-map=${directory}=.`];
  const common = createHash("sha256");
  common.update(JSON.stringify([toolchain.version, KERNEL_FLAGS, defines]));
  for (const path of filesBelow(directory).filter((name) => name.endsWith(".h"))) {
    common.update(`\0${path}\0`).update(readFileSync(join(directory, path)));
  }
  const commonDigest = common.digest();
  makeDirectory(cache);

  const objects = sources.map((source) => {
    const digest = createHash("sha256").update(commonDigest).update(`${source}\0`);
    digest.update(readFileSync(join(directory, source)));
    return { source, path: join(cache, `${digest.digest("hex").slice(0, 40)}.o`) };
  });
  const wanted = objects.filter(({ path }) => !existsSync(path));
  let done = 0;
  await parallel(
    wanted.map(({ source, path }) => async () => {
      options.onProgress?.(done, wanted.length, source);
      // Builds may run side by side: an object appears whole or not at all.
      const partial = `${path}.${process.pid}`;
      const { ok, stderr } = await runTool("gcc", [...flags, "-c", source, "-o", partial], directory);
      if (!ok) throw new BuildError(`${source}: the kernel's source could not be compiled`, stderr);
      renameSync(partial, path);
      done++;
    }),
  );
  options.onProgress?.(done, wanted.length, "");
  return objects.map(({ path }) => path);
}

/**
 * Compiles a source of the user's as kernel code: the kernel's flags and headers, but warnings stay warnings.
 * @throws BuildError with the compiler's messages
 */
export async function compileShortcut(
  source: string,
  defines: readonly string[],
  output: string,
): Promise<void> {
  if (!source.endsWith(".c") || !existsSync(source)) {
    throw new BuildError(
      `${source}: expected a C source for --shortcut, found ${existsSync(source) ? "another name" : "no such file"}`,
    );
  }
  const kernel = kernelDirectory();
  const { ok, stderr } = await runTool("gcc", [
    ...KERNEL_FLAGS.filter((flag) => flag !== "-Werror"),
    ...defines,
    ...["-I", join(kernel, "include"), "-I", kernel],
    ...[`-ffile-prefix-map=${resolve(dirname(source))}=.`, `-ffile-prefix-map=${kernel}=ukl-kernel`],
    ...["-c", source, "-o", output],
  ]);
  if (!ok) throw new BuildError(`${source}: expected C that gcc compiles, found errors (above)`, stderr);
  if (stderr !== "") process.stderr.write(stderr);
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n");
  } catch (error) {
    throw new BuildError(
      `${path}: expected a directory for compiled kernel objects, found ${(error as NodeJS.ErrnoException).code}: set XDG_CACHE_HOME`,
    );
  }
}
