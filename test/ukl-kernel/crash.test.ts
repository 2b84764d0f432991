import { describe, expect, test } from "vitest";
import { build, hasQemu, hasTools, runHere, runQemu } from "./run-image.ts";

/** Way to die: the cause, the address, and the function that the panic names. */
const deaths: readonly (readonly [way: string, cause: RegExp, symbol: string])[] = [
  ["null-call", /panic: #PF: page fault: execution of address 0000000000000000/, "call_null"],
  ["wild-write", /panic: #PF: page fault: write of address 00005555deadbeef/, "write_wild"],
  ["noncanonical", /panic: #GP: general protection/, "write_noncanonical"],
  ["kernel-text", /panic: #PF: page fault: write of address ffffffff80100000/, "write_kernel_text"],
  ["divide", /panic: #DE: division by zero/, "divide_by_zero"],
  ["recursion", /panic: #(PF|DF): .*write of address 00007ff/, "recurse"],
  ["stack-overflow", /panic: #(PF|DF): .*write of address 00007f/, "overflow_stack"],
  ["privilege", /panic: #GP: general protection(?:.|\n)* ERROR fff8\n/, "misuse_privilege"],
  ["invalid-opcode", /panic: #UD: invalid opcode/, "invalid_opcode"],
];

describe.skipIf(!hasTools).each(["ukl", "kml", "zpoline", "ukl-byp"] as const)(
  "a crash at ring 0, %s",
  (link) => {
    // The trampoline page of zpoline is at 0: a call of a null pointer is a call of the kernel.
    const here = deaths.filter(([way]) => link !== "zpoline" || way !== "null-call");
    test.each(here)("%s ends in a panic with cause, address and symbol", async (way, cause, symbol) => {
      const image = await build("crash", { link });
      const run = runHere(image, { commandLine: `-- ${way}` });
      expect(run.console).toContain(`crash: ${way}\n`);
      expect(run.console).not.toContain("still here");
      expect(run.console).toMatch(cause);
      expect(run.console).toMatch(new RegExp(`\\b${symbol}\\+0x[0-9a-f]+`));
      expect(run.stop).toEqual({ kind: "debug-exit", status: 255 });
    });
  },
);

describe.skipIf(!hasTools)("abort() at ring 0 (needs gcc)", () => {
  test.each(["ukl", "kml", "zpoline", "ukl-byp"] as const)(
    "%s: the machine stops, with a status",
    async (link) => {
      const run = runHere(await build("crash", { link }), { commandLine: "-- abort" });
      expect(run.console).not.toContain("still here");
      expect(run.stop.kind).toBe("debug-exit");
    },
  );
});

describe.skipIf(!hasTools || !hasQemu)("under QEMU (needs gcc and qemu-system-x86_64)", () => {
  test.each(["null-call", "recursion", "divide"])("%s gives the same panic", async (way) => {
    const image = await build("crash", { link: "ukl" });
    const here = runHere(image, { commandLine: `-- ${way}` }).console;
    const { console, status } = runQemu(image, `-- ${way}`);
    const cause = /panic: [^\n]+/;
    expect(cause.exec(console)?.[0]).toBe(cause.exec(here)?.[0]);
    expect(status).toBe(255);
  });
});

describe.skipIf(!hasTools)("at ring 3 (needs gcc)", () => {
  test.each(deaths)("%s ends the process, not the kernel", async (way) => {
    const run = runHere(await build("crash", { link: "ring3" }), { commandLine: `-- ${way}` });
    expect(run.console).not.toContain("panic");
    expect(run.stop.kind).toBe("debug-exit");
  });
});
