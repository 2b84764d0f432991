import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BuildError, type BuildOptions, buildImage } from "../../src/build/index.ts";
import { findToolchain } from "../../src/build/toolchain.ts";
import { hasTools } from "./assemble.ts";

let work = "";
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "ukl-emu-test-"));
});
afterAll(() => rmSync(work, { recursive: true }));

/** Writes a file of the test's directory. */
function write(name: string, contents: string | Uint8Array): string {
  const path = join(work, name);
  writeFileSync(path, contents);
  return path;
}

/** The one line of a build that cannot work. */
async function failure(inputs: readonly string[], options: Partial<BuildOptions> = {}): Promise<BuildError> {
  const result = await buildImage({ inputs, link: "ring3", ...options }).catch((error: unknown) => error);
  expect(result).toBeInstanceOf(BuildError);
  const error = result as BuildError;
  expect(error.message).not.toContain("\n");
  return error;
}

const gcc = (...args: string[]): void => {
  execFileSync("gcc", args, { cwd: work, stdio: "pipe" });
};

const C = "int main(void) { return 0; }\n";

describe.skipIf(!hasTools)("builds that cannot work say why in one line (needs gcc)", () => {
  test.each<[Partial<BuildOptions>, RegExp]>([
    [{ link: "kml", kpti: true }, /^--kpti: expected --link ring3, found kml/],
    [{ link: "ring3", pcid: true }, /^--pcid: expected --kpti/],
    [{ link: "zpoline", faultStack: "df" }, /^--fault-stack df: .* found zpoline: .* leave it at ist/],
    [{ link: "kml", faultStack: "df" }, /^--fault-stack df: .* found kml/],
    [{ link: "ring3", stackSwitch: false }, /^--stack-switch off: .* found ring3/],
    [{ link: "zpoline", stackSwitch: false }, /^--stack-switch off: .* found zpoline/],
    [{ link: "ring3", return: "ret" }, /^--return ret: .* found ring3/],
    [{ link: "ukl", shortcuts: ["a.c"] }, /^--shortcut: expected --link shortcut, found ukl/],
    [{ link: "shortcut", shortcuts: ["nowhere.c"] }, /^nowhere\.c: .* --shortcut, found no such file/],
    [{ commandLine: "x".repeat(256) }, /^--append: expected at most 255 bytes/],
  ])("options %j", async (options, says) => {
    expect((await failure([write("a.c", C)], options)).message).toMatch(says);
  });

  test("a shortcut that does not compile, and one that calls what the kernel does not have", async () => {
    const input = [write("a.c", C)];
    const build = (source: string) => failure(input, { link: "shortcut", shortcuts: [write("s.c", source)] });
    const wrong = await build("int getpid(void) { return nothing; }\n");
    expect(wrong.message).toMatch(/s\.c: expected C that gcc compiles/);
    expect(wrong.details).toContain("nothing");
    const absent = await build("long absent(void); long used(void) { return absent(); }\n");
    expect(absent.message).toMatch(/found none for absent/);
  });

  test("no input, a file that is not there, and one that is neither source nor program", async () => {
    expect((await failure([])).message).toMatch(/expected a source or a program, found none/);
    expect((await failure([join(work, "nowhere.c")])).message).toMatch(/nowhere\.c: .* found no such file/);
    expect((await failure([write("notes.txt", "hello")])).message).toMatch(/notes\.txt: .* found neither/);
  });

  test("a dynamic program, a position-independent one, a 32-bit one, one for another processor", async () => {
    write("a.c", C);
    gcc("a.c", "-o", "dynamic");
    expect((await failure([join(work, "dynamic")])).message).toMatch(
      /found a dynamic one: link it with -static -no-pie/,
    );
    gcc("-static-pie", "a.c", "-o", "static-pie");
    expect((await failure([join(work, "static-pie")])).message).toMatch(/found a position-independent one/);
    // The class and the machine of an ELF header are enough to tell.
    const elf = Buffer.alloc(64);
    elf.write("\x7fELF\x01\x01\x01", "latin1");
    expect((await failure([write("program32", elf)])).message).toMatch(
      /expected a 64-bit program, found a 32-bit one/,
    );
    elf[4] = 2;
    elf.writeUInt16LE(183, 18);
    expect((await failure([write("arm", elf)])).message).toMatch(
      /expected a program for x86-64 .* found machine 183/,
    );
    expect((await failure([write("short", elf.subarray(0, 20))])).message).toMatch(
      /expected ELF header, found the end/,
    );
  });

  test("a linked program in a mode that links it with the kernel, or beside other inputs", async () => {
    const source = write("a.c", C);
    gcc("-static", "-no-pie", "a.c", "-o", "program");
    const program = join(work, "program");
    expect((await failure([program], { link: "ukl" })).message).toMatch(
      /expected sources, objects or archives for --link ukl, found a linked program: .* use --link kml/,
    );
    expect((await failure([program, source])).message).toMatch(/expected a program alone/);
  });

  test("the compiler's own message comes before the line", async () => {
    const error = await failure([write("wrong.c", "int main(void) { return undeclared; }\n")]);
    expect(error.details).toMatch(/wrong\.c:1:\d+: error: .undeclared. undeclared/);
    expect(error.message).toMatch(/wrong\.c: expected C that gcc compiles, found errors/);
  });

  test("a function that nothing defines", async () => {
    const source = write("undefined.c", "int elsewhere(void); int main(void) { return elsewhere(); }\n");
    expect((await failure([source])).message).toMatch(
      /found none for elsewhere: add the sources or archives/,
    );
  });

  test.each([
    ["http.c", "bind (49) in bind", "--net"],
    ["journal.c", "mount (165) in mount", "--disk"],
  ])("system calls of a part that was not asked for name its option: %s", async (name, call, option) => {
    const app = join(import.meta.dirname, "..", "..", "src", "ukl-kernel", "apps", name);
    const built = buildImage({ inputs: [app], link: "ukl" });
    await expect(built).rejects.toThrow(`found ${call}`);
    await expect(built).rejects.toThrow(`: ${option} adds them to the kernel; with --allow-missing-calls`);
  });

  test("a system call that the kernel does not have, with its name, number and function", async () => {
    const source = write("calls.c", '#include <unistd.h>\nint main(void) { return sethostname("x", 1); }\n');
    expect((await failure([source])).message).toBe(
      `${source}: expected only system calls that this kernel has, found sethostname (170) in sethostname: ` +
        "with --allow-missing-calls they return ENOSYS",
    );
  });

  test("extra files: two of one name, no name", async () => {
    const source = write("a.c", C);
    const file = write("file", "text");
    const twice = [
      { host: file, guest: "/x" },
      { host: file, guest: "//x" },
    ];
    expect((await failure([source], { extraFiles: twice })).message).toMatch(
      /expected one file for \/x, found two/,
    );
    const directory = [{ host: file, guest: "/x/" }];
    expect((await failure([source], { extraFiles: directory })).message).toMatch(
      /expected the name of a file/,
    );
    const missing = [{ host: join(work, "none"), guest: "/x" }];
    expect((await failure([source], { extraFiles: missing })).message).toMatch(/none: .* found no such file/);
  });

  test("without musl-dev, the packages to install are named", async () => {
    await expect(findToolchain(work)).rejects.toThrow(
      /expected gcc, binutils and musl-dev, found no .*libc\.a: apt-get install gcc binutils musl-dev/,
    );
  });

  test("without gcc, the packages to install are named", async () => {
    const { PATH } = process.env;
    process.env["PATH"] = work;
    try {
      await expect(findToolchain()).rejects.toThrow(/found no gcc: apt-get install gcc binutils musl-dev/);
    } finally {
      process.env["PATH"] = PATH;
    }
  });
});
