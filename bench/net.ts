/**
 * Network throughput of Debian's cloud kernel through a forwarded port of the user network, both ways, here and under QEMU's TCG
 * on the same host: iperf3 at both ends, in megabytes a second by the host's clock.
 *
 *     node bench/net.ts [--runs N] [--no-qemu] [--json]
 *
 * Needs `images/fetch-debian.ts` to have run, `npm run build`, and iperf3.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { kernelFile, readBusybox, readKernelModules } from "../images/debian-cache.ts";
import { buildGuestInitramfs } from "../images/guest-initramfs.ts";
import { freePort } from "../test/campaigns/free-port.ts";
import { GuestProcess } from "../test/campaigns/guest-process.ts";
import { iperf3Client } from "../test/campaigns/loads.ts";
import { machineCommand } from "../test/campaigns/machine-command.ts";
import { runBench } from "./bench-options.ts";

const SECONDS = 10;
const GUEST_PORT = 5201;
const WAYS = { "iperf3 to the guest": [], "iperf3 from the guest": ["-R"] } as const;

const script = `ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
iperf3 --server --port ${GUEST_PORT} --forceflush`;

await runBench({
  name: "net",
  usage: "net [options]: network throughput through a forwarded port",
  programs: ["iperf3"],
  prepare(work, entry) {
    const initrd = join(work, "net.cpio");
    const modules = readKernelModules("cloud", ["virtio_pci", "virtio_net"]);
    const parts = { busybox: readBusybox(), modules, programs: ["iperf3"], script };
    writeFileSync(initrd, buildGuestInitramfs(parts));
    return async (machine) => {
      const port = await freePort();
      const forwards = [{ host: port, guest: GUEST_PORT }];
      const spec = {
        kernel: kernelFile("cloud"),
        initrd,
        append: "quiet cryptomgr.notests",
        memoryMiB: 512,
        forwards,
      };
      const guest = new GuestProcess(machineCommand(machine, entry, spec));
      const rates: Record<string, number> = {};
      try {
        await guest.expect(/Server listening/, 300);
        for (const [name, way] of Object.entries(WAYS)) {
          const { bytes, seconds } = await iperf3Client(port, ["-t", String(SECONDS), ...way], 120);
          rates[name] = bytes / seconds / 1e6;
        }
      } finally {
        guest.kill("SIGKILL");
        await guest.ended;
      }
      return rates;
    };
  },
});
