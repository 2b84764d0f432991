/**
 * Builds images: the kernel of src/ukl-kernel with an application, in one of six ways of linking them, as a
 * bzImage. Needs gcc, binutils and musl-dev. The same sources and the same gcc give the same bytes.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import {
  type CompileOptions,
  classifyInput,
  compileInputs,
  type Input,
  linkProgram,
  readFile,
  strip,
} from "./application.ts";
import { BuildError } from "./build-error.ts";
import {
  branchTargets,
  type Code,
  type DecodeRange,
  disassemble,
  functionAt,
  loadDecoder,
} from "./disassembly.ts";
import { ElfFile } from "./elf-file.ts";
import { type GuestFile, makeInitramfs } from "./initramfs.ts";
import { constantCalls, findRedZones, kernelCalls, missingCalls } from "./inspect.ts";
import { compileKernel, defaultCache, kernelDirectory } from "./kernel-source.ts";
import {
  combineApplication,
  combineKernel,
  type ImageSizes,
  type LinkedImage,
  linkImage,
  linkUntilStable,
  undefinedNames,
} from "./link-kernel.ts";
import { parseLinkerMap } from "./linker-map.ts";
import {
  type BuildOptions,
  checkOptions,
  type ExtraFile,
  isLinked,
  kernelDefines,
  kernelParts,
  type LinkMode,
} from "./options.ts";
import { COMMAND_LINE_LONGEST, payloadSize, writePayload } from "./payload.ts";
import {
  applyRewrites,
  type Form,
  planRewrites,
  type Rewrite,
  replaceHalts,
  rewriteForTrampoline,
  stubsSize,
} from "./rewrite-calls.ts";
import { compileShortcuts } from "./shortcuts.ts";
import { foreignSymbols, type ImageSymbol, programSymbols } from "./symbols.ts";
import { findToolchain, needTool, type Toolchain } from "./toolchain.ts";

export { BuildError } from "./build-error.ts";
export {
  type BuildOptions,
  type ExtraFile,
  type KernelOptions,
  LINK_MODES,
  type LinkMode,
} from "./options.ts";

export interface BuildResult {
  /** The bzImage. */
  readonly image: Uint8Array;
  readonly link: LinkMode;
  /** First line of `gcc --version`. */
  readonly compiler: string;
  /** SYSCALL instructions that were replaced, by what; empty where none are. */
  readonly rewritten: Readonly<Partial<Record<Form | "trampoline", number>>>;
  /** System calls with a constant number that the kernel lacks: "mount (165) in do_mount". */
  readonly missingCalls: readonly string[];
  readonly symbols: number;
  /** Bytes of the initial file system. */
  readonly initramfs: number;
}

/** Builds an image. Throws `BuildError`. */
export async function buildImage(options: BuildOptions): Promise<BuildResult> {
  checkOptions(options);
  if (Buffer.byteLength(options.commandLine ?? "") > COMMAND_LINE_LONGEST) {
    throw new BuildError(`--append: expected at most ${COMMAND_LINE_LONGEST} bytes, found more`);
  }
  const work = mkdtempSync(join(tmpdir(), "ukl-emu-build-"));
  try {
    return await new Build(options, work, await findToolchain(options.root)).run();
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A program for ring 3, kml or zpoline. */
interface Program {
  readonly data: Uint8Array;
  readonly symbols: readonly ImageSymbol[];
}

class Build {
  readonly #options: BuildOptions;
  readonly #work: string;
  readonly #toolchain: Toolchain;
  readonly #rewritten: Partial<Record<Form | "trampoline", number>> = {};
  #missing: readonly string[] = [];

  constructor(options: BuildOptions, work: string, toolchain: Toolchain) {
    this.#options = options;
    this.#work = work;
    this.#toolchain = toolchain;
  }

  async run(): Promise<BuildResult> {
    const options = this.#options;
    const inputs = this.#inputs();
    const decode = await loadDecoder();
    // The application first: whoever writes it waits for its errors.
    const linked = isLinked(options.link);
    const own = ["apps/ukl.c", "link/unmapself.c"];
    const objects = linked ? await this.#objects(inputs, true, "application", own) : [];
    const program = linked ? null : await this.#program(inputs, decode);
    const files: GuestFile[] =
      program === null ? [] : [{ path: "/init", data: program.data, permissions: 0o755 }];
    for (const file of options.extraFiles ?? []) files.push(await this.#extraFile(file));
    const initramfs = makeInitramfs(files);

    const kernelObjects = await compileKernel({
      toolchain: this.#toolchain,
      defines: kernelDefines(options),
      parts: kernelParts(options),
      cache: options.cache ?? defaultCache(),
      onProgress: options.onProgress,
    });
    const { image, symbols } =
      program === null
        ? await this.#linkedImage(kernelObjects, objects, initramfs, decode)
        : await this.#plainImage(kernelObjects, program.symbols, initramfs);
    return {
      image,
      link: options.link,
      compiler: this.#toolchain.version,
      rewritten: this.#rewritten,
      missingCalls: this.#missing,
      symbols,
      initramfs: initramfs.length,
    };
  }

  #inputs(): Input[] {
    const { inputs: paths, link } = this.#options;
    const inputs = paths.map(classifyInput);
    const program = inputs.find(({ kind }) => kind === "executable");
    if (program !== undefined && isLinked(link)) {
      throw new BuildError(
        `${program.path}: expected sources, objects or archives for --link ${link}, found a linked program: ` +
          "give what it was made of, or use --link kml, which takes it as it is",
      );
    }
    if (program !== undefined && inputs.length > 1) {
      throw new BuildError(`${program.path}: expected a program alone, found other inputs beside it`);
    }
    if (inputs.length === 0) throw new BuildError("build: expected a source or a program, found none");
    return inputs;
  }

  #compileOptions(linked: boolean, work: string): CompileOptions {
    return {
      toolchain: this.#toolchain,
      linked,
      cFlags: this.#options.cFlags ?? [],
      work: this.#directory(work),
    };
  }

  #directory(name: string): string {
    const path = join(this.#work, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Inputs compiled, with what every application gets. */
  async #objects(
    inputs: readonly Input[],
    linked: boolean,
    work: string,
    own: readonly string[],
  ): Promise<string[]> {
    const compiled = await compileInputs(inputs, this.#compileOptions(linked, work));
    const sources = own.map((path): Input => ({ path: join(kernelDirectory(), path), kind: "source" }));
    return [...compiled, ...(await compileInputs(sources, this.#compileOptions(linked, `${work}-own`)))];
  }

  readonly #isLibrary = (file: string): boolean =>
    file.startsWith(this.#toolchain.muslLibrary) ||
    file.startsWith(this.#toolchain.libgcc) ||
    file.startsWith(join(this.#work, "application-own"));

  /** The application as a process of its own. */
  async #program(inputs: readonly Input[], decode: DecodeRange): Promise<Program> {
    const trampoline = this.#options.link === "zpoline";
    const isForeign = inputs[0]!.kind === "executable";
    let path = inputs[0]!.path;
    if (!isForeign) {
      const own = ["apps/ukl.c", ...(trampoline ? ["link/unmapself.c"] : [])];
      const objects = await this.#objects(inputs, false, "application", own);
      path = await linkProgram(this.#toolchain, objects, join(this.#work, "application.elf"));
    }
    const elf = new ElfFile(readFileSync(path), path);
    const code = disassemble(decode, elf, { start: 0, end: Number.POSITIVE_INFINITY });
    await this.#checkCalls(elf, code, branchTargets(elf, code));
    const symbols = isForeign
      ? foreignSymbols(elf)
      : programSymbols(elf, {
          map: parseLinkerMap(readFileSync(`${path}.map`, "utf8")),
          isKernel: () => false,
          markers: new Set(),
          isLibrary: this.#isLibrary,
        });
    if (trampoline) {
      this.#rewritten.trampoline = rewriteForTrampoline(code);
      if (!isForeign) replaceHalts(code);
    }
    if (isForeign && !trampoline) return { data: elf.bytes, symbols };
    const rewritten = join(this.#work, "rewritten.elf");
    writeFileSync(rewritten, elf.bytes);
    if (!isForeign) this.#keep(path, `${path}.map`);
    return { data: isForeign ? elf.bytes : await strip(rewritten, join(this.#work, "init")), symbols };
  }

  async #checkCalls(elf: ElfFile, code: readonly Code[], targets: ReadonlySet<number>): Promise<void> {
    const calls = await constantCalls(code, targets);
    const missingWith = async (options: BuildOptions) =>
      missingCalls(
        calls,
        await kernelCalls(this.#work, kernelDefines(options)),
        this.#toolchain.muslInclude,
        (address) => functionAt(elf, address),
      );
    this.#missing = await missingWith(this.#options);
    if (this.#missing.length > 0 && this.#options.allowMissingCalls !== true) {
      const some = this.#missing.slice(0, 6).join(", ");
      const more = this.#missing.length > 6 ? ` and ${this.#missing.length - 6} more` : "";
      const helps: string[] = [];
      for (const part of ["net", "disk"] as const) {
        if (this.#options[part] === true) continue;
        const left = await missingWith({ ...this.#options, [part]: true });
        if (left.length < this.#missing.length) helps.push(`--${part}`);
      }
      throw new BuildError(
        `${this.#options.inputs[0]}: expected only system calls that this kernel has, found ${some}${more}: ` +
          `${helps.length > 0 ? `${helps.join(" ")} adds them to the kernel; ` : ""}with --allow-missing-calls they return ENOSYS`,
      );
    }
  }

  async #extraFile({ host, guest, permissions }: ExtraFile): Promise<GuestFile> {
    const compiled = host.endsWith(".c");
    const path = guest ?? `/${basename(host, compiled ? ".c" : "")}`;
    if (!compiled) {
      const data = readFile(host, "a file for the guest");
      return { path, data, permissions: permissions ?? statSync(host).mode & 0o777 };
    }
    const work = `extra-${path.replaceAll("/", "_")}`;
    const objects = await this.#objects([classifyInput(host)], false, work, ["apps/ukl.c"]);
    const program = await linkProgram(this.#toolchain, objects, join(this.#work, `${work}.elf`));
    return { path, data: await strip(program, `${program}.stripped`), permissions: permissions ?? 0o755 };
  }

  /** The kernel alone; the application is in the initial file system. */
  async #plainImage(kernelObjects: readonly string[], own: readonly ImageSymbol[], initramfs: Uint8Array) {
    const kernel = await combineKernel(kernelObjects, [], this.#work);
    const output = join(this.#work, "image.elf");
    const all = (linked: LinkedImage): ImageSymbol[] => [
      ...programSymbols(linked.elf, { ...linked, isLibrary: () => false }),
      ...own,
    ];
    const link = async (sizes: ImageSizes) => {
      const linked = await linkImage(kernel, null, sizes, output);
      const symbols = all(linked);
      return { linked, symbols, sizes: { stubs: 0, payload: payloadSize(symbols, initramfs) } };
    };
    const { linked, symbols } = await linkUntilStable(link);
    return this.#finish(linked, symbols, initramfs, output);
  }

  /** Kernel and application in one. */
  async #linkedImage(
    kernelObjects: readonly string[],
    own: readonly string[],
    initramfs: Uint8Array,
    decode: DecodeRange,
  ) {
    const output = join(this.#work, "image.elf");
    const shortcuts = await compileShortcuts(this.#options, this.#toolchain, this.#directory("shortcuts"));
    const application = await combineApplication(this.#toolchain, [...shortcuts.all, ...own], this.#work);
    // What the user's shortcuts call, and the application and its library do not have.
    const missing = new Set(shortcuts.given.length > 0 ? undefinedNames(application.path) : []);
    const wanted = shortcuts.given.flatMap(undefinedNames).filter((name) => missing.has(name));
    const kernel = await combineKernel(kernelObjects, wanted, this.#work);

    const link = async (sizes: ImageSizes) => {
      const linked = await linkImage(kernel, application, sizes, output);
      const { elf } = linked;
      const range = { start: elf.addressOf("application_start"), end: elf.addressOf("application_text_end") };
      const code = disassemble(decode, elf, range).filter(
        ({ address }) => address !== elf.addressOf("ukl_stubs_start"),
      );
      const targets = branchTargets(elf, code);
      const redZones = findRedZones(elf, code);
      const rewrites = planRewrites(code, {
        targets,
        functionAt: (address) => functionAt(elf, address),
        usesRedZone: redZones.has,
      });
      const symbols = [
        ...programSymbols(elf, { ...linked, isLibrary: this.#isLibrary }).map((symbol) =>
          shortcuts.has(linked, symbol) ? { ...symbol, part: "stub" as const } : symbol,
        ),
        ...stubSymbols(rewrites, elf.addressOf("ukl_stubs_start")),
      ];
      const needed = { stubs: stubsSize(rewrites), payload: payloadSize(symbols, initramfs) };
      return { linked, code, targets, redZones, rewrites, symbols, sizes: needed };
    };

    const { linked, code, targets, redZones, rewrites, symbols, sizes } = await linkUntilStable(link);
    await this.#checkCalls(linked.elf, code, targets);
    this.#checkRedZones(redZones.names);
    const stubsAddress = linked.elf.addressOf("ukl_stubs_start");
    const stubs = { address: stubsAddress, bytes: linked.elf.at(stubsAddress, sizes.stubs) };
    applyRewrites(code, rewrites, stubs, linked.elf.addressOf("ukl_entry"));
    replaceHalts(code);
    for (const { form } of rewrites) this.#rewritten[form] = (this.#rewritten[form] ?? 0) + 1;
    return this.#finish(linked, symbols, initramfs, output);
  }

  /** By #DF, a fault pushes its frame right below RSP. */
  #checkRedZones(names: readonly string[]): void {
    if (this.#options.faultStack !== "df" || names.length === 0) return;
    const some = names.slice(0, 5).join(", ");
    throw new BuildError(
      `--fault-stack df: expected code without a red zone, found data below the stack pointer in ${some}` +
        `${names.length > 5 ? ` and ${names.length - 5} more` : ""}: use --fault-stack ist`,
    );
  }

  /** Writes payload and image_info into the linked file and makes the bzImage of it. */
  async #finish(linked: LinkedImage, symbols: readonly ImageSymbol[], initramfs: Uint8Array, output: string) {
    const { elf } = linked;
    writePayload(elf, symbols, initramfs, this.#options.commandLine ?? "");
    writeFileSync(output, elf.bytes);
    this.#keep(output, `${output}.map`);
    const flat = join(this.#work, "image.bin");
    await needTool("writing the image", "objcopy", ["-O", "binary", output, flat]);
    return { image: new Uint8Array(readFileSync(flat)), symbols: symbols.length };
  }

  #keep(...files: readonly string[]): void {
    const { keep } = this.#options;
    if (keep === undefined) return;
    try {
      mkdirSync(keep, { recursive: true });
      for (const file of files) copyFileSync(file, join(keep, basename(file)));
    } catch (error) {
      throw new BuildError(
        `${keep}: expected a directory to write to, found ${(error as NodeJS.ErrnoException).code}`,
      );
    }
  }
}

function stubSymbols(rewrites: readonly Rewrite[], base: number): ImageSymbol[] {
  return rewrites
    .filter(({ stubSize }) => stubSize > 0)
    .map(({ functionName, stubOffset, stubSize }) => ({
      address: base + stubOffset,
      size: stubSize,
      name: `stub_${functionName}`,
      part: "stub",
    }));
}
