/** Programs of the host that load a guest's servers through a forwarded port, and what they say of it. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PASSWORD } from "../../images/debian-root.ts";

/** One figure of one load. */
export interface LoadFigure {
  /** Requests answered, or bytes moved. */
  readonly requests: number;
  /** Requests that were lost or answered wrongly. */
  readonly errors: number;
  readonly seconds: number;
  /** Requests or megabytes (10^6) a second, by the host's clock; the load's own figure where it gives one. */
  readonly rate: number;
  readonly unit: "requests/s" | "MB/s" | "% of a core" | "s";
  /** What was wrong, for people. */
  readonly notes?: readonly string[];
}

export interface LoadContext {
  /** On the host's loopback, by server. */
  readonly ports: Readonly<Record<string, number>>;
  readonly requests: number;
  /** A file to send, and its hash. */
  readonly file: { readonly path: string; readonly bytes: number; readonly sha256: string };
  /** For files that come back. */
  readonly work: string;
  /** Of the machine. */
  readonly pid: number;
  /** Seconds for each program. */
  readonly timeout: number;
}

export interface Load {
  /** Which server of the guest it needs, by name. */
  readonly server: string;
  /** Which programs of the host. */
  readonly programs: readonly string[];
  run(context: LoadContext): Promise<Readonly<Record<string, LoadFigure>>>;
}

const HOST = "127.0.0.1";

/** Runs a program to its end. @throws Error if it fails or takes too long */
export function program(name: string, args: readonly string[], seconds: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(name, args, { stdio: ["ignore", "pipe", "pipe"], timeout: seconds * 1000 });
    let text = "";
    let errors = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    child.stderr.setEncoding("utf8").on("data", (part: string) => {
      errors += part;
    });
    child.on("error", reject).on("close", (code, signal) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${name} ended with ${code ?? signal}: ${(errors || text).trim().slice(-400)}`));
    });
  });
}

async function timed<T>(task: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  const result = await task();
  return [result, (performance.now() - start) / 1000];
}

/** A number behind a label in a program's output. */
function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`expected ${pattern} in: ${text.slice(-400)}`);
  return Number(found);
}

const redis: Load = {
  server: "redis",
  programs: ["redis-benchmark", "redis-cli"],
  async run({ ports, requests, timeout }) {
    const at = ["-h", HOST, "-p", String(ports["redis"])];
    const cli = (...args: string[]) => program("redis-cli", [...at, ...args], timeout);
    const figures: Record<string, LoadFigure> = {};
    for (const test of ["set", "get"]) {
      await cli("config", "resetstat");
      const args = [
        ...at,
        "-n",
        String(requests),
        "-c",
        "50",
        "-d",
        "64",
        "-r",
        "10000",
        "-t",
        test,
        "--csv",
      ];
      const [text, seconds] = await timed(() => program("redis-benchmark", args, timeout));
      const rate = numberIn(text, new RegExp(`"${test}","([\\d.]+)"`, "i"));
      // The server's own count, of those that it did not refuse.
      const stats = await cli("info", "commandstats");
      const done = numberIn(stats, new RegExp(`cmdstat_${test}:calls=(\\d+)`));
      const failed = numberIn(stats, new RegExp(`cmdstat_${test}:.*failed_calls=(\\d+)`));
      const errors = Math.abs(requests - done) + failed;
      figures[`redis ${test}`] = { requests: done, errors, seconds, rate, unit: "requests/s" };
    }
    return figures;
  },
};

const CONNECTIONS = 16;

const memcached: Load = {
  server: "memcached",
  programs: ["memcaslap"],
  async run({ ports, requests, timeout }) {
    const server = `${HOST}:${ports["memcached"]}`;
    // Half of the values are compared; a window of 1,000 keys a connection stays in the server's memory.
    // Each connection has its share of the requests, a whole number.
    const wanted = requests - (requests % CONNECTIONS);
    const args = [
      "-s",
      server,
      "-x",
      String(wanted),
      "-T",
      "1",
      "-c",
      String(CONNECTIONS),
      "-w",
      "1k",
      "-v",
      "0.5",
    ];
    const [text, seconds] = await timed(() => program("memcaslap", args, timeout));
    const [done, misses, wrong] = [
      numberIn(text, /cmd_get: (\d+)/) + numberIn(text, /cmd_set: (\d+)/),
      numberIn(text, /get_misses: (\d+)/) + numberIn(text, /verify_misses: (\d+)/),
      numberIn(text, /verify_failed: (\d+)/),
    ];
    const rate = numberIn(text, /TPS: (\d+)/);
    const errors = misses + wrong + Math.max(0, wanted - done);
    return { memcached: { requests: done, errors, seconds, rate, unit: "requests/s" } };
  },
};

const http: Load = {
  server: "http",
  programs: ["ab", "wrk", "curl"],
  async run({ ports, requests, timeout }) {
    const url = `http://${HOST}:${ports["http"]}/`;
    const [ab, seconds] = await timed(() =>
      program("ab", ["-q", "-k", "-n", String(requests), "-c", "50", url], timeout),
    );
    const done = numberIn(ab, /Complete requests: +(\d+)/);
    const bad =
      numberIn(ab, /Failed requests: +(\d+)/) + Number(/Non-2xx responses: +(\d+)/.exec(ab)?.[1] ?? 0);
    const rate = numberIn(ab, /Requests per second: +([\d.]+)/);

    const wrk = await program("wrk", ["-t1", "-c50", "-d10s", "--timeout", "30s", url], timeout);
    const socketErrors =
      /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(wrk) ?? [];
    const others = Number(/Non-2xx or 3xx responses: (\d+)/.exec(wrk)?.[1] ?? 0);
    const wrkErrors = socketErrors.slice(1).reduce((sum, count) => sum + Number(count), others);
    const wrkDone = numberIn(wrk, /(\d+) requests in/);

    // A connection for each hundred, as curl keeps them.
    const count = Math.min(1000, requests);
    const [curl, curlSeconds] = await timed(() =>
      program("curl", ["-sS", "-o", "/dev/null", "-w", "%{http_code}\n", `${url}?[1-${count}]`], timeout),
    );
    const answers = curl.split("\n").filter((line) => line === "200").length;
    return {
      "http, ab": { requests: done, errors: bad + requests - done, seconds, rate, unit: "requests/s" },
      "http, wrk": {
        requests: wrkDone,
        errors: wrkErrors,
        seconds: 10,
        rate: numberIn(wrk, /Requests\/sec: +([\d.]+)/),
        unit: "requests/s",
      },
      "http, curl": {
        requests: answers,
        errors: count - answers,
        seconds: curlSeconds,
        rate: answers / curlSeconds,
        unit: "requests/s",
      },
    };
  },
};

const ssh: Load = {
  server: "ssh",
  programs: ["ssh", "sshpass"],
  async run({ ports, timeout }) {
    const options = [
      "-o",
      "StrictHostKeyChecking=no",
      "-o",
      "UserKnownHostsFile=/dev/null",
      "-o",
      "LogLevel=ERROR",
    ];
    const target = ["-p", String(ports["ssh"]), `root@${HOST}`, "echo answer $((6 * 7))"];
    const logins = 3;
    const [errors, seconds] = await timed(async () => {
      let wrong = 0;
      for (let i = 0; i < logins; i++) {
        const text = await program("sshpass", ["-p", PASSWORD, "ssh", "-n", ...options, ...target], timeout);
        if (text !== "answer 42\n") wrong++;
      }
      return wrong;
    });
    return { "ssh login": { requests: logins, errors, seconds, rate: logins / seconds, unit: "requests/s" } };
  },
};

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const part of createReadStream(path)) hash.update(part as Uint8Array);
  return hash.digest("hex");
}

const file: Load = {
  server: "http",
  programs: ["curl"],
  async run({ ports, file: sent, work, timeout }) {
    const url = `http://${HOST}:${ports["http"]}/upload/file`;
    const [status, up] = await timed(() =>
      program("curl", ["-sS", "-T", sent.path, "-w", "%{http_code}", "-o", "/dev/null", url], timeout),
    );
    const back = join(work, "received");
    const [, down] = await timed(() => program("curl", ["-sS", "-f", "-o", back, url], timeout));
    const same = (await hashOf(back)) === sent.sha256;
    rmSync(back);
    await program("curl", ["-sS", "-X", "DELETE", url], timeout);
    const figure = (seconds: number, errors: number): LoadFigure => ({
      requests: sent.bytes,
      errors,
      seconds,
      rate: sent.bytes / seconds / 1e6,
      unit: "MB/s",
    });
    return {
      "file to the guest": figure(up, /^20[14]$/.test(status) ? 0 : 1),
      "file from the guest": figure(down, same ? 0 : 1),
    };
  },
};

interface Iperf3Report {
  readonly error?: string;
  readonly end: { readonly sum_received: { readonly bytes: number; readonly seconds: number } };
}

/**
 * One test by an iperf3 client. Between two tests the server listens anew; who comes too early is turned away and tries
 * again.
 */
export async function iperf3Client(
  port: number,
  options: readonly string[],
  timeout: number,
): Promise<Iperf3Report["end"]["sum_received"]> {
  for (let left = 20; ; left--) {
    const args = ["-J", "-c", HOST, "-p", String(port), ...options];
    let error: string;
    try {
      const report = JSON.parse(await program("iperf3", args, timeout)) as Iperf3Report;
      if (report.error === undefined) return report.end.sum_received;
      error = report.error;
    } catch (failure) {
      error = failure instanceof Error ? failure.message : String(failure);
    }
    if (left === 0 || !/reset by peer|refused|busy/.test(error)) throw new Error(`iperf3: ${error}`);
    await sleep(1000);
  }
}

const iperf3: Load = {
  server: "iperf3",
  programs: ["iperf3"],
  async run({ ports, timeout }) {
    const figures: Record<string, LoadFigure> = {};
    for (const [name, reverse] of [
      ["iperf3 to the guest", []],
      ["iperf3 from the guest", ["-R"]],
    ] as const) {
      const { bytes, seconds } = await iperf3Client(ports["iperf3"]!, ["-t", "10", ...reverse], timeout);
      figures[name] = {
        requests: bytes,
        errors: bytes > 0 ? 0 : 1,
        seconds,
        rate: bytes / seconds / 1e6,
        unit: "MB/s",
      };
    }
    return figures;
  },
};

export const LOADS: Readonly<Record<string, Load>> = { redis, memcached, http, ssh, file, iperf3 };
