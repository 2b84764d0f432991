/**
 * The console as a terminal: busybox's shell and its commands, with keys from outside. A key is sent when the text
 * that it waits for is on the console.
 */
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Machine } from "../../src/machine/machine.ts";
import { build, hasTools } from "./run-image.ts";

const busybox = "/bin/busybox";

/** Each step: text to wait for after the step before, then keys to type. The last step has no keys. */
type Step = readonly [wait: string, keys?: string];

const run = (machine: Machine, instructions: number): string =>
  machine.runSync({ maxInstructions: machine.instructions + instructions }).kind;

/** Boots the shell image and types. @returns the console, line ends as \n, without the shell's cursor queries */
async function session(link: "ring3" | "kml", steps: readonly Step[]): Promise<string> {
  const image = await build("shell", { link, extraFiles: [{ host: busybox, guest: "/bin/busybox" }] });
  let text = "";
  let waited: string | undefined;
  const machine = new Machine({
    memory: 64 << 20,
    onConsole: (byte) => {
      text += String.fromCharCode(byte);
      if (waited !== undefined && text.endsWith(waited)) machine.stop();
    },
  });
  machine.load({ image, commandLine: "" });
  let done = 0;
  let from = 0;
  for (const [wait, keys] of steps) {
    waited = wait;
    if (text.indexOf(wait, from) < 0 && run(machine, 60_000_000) !== "stopped") break;
    done++;
    from = text.indexOf(wait, from) + wait.length;
    if (keys === undefined) break;
    // Nobody types before a command that has just been entered reads: until then the shell has the terminal.
    waited = undefined;
    run(machine, 1_500_000);
    machine.type(new TextEncoder().encode(keys));
  }
  const shown = text.replaceAll("\r\n", "\n").replaceAll("\x1b[6n", "");
  expect(done, `steps done; the console shows:\n${shown}`).toBe(steps.length);
  return shown;
}

/** The shell asks where the cursor is (ESC [ 6 n) after each prompt, and then reads. */
const prompt = "# \x1b[6n";

describe.skipIf(!hasTools || !existsSync(busybox))(
  "the terminal (needs gcc, musl-dev, busybox-static)",
  () => {
    test.each(["ring3", "kml"] as const)(
      "%s: INTR ends the foreground process with SIGINT, not the shell",
      async (link) => {
        const shown = await session(link, [
          [prompt, "cat\r"],
          ["cat\r\n", "one line\r"],
          ["one line\r\none line\r\n", "\x03"],
          [prompt, "echo status $?\r"],
          ["status 130\r\n"],
        ]);
        expect(shown).toContain("# cat\none line\none line\n^C\n# echo status $?\nstatus 130\n");
      },
    );

    test("canonical mode: ERASE and KILL edit the line, EOF ends the input, the reader gets whole lines", async () => {
      const shown = await session("ring3", [
        [prompt, "cat\r"],
        ["cat\r\n", "abx\x7fc\r"],
        ["\r\nabc\r\n", "lost\x15kept\r"],
        ["\r\nkept\r\n", "\x04"],
        [prompt, "echo status $?\r"],
        ["status 0\r\n"],
      ]);
      expect(shown).toContain("abx\b \bc\nabc\n");
    });

    test("QUIT: SIGQUIT for the foreground group, after which the shell has the terminal again", async () => {
      const shown = await session("ring3", [
        [prompt, "cat\r"],
        ["cat\r\n", "\x1c"],
        [prompt, "sleep 0.1 & wait; stty -a | grep -c 'icanon'\r"],
        ["\r\n1\r\n", "echo done\r"],
        ["\r\ndone\r\n"],
      ]);
      expect(shown).toContain("^\\Quit\n");
    });

    test("without ICANON a read gives single keys, without ECHO they are not shown", async () => {
      const shown = await session("ring3", [
        [prompt, "read -s -n 1 key; echo [$key]\r"],
        ["[$key]\r\n", "k"],
        [prompt, "stty -echo; read line; stty echo; echo [$line]\r"],
        ["[$line]\r\n", "secret\r"],
        ["[secret]\r\n"],
      ]);
      expect(shown).toContain("[$key]\n[k]\n# ");
      expect(shown.endsWith("[$line]\n[secret]\n")).toBe(true);
    });
  },
);
