import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseBzImage } from "../../src/boot/bzimage.ts";
import { disassemble, loadDecoder } from "../../src/build/disassembly.ts";
import { ElfFile } from "../../src/build/elf-file.ts";
import { type BuildResult, buildImage, type LinkMode } from "../../src/build/index.ts";
import { SymbolTable } from "../../src/debug/symbols.ts";
import { apps, hasTools } from "../ukl-kernel/run-image.ts";

describe.skipIf(!hasTools)("an image (needs gcc and musl-dev)", () => {
  let work = "";
  beforeAll(() => {
    work = mkdtempSync(join(tmpdir(), "ukl-emu-test-"));
  });
  afterAll(() => rmSync(work, { recursive: true }));

  const build = (link: LinkMode): Promise<BuildResult> =>
    buildImage({ inputs: [join(apps, "threads.c")], link, keep: join(work, link), commandLine: "one two" });
  const kept = (link: LinkMode, name: string): ElfFile =>
    new ElfFile(readFileSync(join(work, link, name)), name);

  test.each(["ukl", "ukl-byp", "shortcut"] as const)(
    "%s: no SYSCALL is left in the application",
    async (link) => {
      const { rewritten } = await build(link);
      const elf = kept(link, "image.elf");
      const range = { start: elf.addressOf("application_start"), end: elf.addressOf("application_text_end") };
      const code = disassemble(await loadDecoder(), elf, range).flatMap(({ instructions }) => instructions);
      expect(code.length).toBeGreaterThan(5000);
      expect(code.filter(({ kind }) => kind === "syscall")).toEqual([]);
      expect(code.filter(({ kind }) => kind === "invalid")).toEqual([]);
      // Every one became a call or a jump of the entry code, of its own or by a stub.
      const entry = elf.addressOf("ukl_entry");
      const stubs = elf.addressOf("ukl_stubs_start");
      const size = elf.addressOf("ukl_stubs_end") - stubs;
      const inStubs = (await loadDecoder())(elf.at(stubs, size), stubs);
      const calls = [...code, ...inStubs].filter(({ target }) => target === entry);
      expect(calls).toHaveLength(Object.values(rewritten).reduce((sum, count) => sum + count, 0));
    },
  );

  test("symbols tell application, library, stubs and the kernel's phases apart", async () => {
    const symbols = SymbolTable.load((await build("ukl")).image);
    const partOf = (name: string) => symbols.byName(name)?.part;
    expect({
      main: partOf("main"),
      put: partOf("put"),
      printf: partOf("printf"),
      _start: partOf("_start"),
      empty_call: partOf("empty_call"),
      stub_pthread_create: partOf("stub_pthread_create"),
      entry_ukl: partOf("entry_ukl"),
      dispatch_ukl: partOf("dispatch_ukl"),
      exit_ukl: partOf("exit_ukl"),
      kernel_main: partOf("kernel_main"),
    }).toEqual({
      main: "app",
      put: "app",
      printf: "lib",
      _start: "lib",
      empty_call: "lib",
      stub_pthread_create: "stub",
      entry_ukl: "entry",
      dispatch_ukl: "dispatch",
      exit_ukl: "exit",
      kernel_main: "work",
    });
  });

  test("symbols of a process are in the image of the kernel too", async () => {
    const symbols = SymbolTable.load((await build("kml")).image);
    expect(symbols.byName("main")).toMatchObject({ part: "app" });
    expect(symbols.byName("main")!.address).toBeLessThan(1n << 47n);
    expect(symbols.byName("printf")).toMatchObject({ part: "lib" });
    expect(symbols.byName("entry_kml")!.address).toBeGreaterThan(1n << 63n);
  });

  test("the setup header covers the file and the memory behind it", async () => {
    const { image } = await build("ukl");
    const header = parseBzImage(image);
    const elf = kept("ukl", "image.elf");
    expect(header.setupSize + header.payload.length).toBe(image.length);
    expect(header.initSize).toBe(elf.addressOf("bss_end") - elf.addressOf("load_start"));
    expect(header.preferredAddress).toBe(0x10_0000);
    expect(Buffer.from(image).includes("one two\0")).toBe(true);
  });
});
