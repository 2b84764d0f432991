/** Links the kernel, and the application where it is part of the image, by kernel.ld. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { linkError, programInputs } from "./application.ts";
import { BuildError } from "./build-error.ts";
import { ElfFile } from "./elf-file.ts";
import { kernelDirectory } from "./kernel-source.ts";
import { type MapRange, parseLinkerMap } from "./linker-map.ts";
import { needTool, runTool, type Toolchain } from "./toolchain.ts";

/** kernel.ld tells the application's sections from the kernel's by this name. */
const APPLICATION = "application.o";
const KERNEL = "kernel.o";

/**
 * Makes one object of the kernel, whose names are its own but for those in exports.txt: the application may
 * define `memcpy` or `panic` too. `wanted` are names that stay visible besides, where the kernel defines them.
 */
export async function combineKernel(
  objects: readonly string[],
  wanted: readonly string[],
  work: string,
): Promise<string> {
  const all = join(work, "kernel-all.o");
  const output = join(work, KERNEL);
  await needTool("combining the kernel", "ld", ["-m", "elf_x86_64", "-r", "-o", all, ...objects]);
  const exports = join(kernelDirectory(), "exports.txt");
  await needTool("combining the kernel", "objcopy", [
    `--keep-global-symbols=${exports}`,
    ...wanted.map((name) => `--keep-global-symbol=${name}`),
    ...[all, output],
  ]);
  return output;
}

/** Names that an object leaves to others. */
export const undefinedNames = (path: string): string[] =>
  new ElfFile(readFileSync(path), path).symbols
    .filter(({ name, section }) => name !== "" && section === 0)
    .map(({ name }) => name);

/** The application and its C library as one object. */
export interface CombinedApplication {
  readonly path: string;
  /** Where in the object's sections each input file is. */
  readonly map: readonly MapRange[];
}

export async function combineApplication(
  toolchain: Toolchain,
  objects: readonly string[],
  work: string,
): Promise<CombinedApplication> {
  const path = join(work, APPLICATION);
  const { ok, stderr } = await runTool("ld", [
    ...["-m", "elf_x86_64", "-r", "-d", "-Map", `${path}.map`, "-o", path],
    ...programInputs(toolchain, objects),
  ]);
  if (!ok) throw linkError("linking the application", stderr);
  return { path, map: parseLinkerMap(readFileSync(`${path}.map`, "utf8")) };
}

export interface ImageSizes {
  /** Code for rewritten system calls. */
  readonly stubs: number;
  /** Symbol table and initial file system. */
  readonly payload: number;
}

export interface LinkedImage {
  readonly elf: ElfFile;
  /** Input files by address; those of the application as before `combineApplication`. */
  readonly map: readonly MapRange[];
  readonly isKernel: (file: string) => boolean;
  /** What the linker script and the command line define: starts, ends and sizes. */
  readonly markers: ReadonlySet<string>;
}

/** The name by which the kernel starts the application. */
const APPLICATION_ENTRY = "application_entry";

/** Names that kernel.ld assigns to. */
function markers(): Set<string> {
  const script = readFileSync(join(kernelDirectory(), "kernel.ld"), "utf8");
  return new Set([APPLICATION_ENTRY, ...[...script.matchAll(/\b(\w+) = /g)].map((match) => match[1]!)]);
}

/** Links to `output`, with the map beside it as `.map`. */
export async function linkImage(
  kernel: string,
  application: CombinedApplication | null,
  sizes: ImageSizes,
  output: string,
): Promise<LinkedImage> {
  const { ok, stderr } = await runTool("ld", [
    ...["-m", "elf_x86_64", "-static", "-nostdlib", "--build-id=none", "--no-warn-rwx-segments"],
    ...["-z", "noexecstack", "-z", "max-page-size=4096", "--emit-relocs"],
    // DEFINED() of the script sees what comes before it.
    ...[`--defsym=STUBS_SIZE=${sizes.stubs}`, `--defsym=PAYLOAD_SIZE=${sizes.payload}`],
    ...["-T", join(kernelDirectory(), "kernel.ld"), "-Map", `${output}.map`, "-o", output],
    kernel,
    ...(application === null ? [] : [`--defsym=${APPLICATION_ENTRY}=_start`, application.path]),
  ]);
  if (!ok)
    throw application === null
      ? new BuildError("linking the kernel: ld failed", stderr)
      : linkError("linking the image", stderr);
  const map = parseLinkerMap(readFileSync(`${output}.map`, "utf8")).flatMap((range) =>
    application !== null && range.file === application.path ? split(range, application.map) : [range],
  );
  return {
    elf: new ElfFile(readFileSync(output), output),
    map,
    isKernel: (file) => file === kernel,
    markers: markers(),
  };
}

/** A section of the combined application, as the sections of its inputs. */
function split(range: MapRange, inputs: readonly MapRange[]): MapRange[] {
  return inputs
    .filter(({ section }) => section === range.section)
    .map((input) => ({ ...input, address: range.address + input.address }));
}

/** Links once to learn the sizes of what the builder adds, and again with room for it. */
export async function linkUntilStable<T extends { readonly sizes: ImageSizes }>(
  link: (sizes: ImageSizes) => Promise<T>,
): Promise<T> {
  let sizes: ImageSizes = { stubs: 0, payload: 0 };
  for (let round = 0; round < 4; round++) {
    const result = await link(sizes);
    if (result.sizes.stubs === sizes.stubs && result.sizes.payload === sizes.payload) return result;
    sizes = result.sizes;
  }
  throw new BuildError("linking the image: expected sizes that settle, found others at each turn");
}
