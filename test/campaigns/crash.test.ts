/** The short version of `crash.ts`, and whether its check would see a loss. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { useCli } from "../cli/run-cli.ts";
import { CrashCampaign, missingForCrash } from "./crash.ts";
import { fileOf, missingRecords, recordBytes } from "./records.ts";

const hasQcow2 = existsSync(join(import.meta.dirname, "../../src/block/qcow2"));
const formats = hasQcow2 ? (["raw", "qcow2"] as const) : (["raw"] as const);

describe("the check of records", () => {
  const numbers = Array.from({ length: 40 }, (_, i) => 320 + i);
  const files = new Map(
    [...Map.groupBy(numbers, fileOf)].map(([name, group]) => [name, Buffer.concat(group.map(recordBytes))]),
  );
  const without = (name: string) => (wanted: string) =>
    wanted === name ? null : (files.get(wanted) ?? null);

  test("is content with all of them", () => {
    expect(missingRecords(numbers, (name) => files.get(name) ?? null)).toEqual([]);
    expect(missingRecords([], () => null)).toEqual([]);
  });

  test("names a file that is not there", () => {
    expect(missingRecords(numbers, without("00000011"))).toEqual([
      "file 00000011 with record 352 is missing",
    ]);
  });

  test("names a record that is cut off, and one in which a byte differs", () => {
    const cut = files.get("00000011")!.subarray(0, -1);
    const read = (name: string) => (name === "00000011" ? cut : files.get(name)!);
    expect(missingRecords(numbers, read)).toEqual([
      expect.stringMatching(/^record 359 of file 00000011 differs/),
    ]);
    const changed = Uint8Array.from(files.get("00000010")!);
    changed[recordBytes(320).length + 9]! ^= 1;
    expect(missingRecords(numbers, (name) => (name === "00000010" ? changed : files.get(name)!))).toEqual([
      expect.stringMatching(/^record 321 of file 00000010 differs/),
    ]);
  });

  test("does not ask for files that the writer has removed", () => {
    const many = Array.from({ length: 32 * 20 }, (_, i) => i);
    const asked: string[] = [];
    missingRecords(many, (name) => {
      asked.push(name);
      return null;
    });
    expect([asked[0], asked.at(-1)]).toEqual(["00000004", "00000019"]);
  });
});

const cli = useCli();

describe.each(formats)("a %s image", (format) => {
  test.skipIf(missingForCrash(format) !== null)(
    "holds every record whose fsync had returned when the emulator was killed",
    { timeout: 900_000 },
    async () => {
      const campaign = new CrashCampaign(join(cli.work, format), format, cli.entry);
      let records = 0;
      for (let seed = 1; seed <= 3; seed++) {
        const result = await campaign.once(seed);
        expect(result.faults, `seed ${seed}, killed ${result.delay} ms after the first record`).toEqual([]);
        records += result.records;
      }
      expect(records).toBeGreaterThan(3);
    },
  );
});
