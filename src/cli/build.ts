/** `ukl-emu build`: makes an image of the kernel in src/ukl-kernel and an application. */
import { writeFileSync } from "node:fs";
import type { Argv, CommandModule } from "yargs";
import type { BuildOptions, BuildResult, ExtraFile, LinkMode } from "../build/index.ts";
import { LINK_MODES } from "../build/options.ts";
import { systemErrorText, UserError } from "./errors.ts";

type OneOrMore = string | readonly string[];

/** As yargs gives them. */
interface BuildArguments {
  readonly inputs: readonly string[];
  readonly output?: OneOrMore;
  readonly link?: OneOrMore;
  readonly kpti?: boolean;
  readonly pcid?: boolean;
  readonly "stack-switch"?: OneOrMore;
  readonly "fault-stack"?: OneOrMore;
  readonly return?: OneOrMore;
  readonly disk?: boolean;
  readonly net?: boolean;
  readonly smp?: boolean;
  readonly with?: OneOrMore;
  readonly shortcut?: OneOrMore;
  readonly append?: OneOrMore;
  readonly cflags?: OneOrMore;
  readonly keep?: OneOrMore;
  readonly "allow-missing-calls"?: boolean;
  readonly json?: boolean;
}

function builder(yargs: Argv): Argv<BuildArguments> {
  return yargs
    .positional("inputs", {
      type: "string",
      array: true,
      describe: "C and assembly sources, objects, archives; or one static program",
      demandOption: true,
    })
    .options({
      output: { alias: "o", type: "string", describe: "the image to write", requiresArg: true },
      link: { type: "string", describe: LINK_MODES.join(", "), requiresArg: true },
      kpti: { type: "boolean", describe: "page-table isolation: CR3 changes on entry and exit (ring3)" },
      pcid: { type: "boolean", describe: "with --kpti: keep translations over the change" },
      "stack-switch": {
        type: "string",
        describe: "on or off: whether system calls of linked code run on a kernel stack",
        requiresArg: true,
      },
      "fault-stack": {
        type: "string",
        describe: "ist or df: where page faults of linked code push their frame",
        requiresArg: true,
      },
      return: { type: "string", describe: "iret or ret: how faults return to ring 0", requiresArg: true },
      disk: { type: "boolean", describe: "a kernel with virtio disks and the ext2 file system" },
      net: { type: "boolean", describe: "a kernel with virtio network devices, TCP/IP, sockets and epoll" },
      smp: { type: "boolean", describe: "use all processors of the machine (boot --cpus N), up to 16" },
      with: {
        type: "string",
        describe: "FILE[=PATH]: a file for the guest; a .c is compiled; may be given more than once",
        requiresArg: true,
      },
      shortcut: {
        type: "string",
        describe: "FILE.c: kernel code that the application calls; may be given more than once",
        requiresArg: true,
      },
      append: { type: "string", describe: "kernel command line", requiresArg: true },
      cflags: { type: "string", describe: "more options for gcc, e.g. --cflags='-O1 -DN=3'" },
      keep: {
        type: "string",
        describe: "directory for the ELF file and the linker's map",
        requiresArg: true,
      },
      "allow-missing-calls": {
        type: "boolean",
        describe: "build though the program can make system calls that the kernel lacks",
      },
      json: { type: "boolean", describe: "what was built as JSON on standard output" },
    })
    .example("$0 build hello.c -o hello.bin --link ukl", "link an application with the kernel")
    .example("$0 build hello.c -o hello.bin --link ring3 --kpti", "the same at ring 3, with two page tables")
    .example("$0 build program -o image.bin --link kml", "run a static program at ring 0, as it is")
    .example("$0 build app.c -o app.bin --link ukl --disk", "files on disks: boot with mount=/dev/vda:/mnt")
    .example(
      "$0 build http.c -o http.bin --link ukl --net",
      "a server that is its own kernel, with a network",
    )
    .example(
      "$0 build init.c -o sh.bin --link ring3 --with /bin/busybox=/bin/sh",
      "add a program",
    ) as Argv<BuildArguments>;
}

const malformed = (option: string, expected: string, found: string): UserError =>
  new UserError(`--${option}: expected ${expected}, found ${found}`);

function buildOptions(given: BuildArguments): BuildOptions & { readonly output: string } {
  const single = (name: keyof BuildArguments): string | undefined => {
    const value = given[name];
    if (Array.isArray(value)) throw malformed(name, "one value", value.map((v) => `"${v}"`).join(" and "));
    return value as string | undefined;
  };
  const choice = <T extends string>(name: keyof BuildArguments, words: readonly T[]): T | undefined => {
    const value = single(name);
    if (value === undefined || (words as readonly string[]).includes(value)) return value as T | undefined;
    throw malformed(name, words.join(", ").replace(/, ([^,]*)$/, " or $1"), `"${value}"`);
  };
  const output = single("output");
  if (output === undefined || output === "") {
    throw new UserError("build: expected -o IMAGE, the file to write, found none");
  }
  const link = choice<LinkMode>("link", LINK_MODES);
  if (link === undefined)
    throw new UserError(`build: expected --link with ${LINK_MODES.join(", ")}, found none`);
  const stackSwitch = choice("stack-switch", ["on", "off"]);
  const faultStack = choice("fault-stack", ["ist", "df"]);
  const returns = choice("return", ["iret", "ret"]);
  const append = single("append");
  const keep = single("keep");
  const extra = given.with ?? [];
  const shortcuts = given.shortcut ?? [];
  return {
    output,
    link,
    inputs: given.inputs,
    kpti: given.kpti === true,
    pcid: given.pcid === true,
    ...(stackSwitch === undefined ? {} : { stackSwitch: stackSwitch === "on" }),
    ...(faultStack === undefined ? {} : { faultStack }),
    ...(returns === undefined ? {} : { return: returns }),
    disk: given.disk === true,
    net: given.net === true,
    ...(given.smp === true ? { smp: true } : {}),
    shortcuts: typeof shortcuts === "string" ? [shortcuts] : shortcuts,
    extraFiles: (typeof extra === "string" ? [extra] : extra).map(extraFile),
    ...(append === undefined ? {} : { commandLine: append }),
    cFlags: (single("cflags") ?? "").split(/\s+/).filter((word) => word !== ""),
    ...(keep === undefined ? {} : { keep }),
    allowMissingCalls: given["allow-missing-calls"] === true,
  };
}

/** "FILE" or "FILE=PATH". */
function extraFile(text: string): ExtraFile {
  const equals = text.lastIndexOf("=");
  const [host, guest] = equals < 0 ? [text] : [text.slice(0, equals), text.slice(equals + 1)];
  if (host === "" || guest === "") throw malformed("with", "FILE or FILE=PATH", `"${text}"`);
  return { host: host!, ...(guest === undefined ? {} : { guest }) };
}

/** Says on a terminal which file of the kernel is being compiled. */
function progress(done: number, total: number, file: string): void {
  if (!process.stderr.isTTY || total === 0) return;
  const text = done === total ? "" : `kernel: ${done + 1}/${total} ${file}`;
  process.stderr.write(`\r\x1b[K${text}`);
}

function summary(output: string, { image, link, rewritten, missingCalls, initramfs }: BuildResult): string {
  const rewrites = Object.values(rewritten).reduce((sum, count) => sum + count, 0);
  return [
    `${output}: ${image.length.toLocaleString("en-US")} bytes, ${link}`,
    ...(rewrites === 0 ? [] : [`${rewrites} SYSCALL instructions replaced`]),
    ...(initramfs === 0 ? [] : [`initial file system of ${initramfs.toLocaleString("en-US")} bytes`]),
    ...(missingCalls.length === 0 ? [] : [`${missingCalls.length} system calls will return ENOSYS`]),
  ].join(", ");
}

export const buildCommand: CommandModule<object, BuildArguments> = {
  command: "build <inputs..>",
  describe: "Build an image of this package's kernel and an application",
  builder,
  handler: async (given) => {
    const { output, ...options } = buildOptions(given);
    const { buildImage, BuildError } = await import("../build/index.ts");
    let result: BuildResult;
    try {
      result = await buildImage({ ...options, onProgress: progress });
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      progress(1, 1, "");
      process.stderr.write(error.details);
      throw new UserError(error.message);
    }
    try {
      writeFileSync(output, result.image);
    } catch (error) {
      throw new UserError(`${output}: expected a file to write to, found ${systemErrorText(error)}`);
    }
    const { image, ...facts } = result;
    console.log(
      given.json === true
        ? JSON.stringify({ output, size: image.length, ...facts }, null, 2)
        : summary(output, result),
    );
  },
};
