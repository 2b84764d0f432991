/** `ukl-emu measure --servers` as a process. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ServerReport } from "../../src/measure/servers/report.ts";
import { useCli } from "./run-cli.ts";

const cli = useCli();
const SHORT = ["measure", "--servers", "--connections", "2", "--pipeline", "2", "--requests", "50"];

test("two modes of one server, as JSON, with progress on standard error", async () => {
  const { code, stdout, stderr } = await cli.run([
    ...SHORT,
    "--link",
    "ring3,ukl",
    "--calls",
    "ping",
    "--json",
  ]);
  expect(stderr).toMatch(
    /^ukl-emu: measured ping, 2 connections, 2 requests at once, ring3 in [\d.]+ s \(1 of 2\)\n.*\(2 of 2\)\n$/s,
  );
  expect(code).toBe(0);
  const { rows, command, model } = JSON.parse(stdout) as ServerReport;
  expect(model.name).toBe("skylake");
  expect(command).toMatch(/^ukl-emu measure --servers --connections 2 /);
  expect(rows.map(({ file, mode, requests }) => [file, mode, requests])).toEqual([
    ["images/keyvalue-ring3.bin", "ring3", 50],
    ["images/keyvalue-ukl.bin", "ukl", 50],
  ]);
  expect(rows[0]!.perRequest.cycles).toBeGreaterThan(rows[1]!.perRequest.cycles);
}, 60_000);

test("the same command gives the same bytes, as a table and as a page", async () => {
  const run = async (): Promise<string> => {
    const args = ["--link", "ukl", "--calls", "http-get,set", "--round-trip", "50us", "--html", "page.html"];
    const { code, stdout } = await cli.run([...SHORT, ...args]);
    expect(code).toBe(0);
    return stdout + readFileSync(join(cli.work, "page.html"), "utf8");
  };
  const first = await run();
  expect(await run()).toBe(first);
  expect(first).toMatch(/^http-get +2 +2 +ukl +\d+ /m);
  expect(first).toMatch(/^set +2 +2 +ukl +\d+ /m);
  expect(first).toContain("the wire takes 50 us there and back");
  expect(first).toContain("<!doctype html>");
}, 60_000);

describe("what cannot be used is told in one line, with exit code 2", () => {
  test.each<[readonly string[], string]>([
    [
      ["--servers", "--link", "kml"],
      '--link: expected some of ring3, ukl, ukl-byp, found "kml": see ukl-emu build',
    ],
    [
      ["--servers", "--calls", "read"],
      '--calls: with --servers expected some of http-get, ping, set, get, found "read"',
    ],
    [["--servers", "--pipeline", "1,0"], '--pipeline: expected a whole number from 1 to 64, found "0"'],
    [
      ["--servers", "--connections", "201"],
      '--connections: expected a whole number from 1 to 200, found "201"',
    ],
    [
      ["--servers", "--requests", "many"],
      '--requests: expected a whole number from 1 to 1000000, found "many"',
    ],
    [
      ["--servers", "--round-trip", "20"],
      '--round-trip: expected a time up to 100ms such as 20us, found "20"',
    ],
    [["--servers", "--payload", "1"], "--payload: expected without --servers"],
    [["--servers", "--image", "a.bin"], "--image: expected without --servers"],
    [["--servers", "--json", "--csv"], "--json and --csv: expected one of them, found both"],
    [["--servers", "--model", "i486"], "--model: expected a timing model, one of none, haswell,"],
    [["--connections", "5"], "--connections: expected with --servers"],
    [["--round-trip", "5us"], "--round-trip: expected with --servers"],
  ])("%j", async (args, line) => {
    const { code, stdout, stderr } = await cli.run(["measure", ...args]);
    expect(stdout).toBe("");
    expect(stderr).toContain(`ukl-emu: ${line}`);
    expect(stderr.trimEnd().split("\n").length).toBe(1);
    expect(code).toBe(2);
  });
});
