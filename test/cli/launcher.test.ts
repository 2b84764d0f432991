/** `bin/ukl-emu.js` under a Node.js that is too old: it hands over to the pinned one, and stays in front of it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import * as g from "./guests.ts";
import { hello, useCli } from "./run-cli.ts";

const cli = useCli();
const root = join(import.meta.dirname, "..", "..");
const pinned = join(root, "node_modules", "node", "bin", "node");
let launcher = "";
let old = "";

beforeAll(() => {
  const installed = join(cli.work, "package");
  mkdirSync(join(installed, "bin"), { recursive: true });
  launcher = join(installed, "bin", "ukl-emu.js");
  copyFileSync(join(root, "bin", "ukl-emu.js"), launcher);
  symlinkSync(dirname(cli.entry), join(installed, "dist"));
  symlinkSync(join(root, "node_modules"), join(installed, "node_modules"));
  writeFileSync(join(installed, "package.json"), '{"type":"module"}');
  old = join(cli.work, "old.mjs");
  writeFileSync(
    old,
    'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.0.0" } });',
  );
});

function launch(...args: string[]): ChildProcess {
  const node = ["--import", pathToFileURL(old).href, launcher, ...args];
  return spawn(process.execPath, node, { cwd: cli.work, stdio: ["ignore", "pipe", "pipe"] });
}

async function end(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]!.setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...text };
}

describe.skipIf(!existsSync(pinned))("the launcher", () => {
  test("passes output and exit codes on", async () => {
    expect(await end(launch("boot", hello))).toMatchObject({ code: 0, stderr: "" });
    const refused = await end(launch("boot", "absent"));
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toMatch(/^ukl-emu: absent: [^\n]*\n$/);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("passes %s on, and what the run says then", async (signal, code) => {
    const image = join(cli.work, "spin.img");
    writeFileSync(image, g.guest(g.print("up\n"), g.forever));
    const console = join(cli.work, `${signal}.txt`);
    const child = launch("boot", image, "--json", "--serial", `file:${console}`);
    const ended = end(child);
    // The guest runs, and the signal finds the run's handlers.
    const printed = () => existsSync(console) && readFileSync(console, "utf8");
    await expect.poll(printed, { timeout: 60_000 }).toBe("up\n");
    child.kill(signal);
    const { code: found, stdout } = await ended;
    expect(found).toBe(code);
    expect(JSON.parse(stdout)).toMatchObject({ reason: signal, exitCode: code });
  });
});
