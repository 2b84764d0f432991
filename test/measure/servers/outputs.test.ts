/** What is asked and compared, and the ways a report on servers is written, without any machine. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { ChartConstructor } from "../../../src/measure/page-script.ts";
import { serverHtmlReport } from "../../../src/measure/servers/html.ts";
import { type ServerPageData, serverPageMain } from "../../../src/measure/servers/page-script.ts";
import {
  loadName,
  referenceOf,
  type ServerReport,
  type ServerRow,
} from "../../../src/measure/servers/report.ts";
import { difference, REQUEST_KINDS } from "../../../src/measure/servers/requests.ts";
import { serverCsvReport, serverTextReport } from "../../../src/measure/servers/text.ts";

const row = (mode: string, cycles: number, changes: Partial<ServerRow> = {}): ServerRow => ({
  ...{ file: `images/http-${mode}.bin`, server: "http", request: "http-get", mode },
  ...{ connections: 50, pipeline: 1, requests: 1000, time: cycles * 500, requestsPerSecond: 2e9 / cycles },
  idleShare: 0.125,
  perRequest: {
    cycles,
    instructions: 8000.4,
    systemCalls: 7.125,
    ringTransitions: mode === "ukl" ? 0 : 14.25,
  },
  assumed: ["swapgs", "ret"],
  ...changes,
});

const report: ServerReport = {
  model: { name: "skylake", title: "Skylake <client>", frequencyHz: 3.6e9 },
  ...{ command: "ukl-emu measure --servers", version: "1.2.3", roundTrip: 20_000 },
  rows: [row("ring3", 10_000), row("ukl", 8000), row("ukl", 5000, { pipeline: 16 })],
  assumed: [{ name: "ret", value: 1, source: "assumed", description: "RET" }],
};

describe("answers", () => {
  const answerOf = (name: string, number = 0) =>
    REQUEST_KINDS.find((kind) => kind.name === name)!.exchange(number).answer;
  const http = answerOf("http-get");
  const filled = (date: string): Uint8Array => {
    const bytes = http.bytes.slice();
    bytes.set(Buffer.from(date), http.date);
    return bytes;
  };

  test("the right one, whole and in pieces", () => {
    const right = filled("Wed, 01 Jan 2025 00:00:01 GMT");
    for (let length = 0; length <= right.length; length++) {
      expect(difference(http, right.subarray(0, length))).toBeNull();
    }
  });

  test("one byte that differs, wherever it is", () => {
    const right = filled("Wed, 01 Jan 2025 00:00:01 GMT");
    for (let i = 0; i < right.length; i++) {
      const wrong = right.slice();
      wrong[i]! ^= 0x80;
      expect(difference(http, wrong), `byte ${i}`).not.toBeNull();
    }
  });

  test("a date that is none", () => {
    expect(difference(http, filled("Wed, 01 Jan 2025 00:00:01 CET"))).toBe(
      'expected a date, found "Wed, 01 Jan 2025 00:00:01 CET"',
    );
  });

  test("neighbouring GETs have answers that differ", () => {
    expect(difference(answerOf("get", 1), answerOf("get", 2).bytes)).toMatch(
      /^expected "1\\r\\n" at byte \d+, /,
    );
    expect(difference(answerOf("get", 1), answerOf("get", 65).bytes)).toBeNull();
  });
});

test("rows are compared with ring 3 under the same load only", () => {
  const [ring3, ukl, piped] = report.rows;
  expect(referenceOf(ukl!, report.rows)).toBe(ring3);
  expect(referenceOf(ring3!, report.rows)).toBeUndefined();
  expect(referenceOf(piped!, report.rows)).toBeUndefined();
  expect(report.rows.map(loadName)).toEqual([
    "50 connections",
    "50 connections",
    "50 connections, 16 requests at once",
  ]);
});

test("as text", async () => {
  const text = await serverTextReport(report);
  expect(text).toMatch(/^http-get +50 +1 +ring3 +200000 +10000 +8000 +7.13 +14.25 +12.5 % +1000$/m);
  expect(text).toMatch(/^ +ukl +250000 +\+25\.0 % +8000 +8000 +7.13 +\. +12.5 % +1000$/m);
  expect(text).toMatch(/^http-get +50 +16 +ukl +400000 +5000 +8000 /m);
  expect(text).toContain("  ret = 1 (RET; assumed)");
  expect(text).toContain("  http-get: HTTP GET of a page of");
  expect(text).not.toContain("ukl-byp:");
});

test("as CSV: a line for each row", () => {
  const [head, first, ...rest] = serverCsvReport(report).trimEnd().split("\r\n");
  expect(head!.split(",").length).toBe(first!.split(",").length);
  expect(first).toBe(
    "images/http-ring3.bin,http,http-get,ring3,50,1,1000,5000000,200000,0.125,10000,8000.4,7.125,14.25,swapgs ret",
  );
  expect(rest.length).toBe(2);
});

describe("as a page", () => {
  afterEach(() => vi.unstubAllGlobals());

  const page = serverHtmlReport(report);
  const data = JSON.parse(
    /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)![1]!,
  ) as ServerPageData;

  test("tables with the rows, and a chart of rates and one of cycles for each kind of request", () => {
    expect(page).toContain("Skylake &lt;client&gt;");
    expect(page).toContain("+25.0 %");
    expect(data.charts.map(({ id, loads, modes }) => [id, loads.length, modes])).toEqual([
      [
        "rate-http-get",
        2,
        [
          { mode: "ring3", values: [200_000, null] },
          { mode: "ukl", values: [250_000, 400_000] },
        ],
      ],
      [
        "cycles-http-get",
        2,
        [
          { mode: "ring3", values: [10_000, null] },
          { mode: "ukl", values: [8000, 5000] },
        ],
      ],
    ]);
    for (const { id } of data.charts) expect(page).toContain(`<canvas id="${id}"`);
  });

  test("its code draws them, and again when the reader's colours change", () => {
    const drawn: string[] = [];
    let changed = (): void => {};
    vi.stubGlobal("document", {
      documentElement: {},
      getElementById: (id: string) => ({ id, parentElement: { style: {} } }),
    });
    vi.stubGlobal("window", {
      getComputedStyle: () => ({ getPropertyValue: (name: string) => ` ${name}` }),
      matchMedia: () => ({
        addEventListener: (_: string, listener: () => void) => {
          changed = listener;
        },
      }),
    });
    class Chart {
      readonly #id: string;
      constructor(canvas: { id: string }) {
        this.#id = canvas.id;
        drawn.push(this.#id);
      }
      destroy(): void {
        drawn.push(`${this.#id} destroyed`);
      }
    }
    serverPageMain(data, Chart as unknown as ChartConstructor);
    expect(drawn).toEqual(["rate-http-get", "cycles-http-get"]);
    drawn.length = 0;
    changed();
    expect(drawn).toEqual([
      ...["rate-http-get destroyed", "cycles-http-get destroyed"],
      ...["rate-http-get", "cycles-http-get"],
    ]);
  });
});
