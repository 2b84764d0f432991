/** The interactive terminal, on a pseudo-terminal of script(1); and signals and closed pipes. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as g from "./guests.ts";
import { useCli } from "./run-cli.ts";

const cli = useCli();

function image(name: string, ...parts: (readonly number[])[]): string {
  const path = join(cli.work, name);
  writeFileSync(path, g.guest(...parts));
  return path;
}

/** Collects a process's output and waits for text in it. */
class Session {
  readonly child: ChildProcess;
  output = "";
  #check: (() => void) | null = null;
  readonly closed: Promise<number | null>;

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args, { stdio: "pipe" });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding("latin1").on("data", (text: string) => {
        this.output += text;
        this.#check?.();
      });
    }
    this.child.stdin!.on("error", () => {});
    this.closed = new Promise((resolve) => this.child.on("close", resolve));
  }

  type(text: string): void {
    this.child.stdin!.write(text);
  }

  /** Waits until `text` appears behind what was awaited before. */
  async until(text: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const check = () => {
        const at = this.output.indexOf(text, this.#seen);
        if (at < 0) return;
        this.#seen = at + text.length;
        this.#check = null;
        resolve();
      };
      this.#check = check;
      void this.closed.then(() => reject(new Error(`ended without "${text}": ${this.output}`)));
      check();
    });
  }
  #seen = 0;
}

/** Processes whose command line begins with these words. */
function running(words: readonly string[]): number[] {
  const start = `${words.join("\0")}\0`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").startsWith(start);
      } catch {
        return false; // it has ended
      }
    })
    .map(Number);
}

const hasScript = process.platform === "linux" && spawnSync("script", ["--version"]).error === undefined;

describe.skipIf(!hasScript)("on a terminal (needs script of util-linux)", () => {
  /** Runs the command line on a pseudo-terminal; afterwards prints its exit code and the terminal's mode. */
  function start(path: string, ...args: string[]): Session {
    const command = [process.execPath, cli.entry, "boot", path, ...args].join(" ");
    const shell = `${command}; echo "code=$?"; stty -a | grep -o -- '-*icanon'`;
    return new Session("script", ["-qec", `sh -c '${shell.replaceAll("'", "'\\''")}'`, "/dev/null"]);
  }

  const prompt = () => image("echo", g.print("ready"), g.echo, g.powerOff, g.forever);

  test("keys reach the guest as they are typed; power-off gives the terminal back", async () => {
    const session = start(prompt());
    await session.until("ready");
    session.type("a");
    await session.until("a");
    // In raw mode Ctrl-C is a key like others; Ctrl-A twice sends one.
    session.type("\x03\x01\x01z");
    await session.until("\x03\x01z");
    session.type("q");
    await session.until("code=0");
    await session.until("icanon");
    await session.closed;
    expect(session.output).not.toContain("-icanon");
  });

  test("Ctrl-A x leaves, and gives the terminal back", async () => {
    const session = start(image("spin", g.print("ready"), g.forever));
    await session.until("ready");
    session.type("\x01x");
    await session.until("code=0");
    await session.until("icanon");
    await session.closed;
    expect(session.output).not.toContain("-icanon");
  });

  test("Ctrl-A h lists the keys", async () => {
    const session = start(prompt());
    await session.until("ready");
    session.type("\x01h");
    await session.until("Ctrl-A x      leave the emulator");
    session.type("\x01x");
    await session.until("code=0");
  });

  test("Ctrl-A c opens the monitor, where the guest can be looked at, stopped and continued", async () => {
    const session = start(prompt());
    await session.until("ready");
    session.type("\x01c");
    await session.until("(ukl-emu) ");
    session.type("info registers\r");
    await session.until("RAX=");
    await session.until("(ukl-emu) ");
    session.type("stop\r");
    await session.until("(ukl-emu) ");
    session.type("info codx\x7fe\r");
    await session.until("=> ");
    session.type("nonsense\r");
    await session.until('unknown command "nonsense"');
    session.type("continue\r");
    await session.until("(ukl-emu) ");
    session.type("\x01c");
    session.type("w");
    await session.until("w");
    session.type("\x01cquit\r");
    await session.until("code=0");
  });

  test("SIGTERM stops the run with 143 and gives the terminal back", async () => {
    const session = start(image("spin2", g.print("ready"), g.forever));
    await session.until("ready");
    for (const pid of running([process.execPath, cli.entry, "boot"])) process.kill(pid, "SIGTERM");
    await session.until("code=143");
    await session.until("icanon");
    await session.closed;
    expect(session.output).not.toContain("-icanon");
  });
});

describe("signals and pipes", () => {
  const spinning = () => image("spin3", g.print("ready"), g.forever);
  const start = (...args: string[]) => new Session(process.execPath, [cli.entry, "boot", ...args]);

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s stops the run with statistics and code %i", async (signal, code) => {
    const session = start(spinning());
    await session.until("ready");
    session.child.kill(signal);
    expect(await session.closed).toBe(code);
    expect(session.output).toMatch(new RegExp(`stopped by ${signal} after [\\d,]+ instructions`));
    expect(session.output).toMatch(/^Instructions +[\d,]+$/m);
  });

  test("a second signal ends a run whose output nobody takes", { timeout: 60_000 }, async () => {
    const path = image("printer3", [0x66, 0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xeb, 0xfd]);
    const child = spawn(process.execPath, [cli.entry, "boot", path], { stdio: ["ignore", "pipe", "ignore"] });
    await once(child.stdout, "readable");
    const closed = once(child, "exit");
    const asking = setInterval(() => child.kill("SIGINT"), 700);
    expect(await closed).toEqual([null, "SIGINT"]);
    clearInterval(asking);
  });

  test("a reader that goes away ends the run quietly", async () => {
    // Prints for ever.
    const path = image("printer", [0x66, 0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xeb, 0xfd]);
    const { status, stdout, stderr } = spawnSync(
      "bash",
      ["-c", `"${process.execPath}" "${cli.entry}" boot "${path}" | head -c 5; exit "\${PIPESTATUS[0]}"`],
      { encoding: "utf8", timeout: 60_000 },
    );
    expect(stdout).toBe("AAAAA");
    expect(stderr).toBe("");
    expect(status).toBe(141);
  });

  test("a slow reader holds the guest back: what was printed is not kept in memory", async () => {
    const path = image("printer2", [0x66, 0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xeb, 0xfd]);
    const session = start(path, "--json", "--serial", "stdio", "--timeout", "3s");
    // Nobody reads standard error, where the console goes.
    session.child.stderr!.removeAllListeners("data").pause();
    await new Promise((resolve) => setTimeout(resolve, 4000));
    session.child.stderr!.resume();
    await session.closed;
    const { consoleBytes } = JSON.parse(session.output) as { consoleBytes: number };
    // A pipe and the buffers on its way hold some; three seconds of printing would be millions.
    expect(consoleBytes).toBeGreaterThan(1000);
    expect(consoleBytes).toBeLessThan(1_000_000);
  });
});
