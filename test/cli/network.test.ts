/** `--net`, `--pcap`, `--clock`, `--record` and `--replay`: what they take, and runs of small guests with them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { UserError } from "../../src/cli/errors.ts";
import { macText, parseNetworks } from "../../src/cli/networks.ts";
import * as g from "./guests.ts";
import { type CliResult, hello, useCli } from "./run-cli.ts";

const cli = useCli();

function image(name: string, ...parts: (readonly number[])[]): string {
  const path = join(cli.work, name);
  writeFileSync(path, g.guest(...parts));
  return path;
}

/** One line, exit code 2. */
function refused({ code, stdout, stderr }: CliResult, says: string | RegExp): void {
  expect(stderr).toMatch(/^ukl-emu: [^\n]*\n$/);
  expect(stderr).toMatch(says);
  expect([code, stdout]).toEqual([2, ""]);
}

describe("--net", () => {
  test("user has QEMU's first address, and forwards to the guest of DHCP from the host's loopback address", () => {
    const [network] = parseNetworks([
      "user,hostfwd=tcp::8080-:80,hostfwd=udp:0.0.0.0:53-10.0.2.20:53,restrict=on",
    ]);
    expect(macText(network!.mac)).toBe("52:54:00:12:34:56");
    expect(network).toMatchObject({ mtu: undefined, queuePairs: 1, transport: "pci" });
    expect(network!.backend).toMatchObject({
      kind: "user",
      restrict: true,
      loopback: false,
      forwards: [
        { protocol: "tcp", hostAddress: "127.0.0.1", hostPort: 8080, guestPort: 80 },
        { protocol: "udp", hostAddress: "0.0.0.0", hostPort: 53, guestPort: 53 },
      ],
    });
  });

  test("stream takes a path or a host and a port", () => {
    const networks = parseNetworks([
      "stream:/run/a:b.sock,mac=02:00:00:00:00:01,mtu=9000,queues=4,transport=mmio",
      "stream:localhost:1234",
      "stream:[::1]:1234",
      "stream:with,,comma",
    ]);
    expect(networks.map(({ backend }) => backend.kind === "stream" && backend.address)).toEqual([
      { path: "/run/a:b.sock" },
      { host: "localhost", port: 1234 },
      { host: "::1", port: 1234 },
      { path: "with,comma" },
    ]);
    expect(networks[0]).toMatchObject({ mtu: 9000, queuePairs: 4, transport: "mmio" });
    expect(networks.map(({ mac }) => macText(mac))).toEqual([
      "02:00:00:00:00:01",
      "52:54:00:12:34:57",
      "52:54:00:12:34:58",
      "52:54:00:12:34:59",
    ]);
  });

  test("none is none", () => {
    expect(parseNetworks(["none"])).toEqual([]);
  });

  test.each([
    "",
    "tap",
    "none,mtu=1500",
    "user,",
    "user,hostfwd",
    "user,hostfwd=",
    "user,hostfwd=tcp:8080:80",
    "user,hostfwd=sctp::8080-:80",
    "user,hostfwd=tcp::80800-:80",
    "user,hostfwd=tcp::8080-:0",
    "user,hostfwd=tcp:localhost:8080-:80",
    "user,hostfwd=tcp::8080-192.168.1.1:80",
    "user,restrict=maybe",
    "user,restrict,restrict",
    "user,mtu=67",
    "user,mtu=70000",
    "user,queues=0",
    "user,queues=9",
    "user,queues=2,queues=2",
    "user,mac=52:54:00:12:34",
    "user,mac=01:00:5e:00:00:01",
    "user,transport=isa",
    "user,nonsense=1",
    "stream:",
    "stream:host:99999",
    "stream:/a,hostfwd=tcp::1-:1",
  ])('"%s" is refused', (text) => {
    expect(() => parseNetworks([text])).toThrow(UserError);
    expect(() => parseNetworks([text])).toThrow(/^--net: (hostfwd: )?expected /);
  });

  test("none is refused beside another", () => {
    expect(() => parseNetworks(["none", "user"])).toThrow(UserError);
  });
});

describe("what cannot be used is one line and exit code 2", () => {
  test("a port in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    refused(
      await cli.run(["boot", hello, "--net", `user,hostfwd=tcp::${port}-:80`]),
      new RegExp(`${port}.*in use`, "i"),
    );
    server.close();
  });

  test("a socket that is not there, or that nobody listens at", async () => {
    refused(
      await cli.run(["boot", hello, "--net", "stream:/nowhere/socket"]),
      /stream:\/nowhere\/socket: expected .*no such file/,
    );
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    refused(await cli.run(["boot", hello, "--net", `stream:127.0.0.1:${port}`]), /expected .*refused/);
  });

  test.each([
    [["--clock", "wall"], /--clock: expected virtual or host/],
    [["--pcap", "x.pcapng"], /--pcap: expected a --net/],
    [["--record", "a", "--replay", "b"], /--record: expected no --replay/],
    [["--replay", "b", "--clock", "host"], /--clock: expected no --replay/],
    [["--replay", "nothing"], /--replay nothing: expected a recording, found no such file/],
    [["--replay", hello], /expected a recording, found another file/],
    [["--replay", "/dev"], /expected a recording, found/],
    [["--record", "/nowhere/file"], /\/nowhere\/file: expected a file to write to/],
    [["--record", ""], /--record: expected a file name/],
  ] as const)("%j", async (args, says) => {
    refused(await cli.run(["boot", hello, ...args]), says);
    expect(cli.files().filter((name) => ["a", "b", "x.pcapng"].includes(name))).toEqual([]);
  });

  test("a drive that a recording could not find again", async () => {
    const disk = join(cli.work, "disk.img");
    writeFileSync(disk, new Uint8Array(4096));
    const drive = ["--drive", `file=${disk}`];
    refused(
      await cli.run(["boot", hello, ...drive, "--record", "disk.rec"]),
      /--record: expected every drive to be readonly or snapshot/,
    );
    expect(existsSync(join(cli.work, "disk.rec"))).toBe(false);
  });
});

/** What of a run repeats. */
async function report(args: readonly string[], input = "") {
  const { code, stdout, stderr } = await cli.run(["boot", ...args, "--json"], { input });
  const { reason, instructions, virtualSeconds, registers, consoleBytes } = JSON.parse(stdout);
  return { code, console: stderr, reason, instructions, virtualSeconds, registers, consoleBytes };
}

describe("a recorded run", () => {
  const echo = () => image("echo", g.print("ready"), g.echo, g.powerOff, g.forever);

  test("repeats with the host's clock, to the instruction", async () => {
    const path = echo();
    const first = await report([path, "--clock", "host", "--record", "echo.rec"], "some text, then q");
    expect(first).toMatchObject({ code: 0, reason: "power-off", console: "readysome text, then q" });
    const again = await report([path, "--replay", "echo.rec"], "other text");
    expect(again).toEqual(first);
  });

  test("ends where --expect, --max-instructions and --timeout have ended it", async () => {
    const path = echo();
    for (const [name, args, input] of [
      ["expect", ["--expect", "abc"], "xxabcdef"],
      ["limit", ["--max-instructions", "123457"], ""],
      ["timeout", ["--timeout", "500ms", "--clock", "host"], "hold"],
    ] as const) {
      const first = await report([path, ...args, "--record", `${name}.rec`], input);
      const again = await report([path, "--replay", `${name}.rec`]);
      expect(again.instructions, name).toBe(first.instructions);
      expect(again.registers, name).toEqual(first.registers);
      expect(again.console.startsWith(first.console.split("ukl-emu:")[0]!), name).toBe(true);
      if (name !== "limit") expect(again).toMatchObject({ code: 0, reason: "replayed" });
    }
  });

  test("has the same traces", async () => {
    const args = ["--timing", "skylake", "--trace", "int,io:trace.txt"];
    await report([hello, "--record", "hello.rec", ...args]);
    const trace = readFileSync(join(cli.work, "trace.txt"), "utf8");
    await report([hello, "--replay", "hello.rec", ...args]);
    expect(readFileSync(join(cli.work, "trace.txt"), "utf8")).toBe(trace);
    const traced = await cli.run(["trace", hello, "--timing", "skylake", "--replay", "hello.rec"]);
    expect(traced.code).toBe(0);
  });

  test("is good up to its last complete record", async () => {
    const path = echo();
    await report([path, "--record", "whole.rec"], "abcq");
    const { length } = readFileSync(join(cli.work, "whole.rec"));
    const cut = join(cli.work, "cut.rec");
    copyFileSync(join(cli.work, "whole.rec"), cut);
    truncateSync(cut, length - 3);
    const { code, reason } = await report([path, "--replay", cut]);
    expect([code, reason]).toEqual([0, "replayed"]);
  });

  test("of a recorder that was killed repeats as far as it was written", async () => {
    const path = echo();
    const child = spawn(
      process.execPath,
      [cli.entry, "boot", path, "--clock", "host", "--record", "killed.rec"],
      {
        cwd: cli.work,
        stdio: "pipe",
      },
    );
    let output = "";
    child.stdin.write("typed");
    for await (const chunk of child.stdout) {
      output += chunk;
      // What was typed is long in the file when its echo is here; marks follow it every second.
      if (output === "readytyped") setTimeout(() => child.kill("SIGKILL"), 1500);
    }
    const again = await report([path, "--replay", "killed.rec"]);
    expect(again).toMatchObject({ code: 0, reason: "replayed" });
    expect(again.console).toMatch(/^readytyped/);
  });

  test("is refused where something differs from it", async () => {
    await report([hello, "--record", "differ.rec"]);
    const replay = (...args: string[]) => cli.run(["boot", ...args, "--replay", "differ.rec"]);
    refused(
      await replay(hello, "--memory", "64M"),
      /expected --memory as recorded \(the default\), found 67108864/,
    );
    refused(await replay(hello, "--cpus", "2"), /expected --cpus as recorded \(1\), found 2/);
    refused(await replay(hello, "--append", "quiet"), /expected --append as recorded \(""\), found "quiet"/);
    refused(await replay(hello, "--net", "user"), /expected --net 1 as recorded \(none\), found user/);
    refused(await replay(echo()), /expected IMAGE as recorded \(\d+ bytes, SHA-256/);
    const disk = join(cli.work, "two.img");
    writeFileSync(disk, new Uint8Array(8192));
    const drive = ["--drive", `file=${disk},readonly`];
    await report([hello, ...drive, "--record", "drive.rec"]);
    writeFileSync(disk, new Uint8Array(8192).fill(1));
    refused(
      await cli.run(["boot", hello, ...drive, "--replay", "drive.rec"]),
      /expected --drive 1 as recorded/,
    );
  });

  test("that goes another way is told, with exit code 1", async () => {
    await report([hello, "--record", "other.rec"]);
    const path = join(cli.work, "other.rec");
    const bytes = readFileSync(path);
    // The last bytes are the CRC-32 of the console.
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(path, bytes);
    const { code, stderr } = await cli.run(["boot", hello, "--replay", path]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^ukl-emu: the run has diverged from the recording: expected 98 bytes on the console/m,
    );
  });
});
