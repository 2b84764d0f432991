/** Console output, expectations and escape keys, byte by byte. */
import { describe, expect, test } from "vitest";
import { EscapeKeys } from "../../src/cli/escape-keys.ts";
import { Expectation, hasEndAnchor } from "../../src/cli/expect.ts";
import { Monitor, type MonitorActions } from "../../src/cli/monitor.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Number of bytes after which the pattern has matched; -1 if not even at the end. */
function matchedAfter(pattern: RegExp, text: string): number {
  const expectation = new Expectation(pattern);
  const all = bytes(text);
  for (let i = 0; i < all.length; i++) if (expectation.byte(all[i]!)) return i + 1;
  return expectation.end() ? all.length : -1;
}

describe("an expectation", () => {
  test.each([
    [/ogi/, "login", 4],
    [/^b/, "a\nb", 3],
    [/^b/, "ab\n", -1],
    [/a$/, "ab\na\n", 5],
    [/a$/, "a\r\n", 3],
    [/^$/, "x\n\n", 3],
    [/a.b/, "a\nb", -1],
    [/\$/, "cost $5\n", 6],
    [/[$]/, "$", 1],
    [/end$/, "the end", 7],
    [/é/u, "caf\u00e9!", 5],
  ])("%s in %j", (pattern, text, after) => {
    expect(matchedAfter(pattern, text)).toBe(after);
  });

  test("finds a match far behind in a line without end", () => {
    expect(matchedAfter(/needle/, `${"x".repeat(100_000)}needle`)).toBe(100_006);
  });

  test("is met once", () => {
    const expectation = new Expectation(/a/);
    expect([expectation.byte(0x61), expectation.byte(0x61), expectation.met]).toEqual([true, false, true]);
  });

  test("knows an anchor from a character", () => {
    expect(["a$", "a\\$", "[$]", "[\\]$]", "(a$|b)"].map(hasEndAnchor)).toEqual([
      true,
      false,
      false,
      false,
      true,
    ]);
  });
});

describe("escape keys", () => {
  const parse = (...chunks: string[]) => {
    const keys = new EscapeKeys();
    return chunks.flatMap((chunk) =>
      keys
        .parse(bytes(chunk))
        .map((part) => (typeof part === "string" ? `<${part}>` : Buffer.from(part).toString())),
    );
  };
  test.each([
    [["plain"], ["plain"]],
    [["\x01x"], ["<quit>"]],
    [["ab\x01ccd"], ["ab", "<monitor>", "cd"]],
    [["\x01", "h"], ["<help>"]],
    [["\x01b\x01?"], ["<break>", "<help>"]],
    [["\x01\x01x"], ["\x01x"]],
    [["a\x01zb"], ["ab"]],
  ])("%j gives %j", (chunks, parts) => {
    expect(parse(...chunks)).toEqual(parts);
  });
});

describe("the monitor", () => {
  async function talk(typed: string): Promise<{ shown: string; calls: string[] }> {
    const calls: string[] = [];
    let shown = "";
    const actions: MonitorActions = {
      registers: () => ["RAX=1"],
      code: async () => ["=> nop"],
      statistics: async () => ["Instructions 5"],
      quit: () => calls.push("quit"),
      pause: () => calls.push("pause"),
      resume: () => calls.push("resume"),
      paused: false,
    };
    const monitor = new Monitor(actions, (text) => {
      shown += text;
    });
    await monitor.type(bytes(typed));
    return { shown, calls };
  }

  test("shows lines with carriage returns, since the terminal is in raw mode", async () => {
    expect((await talk("info  registers \r")).shown).toBe("info  registers \r\nRAX=1\r\n(ukl-emu) ");
  });
  test("edits the line with backspace and Ctrl-U", async () => {
    expect((await talk("quix\x7ft\r")).calls).toEqual(["quit"]);
    expect((await talk("stop\x15c\r")).calls).toEqual(["resume"]);
  });
  test("names an unknown command", async () => {
    expect((await talk("reboot\r")).shown).toContain('unknown command "reboot"');
  });
  test("help lists every command", async () => {
    const { shown } = await talk("help\r");
    for (const word of ["info registers", "stats", "stop", "continue", "quit"]) expect(shown).toContain(word);
  });
});
