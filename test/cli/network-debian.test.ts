/**
 * Debian's cloud kernel on networks with real programs at the other end: the host's, passt, and another guest under QEMU.
 * Needs `images/fetch-debian.ts` to have run. Each run is recorded, and the recording has to repeat it.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createInitrd, hasLinux } from "../devices/virtio/linux.ts";
import { useCli } from "./run-cli.ts";

const MINUTES = 60_000;
const root = join(import.meta.dirname, "..", "..");
const kernel = join(root, "images", "cache", "vmlinuz-cloud");
const cli = useCli();

/** What a server of the host sends. */
const payload = Buffer.alloc(2 << 20, "0123456789abcdefghijklmnopqrstuvwxyz\n");
const digest = createHash("sha256").update(payload).digest("hex");

const has = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined;

/** A process whose output can be waited for. */
class Guest {
  readonly child: ChildProcess;
  output = "";
  errors = "";
  readonly closed: Promise<number | null>;
  #check: (() => void) | null = null;

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args, { stdio: "pipe", cwd: cli.work });
    const listen = (stream: NodeJS.ReadableStream, add: (text: string) => void) =>
      stream.setEncoding("latin1").on("data", (text: string) => {
        add(text);
        this.#check?.();
      });
    listen(this.child.stdout!, (text) => {
      this.output += text.replaceAll("\r", "");
    });
    listen(this.child.stderr!, (text) => {
      this.errors += text;
    });
    this.child.stdin!.on("error", () => {});
    this.closed = new Promise((resolve) => this.child.on("close", resolve));
  }

  /** Waits for a match in the output. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      this.#check = () => {
        const match = pattern.exec(this.output) ?? pattern.exec(this.errors);
        if (match !== null) resolve(match);
      };
      void this.closed.then(() =>
        reject(new Error(`ended without ${pattern}: ${this.output}${this.errors}`)),
      );
      this.#check();
    });
  }

  /** Processor time that it has used, seconds. */
  get cpuTime(): number {
    const fields = readFileSync(`/proc/${this.child.pid}/stat`, "latin1")
      .replace(/^.*\) /, "")
      .split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }
}

let initrd = "";

/** Options for a guest that runs a script. */
function boot(name: string, script: string): string[] {
  const text = Buffer.from(script);
  const disk = Buffer.alloc(Math.ceil(text.length / 512) * 512);
  text.copy(disk);
  const file = join(cli.work, `${name}.script`);
  writeFileSync(file, disk);
  const drive = ["--drive", `file=${file},readonly,id=script`];
  return [
    "boot",
    kernel,
    "--initrd",
    initrd,
    "--append",
    "console=ttyS0 quiet cryptomgr.notests",
    "--timeout",
    "20m",
    ...drive,
  ];
}

/** A guest of this project. */
const start = (...args: string[]): Guest => new Guest(process.execPath, [cli.entry, ...args]);

const addresses = (address: string, router: string): string => `ip link set lo up
ip link set eth0 up
ip addr add ${address}/24 dev eth0
ip route add default via ${router}
`;

/** What a kernel says that is not content with its time. */
const COMPLAINTS = /lockup|stall|unstable|clocksource: .*(skew|watchdog)|Call Trace|BUG:/;

describe.skipIf(!hasLinux)("Debian's cloud kernel on a network", () => {
  let server: Server;
  let port = 0;

  beforeAll(async () => {
    initrd = join(cli.work, "initrd-net.gz");
    writeFileSync(initrd, createInitrd());
    server = createServer((_request, response) => response.end(payload)).listen(0, "127.0.0.1");
    await once(server, "listening");
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  /** Runs the recording. @returns that run's console */
  async function replayed(args: readonly string[], recording: string, original: Guest): Promise<void> {
    const again = start(...args, "--replay", recording, "--stats");
    again.child.stdin!.end();
    expect(await again.closed, again.errors).toBe(0);
    expect(again.output).toBe(original.output);
    const instructions = (guest: Guest) => /^Instructions +([\d,]+)$/m.exec(guest.errors)![1];
    expect(instructions(again)).toBe(instructions(original));
  }

  test.each([[[]], [["--cpus", "3"]]])(
    "serves the host, fetches from it, sleeps while it waits, and does it all again from a recording: %j",
    { timeout: 20 * MINUTES },
    async (more) => {
      const args = [
        ...boot(
          "user",
          `ip link set eth0 up
udhcpc -i eth0 -n -q -f -s /bin/true 2>&1 | grep 'lease of'
${addresses("10.0.2.15", "10.0.2.2")}
wget -q -O - http://10.0.2.2:${port}/ | sha256sum
echo "hello from the guest" >/tmp/index.html
httpd -p 80 -h /tmp
echo "serving"
read line </dev/console
echo "got $line"
dmesg | grep -iE 'lockup|stall|unstable|watchdog'
`,
        ),
        ...more,
        "--net",
        "user,loopback=on,hostfwd=tcp::0-:80",
      ];
      const guest = start(...args, "--record", "user.rec", "--pcap", "user.pcapng", "--stats");
      await guest.until(/^serving$/m);
      const [, forwarded] = await guest.until(/tcp port (\d+) of 127\.0\.0\.1 leads to the guest's port 80/);
      for (let i = 0; i < 20; i++) {
        const response = await fetch(`http://127.0.0.1:${forwarded}/index.html`);
        expect(await response.text()).toBe("hello from the guest\n");
      }
      // An idle guest costs next to nothing, however busy its host is.
      const before = guest.cpuTime;
      await new Promise((resolve) => setTimeout(resolve, 10_000));
      expect(guest.cpuTime - before).toBeLessThan(0.2);
      guest.child.stdin!.write("a line\n");
      expect(await guest.closed, guest.errors).toBe(0);
      expect(guest.output).toContain("lease of 10.0.2.15 obtained from 10.0.2.2");
      expect(guest.output).toContain(`${digest}  -`);
      expect(guest.output).toContain("got a line");
      expect(guest.output.split("\n").filter((line) => COMPLAINTS.test(line))).toEqual([]);
      if (has("tshark")) {
        const tshark = spawnSync(
          "tshark",
          ["-r", join(cli.work, "user.pcapng"), "-Y", "_ws.malformed || http.response.code == 200"],
          {
            encoding: "utf8",
          },
        );
        expect(tshark.status, tshark.stderr).toBe(0);
        expect(tshark.stdout.trim().split("\n")).toHaveLength(21);
        expect(tshark.stdout).not.toContain("Malformed");
      }
      await replayed(args, "user.rec", guest);
    },
  );

  describe.skipIf(!has("passt"))("behind passt (needs the package passt)", () => {
    test("gets its address from passt and reaches the host", { timeout: 20 * MINUTES }, async (context) => {
      const socket = join(cli.work, "passt.socket");
      const runAs = process.getuid?.() === 0 ? ["--runas", "0:0"] : [];
      const passt = new Guest("passt", ["-f", "-1", "-s", socket, ...runAs]);
      let ended = false;
      void passt.closed.then(() => {
        ended = true;
      });
      while (!existsSync(socket) && !ended) await new Promise((resolve) => setTimeout(resolve, 50));
      // It makes itself a name space of its own, and wants an interface with an address to copy.
      if (ended) return context.skip(`passt cannot run here: ${passt.errors.trim().split("\n").at(-1)}`);
      const args = [
        ...boot(
          "passt",
          `ip link set lo up
ip link set eth0 up
cat >/tmp/lease <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/24 dev eth0
ip route add default via $router
echo $router >/tmp/router
END
chmod +x /tmp/lease
udhcpc -i eth0 -n -q -f -s /tmp/lease 2>&1 | grep 'lease of'
wget -q -O - http://$(cat /tmp/router):${port}/ | sha256sum
`,
        ),
        "--net",
        `stream:${socket}`,
      ];
      const guest = start(...args, "--record", "passt.rec", "--stats");
      expect(await guest.closed, guest.errors).toBe(0);
      passt.child.kill();
      expect(guest.output).toMatch(/lease of [\d.]+ obtained from [\d.]+/);
      expect(guest.output).toContain(`${digest}  -`);
      await replayed(args, "passt.rec", guest);
    });
  });

  describe.skipIf(!has("qemu-system-x86_64"))("beside a guest under QEMU (needs qemu-system-x86)", () => {
    test("reaches it, and is reached by it", { timeout: 20 * MINUTES }, async () => {
      const socket = join(cli.work, "qemu.socket");
      boot(
        "peer",
        `${addresses("10.9.9.1", "10.9.9.2")}
dd if=/dev/zero bs=1024 count=2048 2>/dev/null | tr '\\0' x >/tmp/zeros
httpd -p 80 -h /tmp
echo "peer serves"
until ping -c 1 -W 1 10.9.9.2 >/dev/null; do :; done
echo "peer reaches"
read line </dev/console
`,
      );
      const peer = new Guest("qemu-system-x86_64", [
        ...["-accel", "tcg", "-display", "none", "-serial", "stdio", "-no-reboot", "-m", "256"],
        ...["-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet cryptomgr.notests"],
        ...["-drive", `file=${join(cli.work, "peer.script")},format=raw,if=none,id=script,readonly=on`],
        ...["-device", "virtio-blk-pci,drive=script,serial=script"],
        ...["-netdev", `stream,id=net0,server=on,addr.type=unix,addr.path=${socket}`],
        ...["-device", "virtio-net-pci,netdev=net0,mac=52:54:00:00:00:99"],
      ]);
      try {
        while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 50));
        const args = [
          ...boot(
            "own",
            `${addresses("10.9.9.2", "10.9.9.1")}
until ping -c 1 -W 1 10.9.9.1 >/dev/null; do :; done
echo "reaches"
until wget -q -O /tmp/zeros http://10.9.9.1/zeros; do sleep 1; done
sha256sum /tmp/zeros
read line </dev/console
`,
          ),
          "--net",
          `stream:${socket}`,
        ];
        const guest = start(...args, "--record", "qemu.rec", "--stats");
        await Promise.all([guest.until(/^reaches$/m), peer.until(/^peer reaches$/m)]);
        const sum = createHash("sha256")
          .update(Buffer.alloc(2 << 20, "x"))
          .digest("hex");
        await guest.until(new RegExp(sum));
        guest.child.stdin!.write("\n");
        expect(await guest.closed, guest.errors).toBe(0);
        await replayed(args, "qemu.rec", guest);
      } finally {
        peer.child.kill();
      }
    });
  });
});
