/** The application's side of a build: what the inputs are, and compiling and linking them with musl. */
import { readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { BuildError } from "./build-error.ts";
import { ElfFile, ET_DYN, ET_EXEC, ET_REL, isElf, PT_INTERP } from "./elf-file.ts";
import { kernelDirectory } from "./kernel-source.ts";
import { needTool, runTool, type Toolchain } from "./toolchain.ts";

export type InputKind = "source" | "object" | "archive" | "executable";

export interface Input {
  readonly path: string;
  readonly kind: InputKind;
}

const ARCHIVE_MAGIC = "!<arch>\n";

/** The bytes of a file that the user named. Throws `BuildError`. */
export function readFile(path: string, expected: string): Uint8Array {
  try {
    if (!statSync(path).isFile())
      throw new BuildError(`${path}: expected ${expected}, found no regular file`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof BuildError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new BuildError(`${path}: expected ${expected}, found ${code === "ENOENT" ? "no such file" : code}`);
  }
}

/** What a file is, by its contents; sources by their names. Throws `BuildError`. */
export function classifyInput(path: string): Input {
  const expected = "a C source, an object or a static x86-64 program";
  const bytes = readFile(path, expected);
  if (isElf(bytes)) {
    const elf = new ElfFile(bytes, path);
    if (elf.type === ET_REL) return { path, kind: "object" };
    if (elf.segments.some((segment) => segment.type === PT_INTERP)) {
      throw new BuildError(
        `${path}: expected a static program, found a dynamic one: link it with -static -no-pie`,
      );
    }
    if (elf.type === ET_DYN) {
      throw new BuildError(
        `${path}: expected a program at fixed addresses, found a position-independent one: link it with -static -no-pie`,
      );
    }
    if (elf.type !== ET_EXEC)
      throw new BuildError(`${path}: expected ${expected}, found ELF type ${elf.type}`);
    return { path, kind: "executable" };
  }
  if (Buffer.from(bytes.subarray(0, ARCHIVE_MAGIC.length)).toString("latin1") === ARCHIVE_MAGIC) {
    return { path, kind: "archive" };
  }
  if ([".c", ".S", ".s"].includes(extname(path))) return { path, kind: "source" };
  throw new BuildError(`${path}: expected ${expected}, found neither the name of a source nor an ELF file`);
}

/** Code for ring 0 in the top 2 GiB, where no ring 3 lies between an interrupt and the stack. */
const LINKED_FLAGS = ["-mcmodel=kernel", "-mno-red-zone"];

const APPLICATION_FLAGS = [
  ...["-m64", "-O2", "-fno-pic", "-fno-pie", "-nostdinc", "-fno-stack-protector", "-fcf-protection=none"],
  ...["-fno-asynchronous-unwind-tables", "-fno-ident"],
];

export interface CompileOptions {
  readonly toolchain: Toolchain;
  /** Compile for the kernel's image. */
  readonly linked: boolean;
  readonly cFlags: readonly string[];
  /** Directory for the objects. */
  readonly work: string;
}

/** Compiles one source; the compiler's messages go into the error. @returns the object's path */
async function compile(source: string, index: number, options: CompileOptions): Promise<string> {
  const { toolchain, linked, cFlags, work } = options;
  const directory = resolve(dirname(source));
  const kernel = kernelDirectory();
  const object = join(work, `${index}-${basename(source)}.o`);
  const { ok, stderr } = await runTool("gcc", [
    ...APPLICATION_FLAGS,
    ...(linked ? LINKED_FLAGS : []),
    // Where the sources are and where this runs must not show in the result.
    ...[`-ffile-prefix-map=${directory}=.`, `-ffile-prefix-map=${kernel}=ukl-kernel`],
    ...["-I", join(kernel, "apps", "include")],
    ...["-isystem", toolchain.muslInclude, "-isystem", toolchain.gccInclude],
    ...cFlags,
    ...["-c", source, "-o", object],
  ]);
  if (!ok) throw new BuildError(`${source}: expected C that gcc compiles, found errors (above)`, stderr);
  if (stderr !== "") process.stderr.write(stderr);
  return object;
}

/** Objects and archives of all inputs, compiled where they are sources. */
export function compileInputs(inputs: readonly Input[], options: CompileOptions): Promise<string[]> {
  return Promise.all(
    inputs.map(({ path, kind }, index) => (kind === "source" ? compile(path, index, options) : path)),
  );
}

/** The linker's input that makes a program of the objects: start-up code and C library, in order. */
export function programInputs(toolchain: Toolchain, objects: readonly string[]): string[] {
  const file = (name: string): string => join(toolchain.muslLibrary, name);
  return [
    file("crt1.o"),
    file("crti.o"),
    ...objects,
    ...["--start-group", file("libc.a"), toolchain.libgcc, "--end-group"],
    file("crtn.o"),
  ];
}

/** Turns the linker's complaints into one line that names the first. */
export function linkError(what: string, stderr: string): BuildError {
  const undefinedNames = [...stderr.matchAll(/undefined reference to `([^']+)'/g)].map((match) => match[1]!);
  if (undefinedNames.length > 0) {
    const names = [...new Set(undefinedNames)];
    return new BuildError(
      `${what}: expected all functions in the inputs or in musl, found none for ${names.slice(0, 5).join(", ")}` +
        `${names.length > 5 ? ` and ${names.length - 5} more` : ""}: add the sources or archives that define them`,
      stderr,
    );
  }
  return new BuildError(`${what}: expected objects that ld links, found errors (above)`, stderr);
}

/** Links a static program at fixed addresses. @returns its path; the map is beside it as `.map` */
export async function linkProgram(
  toolchain: Toolchain,
  objects: readonly string[],
  output: string,
): Promise<string> {
  const { ok, stderr } = await runTool("ld", [
    ...["-m", "elf_x86_64", "-static", "--build-id=none", "--no-warn-rwx-segments"],
    ...["-z", "noexecstack", "-z", "noseparate-code", "-z", "norelro"],
    ...["-Map", `${output}.map`, "-o", output],
    ...programInputs(toolchain, objects),
  ]);
  if (!ok) throw linkError("linking the application", stderr);
  return output;
}

/** The program without symbols, for the guest. */
export async function strip(program: string, output: string): Promise<Uint8Array> {
  await needTool("stripping the application", "objcopy", ["--strip-all", program, output]);
  return readFileSync(output);
}
