/** The ways a report is written: text, CSV, and the page. */
import { describe, expect, test } from "vitest";
import { report } from "../../src/measure/campaign.ts";
import { noPhaseCounts, PHASES } from "../../src/measure/counts.ts";
import { csvReport } from "../../src/measure/csv.ts";
import { htmlReport } from "../../src/measure/html.ts";
import type { Round } from "../../src/measure/regions.ts";
import { compareModes, type ImageRows, type Report, ratiosOf } from "../../src/measure/report.ts";
import { rowsOf } from "../../src/measure/statistics.ts";
import { textReport } from "../../src/measure/text-table.ts";

function round(call: string, payload: number, entry: number, work: number): Round {
  const phases = noPhaseCounts();
  phases.entry.instructions = entry;
  phases.entry.cycles = entry * 1.5;
  phases.work.instructions = work;
  phases.work.cycles = work / 4;
  phases.work.reads = 7;
  return { call, payload, phases, assumed: entry > 0 ? ["swapgs", "ret"] : [] };
}

function image(mode: string, entry: number): ImageRows {
  const rounds = [
    round("function", 0, 0, 3),
    round("empty", 0, entry, 2),
    ...[1, 4096].map((payload) => round("read", payload, entry, payload + 20)),
  ];
  return { file: `images/ringcost-${mode}.bin`, mode, rows: rowsOf(rounds), instructions: 1e6 };
}

const mechanisms: ImageRows = {
  ...{ file: "images/mechanisms.bin", mode: "mechanisms", instructions: 1000 },
  rows: rowsOf([
    round("SYSCALL/SYSRET", 0, 50, 0),
    round("SYSCALL/SYSRET", 1, 110, 0),
    round("INT/IRET", 0, 400, 0),
  ]),
};

const request = {
  model: "skylake",
  version: "1.2.3",
  command: "ukl-emu measure --image '</script><b>.bin' --html a&b.html",
};
const full: Report = report(request, [image("ring3", 60), image("ukl-byp", 10)], mechanisms);

test("the ratio of an empty system call to a function call, in each mode", () => {
  expect(ratiosOf(full.images).map(({ mode, instructions }) => [mode, instructions])).toEqual([
    ["ring3", 62 / 3],
    ["ukl-byp", 4],
  ]);
});

test("modes stand in the order of their cost, unknown ones behind", () => {
  const modes = ["zz", "shortcut", "ring3", "ukl-byp", "ring3-kpti", "aa"];
  expect(modes.sort(compareModes)).toEqual(["ring3-kpti", "ring3", "ukl-byp", "shortcut", "aa", "zz"]);
});

describe("text", () => {
  test("a line for each call, payload and mode, aligned", async () => {
    const text = await textReport(full);
    const lines = text.split("\n");
    const head = lines.findIndex((line) => line.startsWith("call "));
    const table = lines.slice(head, lines.indexOf("", head));
    expect(table.length).toBe(1 + 4 * 2);
    const column = table[0]!.indexOf("mode");
    expect(table.slice(1).map((line) => line.slice(column).split(" ")[0])).toEqual(
      Array.from({ length: 4 }, () => ["ring3", "ukl-byp"]).flat(),
    );
    expect(text).toMatch(/^empty +0 +ring3 +62 +60 +2 /m);
  });

  test("names the published ratios and every assumed figure with the calls that rest on it", async () => {
    const text = await textReport(full);
    expect(text).toContain("432 : 12 cycles, 36 times");
    expect(text).toContain("222 : 154 : 84 : 4 cycles");
    expect(text).toMatch(/^ {2}swapgs = 26 \(SWAPGS; assumed\): .*empty, read$/m);
  });

  test("a model other than Skylake's is not compared with figures of Skylake", async () => {
    const other = await textReport(report({ ...request, model: "zen4" }, [], mechanisms));
    expect(other).not.toContain("published");
  });
});

test("CSV: a line for each row and phase and one for the sum, all of the same length", () => {
  const lines = csvReport(full).trimEnd().split("\r\n");
  const rows = [...full.images, mechanisms].flatMap((one) => one.rows);
  expect(lines.length).toBe(1 + rows.length * (PHASES.length + 1));
  const width = lines[0]!.split(",").length;
  for (const line of lines) expect(line.split(",").length).toBe(width);
  expect(lines).toContainEqual(expect.stringMatching(/^images\/ringcost-ring3\.bin,ring3,empty,0,1,all,62,/));
});

describe("the page", () => {
  const page = htmlReport(full);
  const withoutScripts = page.replace(/<script[\s\S]*?<\/script>/g, "");

  test("fetches nothing: no element or style refers to another file", () => {
    expect(withoutScripts).not.toMatch(
      /\s(?:src|href|srcset|data|poster)=|@import|url\(|<link|<iframe|<base/i,
    );
    expect(page).not.toMatch(/sourceMappingURL/);
    expect(page).toContain("default-src 'none'");
  });

  test("text of the user's cannot end a script or an element", () => {
    expect(page).not.toContain("</script><b>");
    expect(withoutScripts).toContain("&lt;/script&gt;&lt;b&gt;.bin");
    // The library, the data, the page's own code.
    expect(page.match(/<script/g)?.length).toBe(3);
    expect(page.match(/<\/script>/g)?.length).toBe(3);
  });

  test("each chart stands beside a table, and says what it shows", () => {
    const sections = withoutScripts.split("<section>").slice(1);
    for (const section of sections.filter((one) => one.includes("<canvas") && !one.includes("lines-"))) {
      expect(section).toContain("<table");
    }
    for (const [canvas] of page.matchAll(/<canvas[^>]*>/g)) {
      expect(canvas).toMatch(/role="img" aria-label="[^"]{5,}"/);
    }
  });

  test("its data are the report's", () => {
    const [, json] = /<script type="application\/json" id="data">([\s\S]*?)<\/script>/.exec(page)!;
    const data = JSON.parse(json!) as {
      rows: { mode: string; call: string; values: Record<string, number[]> }[];
    };
    const row = data.rows.find(({ mode, call }) => mode === "ring3" && call === "empty")!;
    expect(row.values["instructions"]![PHASES.indexOf("entry")]).toBe(60);
    expect(row.values["cycles"]![PHASES.indexOf("entry")]).toBe(90);
  });

  test("its own code is JavaScript that uses nothing of this package", () => {
    const [, code] = /<script>(\(function pageMain[\s\S]*?)<\/script>/.exec(page)!;
    expect(() => new Function("document", "window", "Chart", code!)).not.toThrow();
    // Imported names would be missing in the page.
    expect(code).not.toMatch(/\b(?:PHASES|import|require|escapeHtml)\b/);
  });

  test("the same report gives the same bytes", () => {
    expect(htmlReport(full)).toBe(page);
  });
});
