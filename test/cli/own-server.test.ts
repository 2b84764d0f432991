/** A server of this project from its source to its answer: `build --net`, `boot --net user`, and the same run again. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { useCli } from "./run-cli.ts";

const cli = useCli();
const source = join(import.meta.dirname, "..", "..", "src", "ukl-kernel", "apps", "http.c");
const hasTools = ["gcc", "musl-gcc", "ld"].every(
  (tool) => spawnSync(tool, ["--version"]).error === undefined,
);

interface Report {
  readonly reason: string;
  readonly instructions: number;
  readonly virtualSeconds: number;
  readonly consoleBytes: number;
  readonly registers: unknown;
}

describe.skipIf(!hasTools)("an HTTP server (needs gcc, binutils and musl-dev)", () => {
  beforeAll(() => writeFileSync(join(cli.work, "index.html"), "<p>hello"));

  test.each([
    ["ring3", []],
    ["ukl", []],
    ["ring3", ["--smp"]],
  ] as const)(
    "%s %j answers, and its recording repeats it to the instruction",
    async (link, extra) => {
      const name = `http-${link}${extra.length}`;
      const files = ["--with", "index.html=/www/index.html"];
      const build = ["build", source, "-o", `${name}.bin`, "--link", link, "--net", ...extra, ...files];
      expect(await cli.run(build)).toMatchObject({ code: 0, stderr: "" });

      const machine = ["boot", `${name}.bin`, "--cpus", extra.length > 0 ? "2" : "1", "--json"];
      const console = join(cli.work, `${name}.txt`);
      const network = ["--net", "user,hostfwd=tcp::0-:80", "--record", `${name}.rec`];
      const args = [cli.entry, ...machine, ...network, "--serial", `file:${console}`];
      const guest = spawn(process.execPath, args, { cwd: cli.work, stdio: ["ignore", "pipe", "pipe"] });
      let [json, said] = ["", ""];
      guest.stdout.setEncoding("utf8").on("data", (text: string) => {
        json += text;
      });
      guest.stderr.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
      const closed = once(guest, "close");
      try {
        const printed = () => (existsSync(console) ? readFileSync(console, "latin1") : "");
        await expect.poll(printed, { timeout: 60_000 }).toContain("listening on port 80");
        const port = /^ukl-emu: tcp port (\d+) of 127\.0\.0\.1 leads to the guest's port 80$/m.exec(
          said,
        )?.[1];
        const url = `http://127.0.0.1:${port}`;
        expect(await (await fetch(url)).text()).toBe("<p>hello");
        const answers = await Promise.all(
          Array.from(
            { length: 20 },
            async (_, i) => (await (await fetch(`${url}/bytes/${5000 * i}`)).arrayBuffer()).byteLength,
          ),
        );
        expect(answers).toEqual(Array.from({ length: 20 }, (_, i) => 5000 * i));
      } finally {
        guest.kill("SIGTERM");
      }
      expect(await closed).toEqual([143, null]);

      const { reason, ...first } = JSON.parse(json) as Report;
      expect(reason).toBe("SIGTERM");
      const again = await cli.run([...machine, "--net", "user", "--replay", `${name}.rec`]);
      const { instructions, virtualSeconds, consoleBytes, registers } = first;
      expect(JSON.parse(again.stdout)).toMatchObject({
        reason: "replayed",
        ...{ instructions, virtualSeconds, consoleBytes, registers },
      });
      expect(again.code).toBe(0);
    },
    180_000,
  );
});
