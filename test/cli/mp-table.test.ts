/**
 * Debian's generic kernel without ACPI: the MP table tells it of its processors and of the wires to the I/O APIC. (The
 * cloud kernel is built without CONFIG_X86_MPPARSE.) Needs `images/fetch-debian.ts` to have run.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildInitramfs } from "../../images/initramfs.ts";
import { readDiskModules } from "../../images/kernel-modules.ts";
import { useCli } from "./run-cli.ts";

const cache = join(import.meta.dirname, "..", "..", "images", "cache");
const kernel = join(cache, "vmlinuz-generic");
const debs = existsSync(join(cache, "debs")) ? readdirSync(join(cache, "debs")) : [];
const kernelPackage = debs.find((name) => /^linux-image-[\d.-]+-amd64_/.test(name));
const busyboxPackage = debs.find((name) => /^busybox-static_/.test(name));
const MINUTES = 60_000;

const cli = useCli();
const path = (name: string): string => join(cli.work, name);

function unpack(name: string): string {
  const root = path(name.replace(/_.*/, ""));
  execFileSync("dpkg-deb", ["-x", join(cache, "debs", name), root]);
  return root;
}

const SCRIPT = `nproc
cat /proc/interrupts
echo "script: end"
`;

describe.skipIf(!existsSync(kernel) || !kernelPackage || !busyboxPackage)(
  "Debian's kernel with acpi=off",
  () => {
    test("finds two processors; PCI and ISA interrupts come through the I/O APIC", {
      timeout: 15 * MINUTES,
    }, async () => {
      const root = unpack(busyboxPackage!);
      const busybox = ["bin/busybox", "usr/bin/busybox"]
        .map((name) => join(root, name))
        .find((p) => existsSync(p));
      const modules = readDiskModules(unpack(kernelPackage!));
      writeFileSync(path("initrd.gz"), buildInitramfs("disk", readFileSync(busybox!), modules));
      writeFileSync(path("script"), SCRIPT);
      truncateSync(path("script"), 512);
      const { stderr } = await cli.run([
        ...["boot", kernel, "--initrd", path("initrd.gz"), "--cpus", "2", "--timeout", "14m", "--json"],
        ...[
          "--append",
          "console=ttyS0 cryptomgr.notests acpi=off pci=nomsi",
          "--drive",
          "file=script,readonly,id=script",
        ],
      ]);
      const lines = stderr.replaceAll("\r", "").split("\n");
      expect(lines).toEqual(
        expect.arrayContaining([
          expect.stringContaining("Intel MultiProcessor Specification v1.4"),
          expect.stringContaining("smp: Brought up 1 node, 2 CPUs"),
          "2",
          expect.stringMatching(/: +\d+ +\d+ +IO-APIC +1\d-fasteoi +virtio0$/),
          expect.stringMatching(/: +\d+ +\d+ +IO-APIC +4-edge +ttyS0$/),
          "script: end",
        ]),
      );
      expect(
        lines.filter((line) => /WARNING|BUG:|Oops|Call Trace|I\/O error|MPTABLE error/.test(line)),
      ).toEqual([]);
    });
  },
);
