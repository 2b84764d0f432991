/**
 * How fast a Debian kernel in QEMU (TCG) moves bytes over this user network and over QEMU's own, in the same run:
 * `node test/net/throughput.ts [megabytes]`.
 */
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { UserNetwork } from "../../src/net/user/network.ts";
import { parseHostForward } from "../../src/net/user/options.ts";
import { LinuxGuest } from "./linux-guest.ts";

const megabytes = Number(process.argv[2] ?? 50);
const file = Buffer.alloc(megabytes * 1e6, "throughput ");

async function portOf(server: ReturnType<typeof createTcpServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

async function measure(guest: LinuxGuest, forwarded: number): Promise<number[]> {
  const web = createServer((_request, response) => response.end(file));
  const sink = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on("data", () => {});
    socket.on("end", () => socket.end("done\n"));
  });
  const [webPort, sinkPort] = [await portOf(web), await portOf(sink)];
  await guest.run("udhcpc -i eth0 -s /etc/udhcpc -n -q >/dev/null 2>&1; mkdir /www; httpd -h /www");
  const rate = async (action: () => Promise<unknown>): Promise<number> => {
    const start = performance.now();
    await action();
    return (megabytes * 1000) / (performance.now() - start);
  };
  const down = await rate(() => guest.run(`wget -q -O /www/file http://10.0.2.2:${webPort}/`));
  const up = await rate(() => guest.run(`nc 10.0.2.2 ${sinkPort} </www/file`));
  const forward = await rate(() => fetch(`http://127.0.0.1:${forwarded}/file`).then((r) => r.arrayBuffer()));
  web.close();
  web.closeAllConnections();
  sink.close();
  return [down, up, forward];
}

const network = new UserNetwork({
  unfinished: false,
  loopback: true,
  hostForwards: [parseHostForward("tcp::0-:80")],
});
await network.start();
const { hostPort } = network.hostForwards[0]!;
let guest = await LinuxGuest.boot(network);
const own = await measure(guest, hostPort);
guest.close();
network.close();
guest = await LinuxGuest.boot(`user,id=n,hostfwd=tcp:127.0.0.1:${hostPort}-:80`);
const qemu = await measure(guest, hostPort);
guest.close();
["host to guest", "guest to host", "forwarded port"].forEach((name, i) => {
  const [a, b] = [own[i]!, qemu[i]!];
  console.log(
    `${name}: ${a.toFixed(1)} MB/s, QEMU's user network ${b.toFixed(1)} MB/s, ratio ${(a / b).toFixed(2)}`,
  );
});
process.exit(0);
