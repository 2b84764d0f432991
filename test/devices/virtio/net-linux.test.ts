/**
 * Debian's driver at both ends of a cable: two network devices, the second in a network namespace of its own. What one
 * TCP sends the other must get, whoever cuts frames up and sums them. Skipped unless `images/fetch-debian.ts` has run.
 */
import { describe, expect, test } from "vitest";
import { NETWORK_FEATURE as F } from "../../../src/devices/virtio/net.ts";
import type { MachineNetwork } from "../../../src/machine/virtio.ts";
import { Cable, hasLinux, type LinuxRun, runLinux } from "./linux.ts";

const MINUTES = 60_000;
const MACS = ["52:54:00:00:00:01", "52:54:00:00:00:02"] as const;

/** `peer` runs a command at the other end. A listener's own input stays open, so that it ends with its peer. */
const SETUP = `unshare -n sh -c 'exec sleep 100000' &
NS=$!
peer() { nsenter -t $NS -n -- "$@"; }
usleep 300000
ip link set eth1 netns $NS
echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
peer sh -c 'echo 0 >/proc/sys/net/ipv6/conf/eth1/accept_dad'
ip link set eth0 up
peer ip link set lo up
peer ip link set eth1 up
ip addr add 10.0.0.1/24 dev eth0
peer ip addr add 10.0.0.2/24 dev eth1
ip -6 addr add fd00::1/64 dev eth0
peer ip -6 addr add fd00::2/64 dev eth1
ping -c 2 10.0.0.2 | grep transmitted
dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
send() { nc $1 99 </tmp/data; usleep 300000; cmp /tmp/data /tmp/got && echo "same by $1"; }
sleep 10000 | peer nc -l -p 99 >/tmp/got &
usleep 100000
send 10.0.0.2
sleep 10000 | peer nc -l -p 99 >/tmp/got &
usleep 100000
send fd00::2
sleep 10000 | nc -l -p 99 >/tmp/got &
usleep 100000
peer nc 10.0.0.1 99 </tmp/data
usleep 300000
cmp /tmp/data /tmp/got && echo "same from the peer"
httpd -p 98 -h /tmp
peer wget -q -O /tmp/got http://10.0.0.1:98/data
cmp /tmp/data /tmp/got && echo "same in large pieces"
`;

async function connect(
  script: string,
  networks: readonly Omit<MachineNetwork, "link" | "mac">[],
  { cpus = 1, takesUnfinished = true } = {},
): Promise<{ run: LinuxRun; cable: Cable; unknown: string[] }> {
  const cable = new Cable(takesUnfinished);
  const unknown: string[] = [];
  const run = await runLinux(
    SETUP + script,
    {
      cpus,
      networks: networks.map((options, i) => ({ ...options, link: cable.ends[i]!, mac: MACS[i]! })),
      onUnknown: (message) => unknown.push(message),
    },
    (machine) => cable.deliver(machine.networks),
  );
  return { run, cable, unknown };
}

const SAME = ["2 packets transmitted, 2 packets received, 0% packet loss"];
SAME.push("same by 10.0.0.2", "same by fd00::2", "same from the peer");
// nc writes little at once; a server that hands over a file is who makes the driver send large frames.
SAME.push("same in large pieces");
const COMPLAINTS = /WARNING|BUG:|Oops|Call Trace|insmod|rx error|bad gso|unexpected|hw csum/;
const RECEIVE_WORK = [F.GUEST_CSUM, F.GUEST_TSO4, F.GUEST_TSO6, F.GUEST_ECN];
const SEND_WORK = [F.CSUM, F.HOST_TSO4, F.HOST_TSO6, F.HOST_ECN];

function expectClean({ run, unknown }: { run: LinuxRun; unknown: string[] }): void {
  expect(run.lines).toEqual(expect.arrayContaining(SAME));
  expect(run.reason).toBe("power-off");
  expect(run.lines.filter((line) => COMPLAINTS.test(line))).toEqual([]);
  expect(unknown).toEqual([]);
}

describe.skipIf(!hasLinux)("Debian's driver", () => {
  test("leaves sums and segments to a device whose peer takes none: they are done on the way", {
    timeout: 5 * MINUTES,
  }, async () => {
    const result = await connect("grep virtio /proc/interrupts\n", [
      { transport: "pci" },
      { transport: "pci", without: RECEIVE_WORK },
    ]);
    expectClean(result);
    const { segmented, longest } = result.cable.seen;
    expect(segmented).toBeGreaterThan(10);
    expect(longest).toBeGreaterThan(30_000);
    expect(result.run.lines).toEqual(
      expect.arrayContaining([expect.stringMatching(/PCI-MSI .* virtio1-input\.0$/)]),
    );
  });

  test("without merged buffers, over MMIO, and to a driver that does everything itself", {
    timeout: 5 * MINUTES,
  }, async () => {
    const result = await connect("grep virtio /proc/interrupts\n", [
      { transport: "mmio", without: [F.MRG_RXBUF] },
      { transport: "mmio", without: [...RECEIVE_WORK, ...SEND_WORK, F.MRG_RXBUF, F.CTRL_VQ] },
    ]);
    expectClean(result);
    expect(result.cable.seen.segmented).toBeGreaterThan(10);
    expect(result.run.lines).toEqual(
      expect.arrayContaining([expect.stringMatching(/IO-APIC +\d+-edge +virtio\d$/)]),
    );
  });

  test("to a link that takes finished frames alone, with a larger MTU and another address", {
    timeout: 5 * MINUTES,
  }, async () => {
    const script = `ip link set eth0 down
ip link set eth0 address 52:54:00:aa:bb:cc
ip link set eth0 up
ip addr add 10.0.0.1/24 dev eth0 2>/dev/null
cat /sys/class/net/eth0/mtu
ping -c 2 -s 5000 10.0.0.2 | grep transmitted
peer ip neigh | grep 10.0.0.1
`;
    const options = { transport: "pci", mtu: 9000 } as const;
    const result = await connect(script, [options, options], { takesUnfinished: false });
    expectClean(result);
    expect(result.cable.seen.unfinished).toBe(0);
    expect(result.cable.seen.longest).toBe(9014);
    expect(result.run.lines).toEqual(
      expect.arrayContaining(["9000", expect.stringMatching(/^10\.0\.0\.1 .*52:54:00:aa:bb:cc/)]),
    );
  });

  test("with two processors and a queue pair for each", { timeout: 5 * MINUTES }, async () => {
    const options = { transport: "pci", queuePairs: 4 } as const;
    const script = "ls -1d /sys/class/net/eth0/queues/*\ngrep virtio /proc/interrupts\n";
    const result = await connect(script, [options, options], { cpus: 2 });
    expectClean(result);
    // The driver has all four vectors set up, and uses as many pairs as there are processors.
    expect(result.run.lines).toEqual(
      expect.arrayContaining(["/sys/class/net/eth0/queues/rx-1", "/sys/class/net/eth0/queues/tx-1"]),
    );
    const interrupts = (name: string) => {
      const line = result.run.lines.find((text) => text.endsWith(name))!;
      return line.trim().split(/\s+/).slice(1, 3).map(Number);
    };
    for (const queue of ["virtio1-output.0", "virtio1-output.1"]) {
      expect(Math.max(...interrupts(queue))).toBeGreaterThan(0);
    }
  });
});
