/**
 * How fast Debian's cloud kernel reads and writes a virtio disk one after the other, here and under QEMU's TCG on the same
 * host: by fio, in megabytes a second of wall time, and of the processor time that the machine took, which a busy host changes less.
 *
 *     node bench/disk.ts [--runs N] [--no-qemu] [--json]
 *
 * Needs `images/fetch-debian.ts` to have run, `npm run build`, and fio.
 */
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { kernelFile, readBusybox, readKernelModules } from "../images/debian-cache.ts";
import { buildGuestInitramfs } from "../images/guest-initramfs.ts";
import { GuestProcess } from "../test/campaigns/guest-process.ts";
import { machineCommand } from "../test/campaigns/machine-command.ts";
import { processorSeconds } from "../test/campaigns/processor-time.ts";
import { Random } from "../test/random.ts";
import { runBench } from "./bench-options.ts";
import type { Rates } from "./rates.ts";

const SIZE_MIB = 512;
const JOBS = { "sequential read": "read", "sequential write": "write" } as const;

const script = Object.values(JOBS)
  .map((rw) => {
    const options = "--direct=1 --ioengine=libaio --iodepth=8 --bs=128k --zero_buffers --end_fsync=1";
    // fio's own start is in neither time: it has been read from the disk by the first of the two.
    return `fio --version >/dev/null
echo "${rw} begins"
fio --name=${rw} --rw=${rw} --filename=/dev/vda --size=${SIZE_MIB}m ${options} >/tmp/${rw} 2>&1
echo "${rw} ends with $?"`;
  })
  .join("\n");

function makeDisk(path: string): void {
  const descriptor = openSync(path, "w");
  const random = new Random(1);
  const part = new Uint32Array(1 << 18);
  for (let i = 0; i < SIZE_MIB; i++) {
    for (let j = 0; j < part.length; j++) part[j] = random.u32();
    writeSync(descriptor, part);
  }
  closeSync(descriptor);
}

await runBench({
  name: "disk",
  usage: "disk [options]: sequential throughput of a raw virtio disk over PCI",
  programs: ["fio"],
  prepare(work, entry) {
    const disk = join(work, "disk.raw");
    makeDisk(disk);
    const initrd = join(work, "disk.cpio");
    const modules = readKernelModules("cloud", ["virtio_pci", "virtio_blk"]);
    writeFileSync(
      initrd,
      buildGuestInitramfs({ busybox: readBusybox(), modules, programs: ["fio"], script }),
    );
    return async (machine) => {
      const drives = [{ file: disk, format: "raw" as const }];
      const spec = {
        kernel: kernelFile("cloud"),
        initrd,
        append: "quiet cryptomgr.notests",
        memoryMiB: 512,
        drives,
      };
      const guest = new GuestProcess(machineCommand(machine, entry, spec));
      const rates: Record<string, number> = {};
      try {
        for (const [name, rw] of Object.entries(JOBS)) {
          await guest.expect(new RegExp(`${rw} begins`), 300);
          const [start, processorStart] = [guest.seconds, processorSeconds(guest.pid)];
          const [, status] = await guest.expect(new RegExp(`${rw} ends with (\\d+)`), 600);
          if (status !== "0") throw new Error(`fio failed: ${guest.tail()}`);
          const megabytes = SIZE_MIB * 1.048576;
          rates[name] = megabytes / (guest.seconds - start);
          rates[`${name}, processor time`] = megabytes / (processorSeconds(guest.pid) - processorStart);
        }
        await guest.ended;
      } finally {
        guest.kill("SIGKILL");
      }
      return rates satisfies Rates;
    };
  },
});
