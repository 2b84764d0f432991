/**
 * Debian's cloud kernel on disks of this machine: an ext4 file system that mke2fs made, changed in the guest, and looked
 * at with e2fsprogs on the host. Needs `images/fetch-debian.ts` to have run and e2fsprogs; without them these tests
 * are skipped.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { buildInitramfs, payload, reachedInit } from "../../images/initramfs.ts";
import { readDiskModules } from "../../images/kernel-modules.ts";
import { Random } from "../random.ts";
import { useCli } from "./run-cli.ts";

const cache = join(import.meta.dirname, "..", "..", "images", "cache");
const kernel = join(cache, "vmlinuz-cloud");
const debs = existsSync(join(cache, "debs")) ? readdirSync(join(cache, "debs")) : [];
const package_ = (pattern: RegExp) => debs.find((name) => pattern.test(name));
const kernelPackage = package_(/^linux-image-.*cloud-amd64_/);
const busyboxPackage = package_(/^busybox-static_/);
/** e2fsprogs lie where only the superuser's path leads. */
const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` };
const hasTools = ["mke2fs", "e2fsck", "debugfs"].every((tool) => !spawnSync(tool, ["-V"], { env }).error);
const hasQemuImg = !spawnSync("qemu-img", ["--version"]).error;
const available = existsSync(kernel) && kernelPackage && busyboxPackage && hasTools;
const MINUTES = 60_000;
/** Two thirds of what the kernel executes to its first process are tests of its cryptography. */
const BOOT = "console=ttyS0 cryptomgr.notests";

/** `KILLS=200 vitest run test/cli/virtio-disk.test.ts -t killed` is the long run. */
const KILLS = Number(process.env["KILLS"] ?? 1);

const cli = useCli();
const path = (name: string): string => join(cli.work, name);
const tool = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Unpacks a package, hands its directory to `use`, and removes it. */
function unpacked<T>(name: string, use: (root: string) => T): T {
  const root = path("unpacked");
  tool("dpkg-deb", "-x", join(cache, "debs", name), root);
  try {
    return use(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** A disk that holds a script for the guest. */
function writeScript(lines: string): void {
  writeFileSync(path("script"), lines);
  truncateSync(path("script"), Math.ceil(lines.length / 512) * 512);
}

/** Boots with the script. `words` go to the kernel, `args` to the emulator. */
async function boot(script: string, words: string, args: readonly string[], transport = "pci") {
  writeScript(script);
  const command = ["boot", kernel, "--initrd", path("initrd.gz"), "--append", `${BOOT} ${words}`.trim()];
  const drive = ["--drive", `file=script,readonly,id=script,transport=${transport}`];
  const { code, stdout, stderr } = await cli.run([
    ...command,
    ...args,
    ...drive,
    "--timeout",
    "5m",
    "--json",
  ]);
  const lines = stderr.replaceAll("\r", "").split("\n");
  return { code, report: JSON.parse(stdout), lines, start: lines.indexOf(reachedInit) };
}

const COMPLAINTS = /WARNING|BUG:|Oops|Call Trace|I\/O error|EXT4-fs error|insmod|mount:/;

const SCRIPT = `mkdir /mnt
mount -t ext4 /dev/vda /mnt || exit
sha256sum </mnt/in
cat /sys/block/vda/serial /sys/block/vda/queue/write_cache /sys/block/vda/queue/discard_max_bytes
seq 1 200000 >/mnt/out
dd if=/mnt/in of=/mnt/copy bs=8k conv=fsync 2>&1 | head -n 2
fstrim /mnt
rm /mnt/removed
umount /mnt
mount -o ro /dev/vda /mnt
sha256sum </mnt/out
umount /mnt
dd if=/dev/hwrng bs=32 count=1 2>/dev/null | sha256sum
grep virtio /proc/interrupts
`;

const sequence = Buffer.from(`${Array.from({ length: 200_000 }, (_, i) => i + 1).join("\n")}\n`);

describe.skipIf(!available)("Debian's cloud kernel", () => {
  beforeAll(() => {
    const modules = unpacked(kernelPackage!, readDiskModules);
    const busybox = unpacked(busyboxPackage!, (root) => {
      const found = ["bin/busybox", "usr/bin/busybox"].map((p) => join(root, p)).find((p) => existsSync(p));
      return readFileSync(found!);
    });
    writeFileSync(path("initrd.gz"), buildInitramfs("disk", busybox, modules));
    mkdirSync(path("files"));
    writeFileSync(path("files/in"), payload());
    writeFileSync(path("files/removed"), payload());
    writeFileSync(path("new.img"), "");
    truncateSync(path("new.img"), 48 << 20);
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-d", path("files"), path("new.img"));
  }, MINUTES);

  const ways: [way: string, transport: string, words: string, interrupts: RegExp][] = [
    ["over PCI with MSI-X", "pci", "", /PCI-MSI .* virtio0-req\.0$/],
    ["over PCI with INTx", "pci", "pci=nomsi", /IO-APIC +1\d-fasteoi +virtio0$/],
    ["over PCI with the 8259 pair", "pci", "acpi=off noapic nolapic", /XT-PIC .* virtio0/],
    ["over MMIO", "mmio", "", /IO-APIC +5-edge +virtio0$/],
  ];
  test.each(ways)("reads and writes a file system %s", { timeout: 5 * MINUTES }, async (...way) => {
    const [, transport, words, interrupts] = way;
    copyFileSync(path("new.img"), path("disk.img"));
    const args = ["--drive", `file=disk.img,id=a-serial.7,transport=${transport}`, "--rng", transport];
    const { code, report, lines, start } = await boot(SCRIPT, words, args, transport);
    // Without ACPI a kernel does not know how to power off.
    const end = words.includes("acpi=off") ? [4, "halted"] : [0, "power-off"];
    expect([code, report.reason], lines.slice(-20).join("\n")).toEqual(end);
    const console = lines.slice(start);
    expect(console.filter((line) => COMPLAINTS.test(line))).toEqual([]);
    expect(report.unknown).toEqual({});
    expect(console).toEqual(
      expect.arrayContaining([
        `${sha256(payload())}  -`,
        "a-serial.7write back",
        "2147483648",
        "32+0 records in",
        `${sha256(sequence)}  -`,
        expect.stringMatching(interrupts),
      ]),
    );
    expectFiles(path("disk.img"));
  });

  /** On the host: no error, and the files that the guest wrote. */
  function expectFiles(disk: string): void {
    expect(tool("e2fsck", "-fn", disk)).toMatch(/: \d+\/\d+ files/m);
    const dump = (name: string): Uint8Array => {
      tool("debugfs", "-R", `dump /${name} ${path("dumped")}`, disk);
      return readFileSync(path("dumped"));
    };
    expect(sha256(dump("out"))).toBe(sha256(sequence));
    expect(sha256(dump("copy"))).toBe(sha256(payload()));
    expect(tool("debugfs", "-R", "ls -l /", disk)).not.toContain("removed");
  }

  const qcow2: [name: string, options: string[], drive: string][] = [
    ["compressed with zlib", ["-c"], "file=disk.qcow2"],
    [
      "compressed with zstd, clusters of 4 KiB",
      ["-c", "-o", "compression_type=zstd,cluster_size=4k"],
      "file=disk.qcow2,format=qcow2",
    ],
    ["as an overlay", [], "file=new.img,overlay=disk.qcow2"],
  ];
  test.skipIf(!hasQemuImg).each(qcow2)("on a qcow2 disk, %s", { timeout: 5 * MINUTES }, async (...row) => {
    const [, options, drive] = row;
    rmSync(path("disk.qcow2"), { force: true });
    if (drive.startsWith("file=disk")) {
      tool("qemu-img", "convert", "-O", "qcow2", ...options, path("new.img"), path("disk.qcow2"));
    }
    tool("qemu-img", "create", "-q", "-f", "qcow2", path("empty.qcow2"), "64M");
    const before = sha256(readFileSync(path("new.img")));
    const drives = ["--drive", drive, "--drive", "file=empty.qcow2"];
    const script = `${SCRIPT}mke2fs /dev/vdb >/dev/null\nmount -t ext2 /dev/vdb /mnt\nseq 1 200000 >/mnt/out\numount /mnt\n`;
    const { code, lines, start } = await boot(script, "", drives);
    const console = lines.slice(start);
    expect([code, console.filter((line) => COMPLAINTS.test(line))], lines.slice(-20).join("\n")).toEqual([
      0,
      [],
    ]);
    expect(console).toEqual(expect.arrayContaining([`${sha256(payload())}  -`, `${sha256(sequence)}  -`]));
    for (const name of ["disk.qcow2", "empty.qcow2"]) {
      expect(tool("qemu-img", "check", path(name))).toContain("No errors were found");
      tool("qemu-img", "convert", "-O", "raw", path(name), path(`${name}.raw`));
    }
    expectFiles(path("disk.qcow2.raw"));
    expect(tool("e2fsck", "-fn", path("empty.qcow2.raw"))).toMatch(/: \d+\/\d+ files/m);
    tool("debugfs", "-R", `dump /out ${path("dumped")}`, path("empty.qcow2.raw"));
    expect(sha256(readFileSync(path("dumped")))).toBe(sha256(sequence));
    expect(sha256(readFileSync(path("new.img")))).toBe(before);
  });

  /** Numbered files; a line says that one was synced. */
  const RECORDS = `mkdir /mnt
mount -t ext4 /dev/vda /mnt || exit
i=0
while [ $i -lt 100000 ]; do
  i=$((i + 1))
  seq $i $((i + 300)) | dd of=/mnt/r$((i % 50)) conv=fsync 2>/dev/null
  echo "synced $i"
done
`;

  const kinds: [string, string[]][] = [
    ["raw", ["-O", "raw"]],
    ["qcow2", ["-O", "qcow2"]],
    ["qcow2 with clusters of 4 KiB", ["-O", "qcow2", "-c", "-o", "cluster_size=4k"]],
  ];
  test.skipIf(!hasQemuImg).each(kinds)(
    "keeps what was synced when the emulator is killed: %s",
    {
      timeout: (1 + KILLS) * 5 * MINUTES,
    },
    async (name, options) => {
      writeScript(RECORDS);
      const dice = Random.spread(name.length);
      const image = path(name === "raw" ? "crash.img" : "crash.qcow2");
      const drives = ["--drive", `file=${image}`, "--drive", "file=script,readonly,id=script"];
      const words = ["boot", kernel, "--initrd", "initrd.gz", "--append", `${BOOT} quiet`];
      for (let kill = 0; kill < KILLS; kill++) {
        tool("qemu-img", "convert", ...options, path("new.img"), image);
        const child = spawn(process.execPath, [cli.entry, ...words, ...drives], {
          cwd: cli.work,
          stdio: ["ignore", "pipe", "inherit"],
        });
        const last = 5 + dice.below(60);
        let text = "";
        child.stdout.setEncoding("latin1").on("data", (part: string) => {
          text += part;
          if (text.includes(`synced ${last}\r`)) setTimeout(() => child.kill("SIGKILL"), dice.below(100));
        });
        expect(await new Promise((resolve) => child.on("close", (_, signal) => resolve(signal)))).toBe(
          "SIGKILL",
        );
        const synced = Number([...text.matchAll(/synced (\d+)\r/g)].at(-1)![1]);
        if (name !== "raw") expect(tool("qemu-img", "check", image)).toContain("No errors were found");
        tool("qemu-img", "convert", "-O", "raw", image, path("crash.raw"));
        // What may be done without asking (-p) is to replay the journal; 1 means that something was done.
        const replay = spawnSync("e2fsck", ["-p", path("crash.raw")], { env, encoding: "utf8" });
        expect(replay.status, replay.stdout).toBeLessThanOrEqual(1);
        expect(tool("e2fsck", "-fn", path("crash.raw"))).toMatch(/: \d+\/\d+ files/m);
        // The record that came next may have begun to overwrite the oldest of the 50.
        for (let i = Math.max(1, synced - 48); i <= synced; i++) {
          tool("debugfs", "-R", `dump /r${i % 50} ${path("dumped")}`, path("crash.raw"));
          expect(readFileSync(path("dumped"), "latin1").split("\n")[0], `record ${i} of ${synced}`).toBe(
            `${i}`,
          );
        }
      }
    },
  );

  test("runs repeat: console, instructions, registers and disk", { timeout: 5 * MINUTES }, async () => {
    const runs = [];
    for (let i = 0; i < 2; i++) {
      copyFileSync(path("new.img"), path("disk.img"));
      const run = await boot(SCRIPT, "", ["--drive", "file=disk.img", "--rng", "pci", "--seed", "7"]);
      runs.push({ ...run, disk: sha256(readFileSync(path("disk.img"))) });
    }
    const [first, second] = runs;
    expect(second!.lines).toEqual(first!.lines);
    expect(second!.report.instructions).toBe(first!.report.instructions);
    expect(second!.report.registers).toEqual(first!.report.registers);
    expect(second!.disk).toBe(first!.disk);
  });

  test("a snapshot and a read-only disk leave their files alone", { timeout: 5 * MINUTES }, async () => {
    const before = sha256(readFileSync(path("new.img")));
    const script = `mkdir /mnt
mount -t ext4 /dev/vda /mnt && echo changed >/mnt/in && sync && umount /mnt
mount -o ro /dev/vda /mnt && cat /mnt/in && umount /mnt
mount -o ro /dev/vdc /mnt && sha256sum </mnt/in && umount /mnt
cat /sys/block/vdc/ro
dd if=/dev/zero of=/dev/vdc bs=512 count=1 conv=fsync 2>&1 || echo refused
`;
    const drives = ["file=new.img,snapshot", "file=new.img,readonly,transport=mmio"];
    const { code, lines } = await boot(
      script,
      "",
      drives.flatMap((drive) => ["--drive", drive]),
    );
    expect(code).toBe(0);
    expect(lines).toEqual(expect.arrayContaining(["changed", `${sha256(payload())}  -`, "1", "refused"]));
    expect(sha256(readFileSync(path("new.img")))).toBe(before);
  });

  test("a host that refuses a write: an I/O error for the guest, one line for the user", {
    timeout: 5 * MINUTES,
  }, async () => {
    copyFileSync(path("new.img"), path("disk.img"));
    writeScript(`dd if=/dev/zero of=/dev/vda bs=4k count=1 conv=fsync 2>&1
for i in 5000 5001; do dd if=/dev/zero of=/dev/vda bs=4k count=1 seek=$i conv=fsync 2>&1; done
dd if=/dev/vda of=/dev/null bs=4k count=1 skip=5000 2>&1
`);
    const args = ["boot", kernel, "--initrd", "initrd.gz", "--append", `'${BOOT} quiet'`];
    const drives = ["--drive", "file=disk.img", "--drive", "file=script,readonly,id=script"];
    // Files may not be written beyond 8 MiB (16,384 blocks of 512 bytes).
    const shell = `trap "" XFSZ; ulimit -f 16384; exec ${process.execPath} ${cli.entry} ${[...args, ...drives].join(" ")}`;
    const child = spawn("sh", ["-c", shell], { cwd: cli.work, stdio: ["ignore", "pipe", "pipe"] });
    const text = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("latin1").on("data", (part: string) => {
        text[name] += part;
      });
    }
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect(code, text.stderr).toBe(0);
    expect(text.stderr).toMatch(
      /^ukl-emu: disk\.img: expected to write, found a file larger than allowed: the guest is told\n$/,
    );
    expect(text.stdout.match(/I\/O error/g)?.length).toBeGreaterThanOrEqual(2);
    // Reads still work, and so does a write below the limit.
    expect(text.stdout.match(/1\+0 records out/g)).toHaveLength(2);
  });
});
