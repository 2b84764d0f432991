/** Debian's gcc, binutils and musl-dev: finding them and running them. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { BuildError } from "./build-error.ts";

/** What `apt-get install` has to be given when something is missing. */
const PACKAGES = "gcc binutils musl-dev";

/** Debian's multiarch names of musl's directories. */
const MUSL_TRIPLET = "x86_64-linux-musl";

export interface Toolchain {
  /** First line of `gcc --version`: with the sources, it decides the bytes that come out. */
  readonly version: string;
  /** Directory of the C library's headers. */
  readonly muslInclude: string;
  /** Directory of crt1.o, crti.o, crtn.o and libc.a. */
  readonly muslLibrary: string;
  /** Directory of gcc's own headers, such as cpuid.h. */
  readonly gccInclude: string;
  /** gcc's run-time support, libgcc.a. */
  readonly libgcc: string;
}

export interface ToolResult {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

const missing = (what: string): BuildError =>
  new BuildError(`build: expected gcc, binutils and musl-dev, found no ${what}: apt-get install ${PACKAGES}`);

/** Runs a tool to its end, with messages in English. Throws `BuildError` when there is no such program. */
export function runTool(
  command: string,
  args: readonly string[],
  directory = process.cwd(),
): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const environment = { ...process.env, LC_ALL: "C", SOURCE_DATE_EPOCH: "0" };
    const options = { cwd: directory, env: environment, maxBuffer: 1 << 28 };
    execFile(command, [...args], options, (error, stdout, stderr) => {
      const code = (error as NodeJS.ErrnoException | null)?.code;
      if (code === "ENOENT" && existsSync(directory)) reject(missing(command));
      else resolve({ ok: error === null, stdout, stderr });
    });
  });
}

/** Runs a tool that has to succeed. `doing` names the step: "linking the application". */
export async function needTool(
  doing: string,
  command: string,
  args: readonly string[],
  directory?: string,
): Promise<string> {
  const { ok, stdout, stderr } = await runTool(command, args, directory);
  if (!ok) throw new BuildError(`${doing}: ${command} failed`, stderr);
  return stdout;
}

/**
 * Looks for everything an image needs.
 * @param root where usr/lib and usr/include are
 * @throws BuildError
 */
export async function findToolchain(root = "/"): Promise<Toolchain> {
  const version = (await needTool("looking for gcc", "gcc", ["--version"])).split("\n")[0]!;
  for (const tool of ["ld", "objcopy"]) await needTool(`looking for ${tool}`, tool, ["--version"]);
  const muslInclude = join(root, "usr", "include", MUSL_TRIPLET);
  const muslLibrary = join(root, "usr", "lib", MUSL_TRIPLET);
  for (const file of [join(muslLibrary, "libc.a"), join(muslInclude, "stdio.h")]) {
    if (!existsSync(file)) throw missing(file);
  }
  const ask = async (option: string): Promise<string> =>
    (await needTool("asking gcc for its files", "gcc", ["-m64", option])).trim();
  return {
    version,
    muslInclude,
    muslLibrary,
    gccInclude: await ask("-print-file-name=include"),
    libgcc: await ask("-print-libgcc-file-name"),
  };
}
