/** The committed servers under load: figures that repeat and add up, and what happens when a server does not serve. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { SERVER_FIGURES_ROW, serverFigures, serverImagesOf } from "../../../scripts/readme-figures.ts";
import {
  measureServers,
  REFERENCE_MODE,
  type ServerReport,
  type ServerRow,
  type ServersRequest,
} from "../../../src/measure/servers/report.ts";
import { HTTP_PAGE, REQUEST_KINDS, type RequestKind } from "../../../src/measure/servers/requests.ts";
import { runServer } from "../../../src/measure/servers/run.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const imageOf = (name: string): Uint8Array => readFileSync(join(root, "images", `${name}.bin`));
const kindOf = (name: string): RequestKind => REQUEST_KINDS.find((kind) => kind.name === name)!;

const request = (changes: Partial<ServersRequest> & { modes?: readonly string[] } = {}): ServersRequest => ({
  images: serverImagesOf(changes.modes ?? ["ring3", "ukl"]),
  kinds: [kindOf("http-get"), kindOf("get")],
  ...{ connections: [1, 50], pipelines: [1, 4], requests: 200, roundTrip: 20_000 },
  ...{ model: "skylake", memory: 64 << 20, command: "", version: "" },
  ...changes,
});

test("the page that is expected is the one in the images", () => {
  expect(readFileSync(join(root, "images", "http-index.html"), "latin1")).toBe(HTTP_PAGE);
});

describe("two modes under four loads", () => {
  let report: ServerReport;
  beforeAll(() => {
    report = measureServers(request());
  }, 120_000);

  const find = (name: string, mode: string, connections: number, pipeline: number): ServerRow =>
    report.rows.find(
      (row) =>
        row.request === name &&
        row.mode === mode &&
        row.connections === connections &&
        row.pipeline === pipeline,
    )!;

  test("every load has its row, of at least so many requests", () => {
    expect(report.rows.length).toBe(16);
    for (const { requests, pipeline } of report.rows) {
      expect(requests).toBeGreaterThanOrEqual(200);
      expect(requests).toBeLessThan(200 + pipeline);
    }
  });

  test("a second run gives the same, and so does a row by itself", () => {
    expect(measureServers(request())).toEqual(report);
    const alone = measureServers(
      request({ modes: ["ukl"], kinds: [kindOf("get")], connections: [50], pipelines: [4] }),
    );
    expect(alone.rows).toEqual([find("get", "ukl", 50, 4)]);
  }, 120_000);

  test("a request costs more at ring 3 than linked with the kernel, for which fewer are answered", () => {
    // Of requests that many clients have in flight, each mode takes others together.
    for (const row of report.rows.filter(({ mode, pipeline }) => mode === "ukl" && pipeline === 1)) {
      const ring3 = find(row.request, REFERENCE_MODE, row.connections, row.pipeline);
      expect(ring3.perRequest.cycles).toBeGreaterThan(row.perRequest.cycles);
      expect(ring3.requestsPerSecond).toBeLessThan(row.requestsPerSecond);
    }
  });

  test("rings change twice for a call at ring 3, and never at ring 0", () => {
    // epoll_wait, clock_gettime, read and write.
    expect(find("get", "ring3", 1, 1).perRequest.systemCalls).toBe(4);
    expect(find("get", "ukl", 1, 1).perRequest.systemCalls).toBe(4);
    for (const { mode, perRequest } of report.rows) {
      const calls = mode === "ukl" ? 0 : 2 * perRequest.systemCalls;
      // Where the measurement begins a call is under way; interrupts at ring 3 come to it.
      expect(perRequest.ringTransitions).toBeGreaterThanOrEqual(calls - 0.02);
      expect(perRequest.ringTransitions).toBeLessThan(mode === "ukl" ? 0.001 : calls + 1);
    }
  });

  test("time is cycles and idle time", () => {
    for (const { time, idleShare, perRequest, requests } of report.rows) {
      const busy = (perRequest.cycles * requests) / (report.model.frequencyHz / 1e9);
      expect(Math.abs(busy + idleShare * time - time)).toBeLessThan(2000);
    }
  });

  test("requests that come together cost less each", () => {
    for (const name of ["http-get", "get"]) {
      expect(find(name, "ring3", 1, 4).perRequest.cycles).toBeLessThan(
        find(name, "ring3", 1, 1).perRequest.cycles,
      );
    }
  });
});

test("one client waits for the wire: the longer it takes, the fewer requests, for the same cycles", () => {
  const of = (roundTrip: number): ServerRow =>
    measureServers(
      request({ modes: ["ukl"], kinds: [kindOf("ping")], connections: [1], pipelines: [1], roundTrip }),
    ).rows[0]!;
  const [near, far] = [of(20_000), of(120_000)];
  expect(far.time / far.requests - near.time / near.requests).toBeCloseTo(100_000, -2);
  expect(Math.abs(far.perRequest.cycles - near.perRequest.cycles)).toBeLessThan(50);
  expect(far.idleShare).toBeGreaterThan(near.idleShare);
}, 60_000);

describe("what is wrong is told", () => {
  const run = (kind: RequestKind, image = "keyvalue-ukl") =>
    runServer({
      image: imageOf(image),
      load: { kind, connections: 2, pipeline: 2, warmUp: 4, requests: 8 },
      ...{ roundTrip: 20_000, model: "skylake", memory: 64 << 20 },
    });
  const ping = kindOf("ping");
  const asking = (text: string, answer: string): RequestKind => ({
    ...ping,
    exchange: () => ({
      request: Buffer.from(text),
      answer: { bytes: new Uint8Array(Buffer.from(answer)), date: -1 },
    }),
  });

  test("nothing is, with the right ones", () => {
    expect(run(ping).requests).toBe(8);
    expect(run(asking("GET none\r\n", "$-1\r\n")).requests).toBe(8);
  });

  test("a wrong answer", () => {
    expect(() => run(asking("PING\r\n", "+PONK\r\n"))).toThrow(
      'connection 1: expected "K\\r\\n" at byte 4, found "G\\r\\n+PONG\\r\\n"',
    );
  });

  test("an answer that does not come", () => {
    expect(() => run(asking("PING", "+PONG\r\n"))).toThrow(
      "expected 4 answers after 0, found none in 2 s of the guest's time",
    );
  });

  test("more than was asked for", () => {
    expect(() => run(asking("PING\r\nPING\r\n", "+PONG\r\n"))).toThrow(
      /^connection \d: expected no answer without a request, found 14 bytes$/,
    );
  });

  test("a connection that the server closes", () => {
    expect(() => run(asking("QUIT\r\n", "+OK\r\n"))).toThrow(
      /^connection 1: expected it to stay open, found/,
    );
  });

  test("a server at another port", () => {
    expect(() => run({ ...ping, port: 7 })).toThrow(
      "connection 1: expected it to stay open, found refused with 0 answers due",
    );
  });

  test("an image that is no server", () => {
    expect(() => run(ping, "hello")).toThrow(/^expected it to serve, found power-off; its last line: /);
  });
});

test("the README's table is what is measured", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const told = [...readme.matchAll(SERVER_FIGURES_ROW)].map(([row]) => row);
  expect(told.length).toBe(6);
  expect(told, "node scripts/readme-figures.ts").toEqual(serverFigures(readme));
}, 120_000);
