/** The measurement page's own code, with a document and a chart library that only note what they are told. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type ChartConstructor, type PageData, pageMain } from "../../src/measure/page-script.ts";

interface Dataset {
  readonly label: string;
  readonly data: readonly (number | null)[];
}
interface Drawn {
  readonly canvas: FakeElement;
  readonly type: string;
  readonly labels: readonly string[];
  readonly datasets: readonly Dataset[];
}

class FakeElement {
  readonly style = { height: "" };
  readonly attributes = new Map<string, string>();
  readonly listeners: (() => void)[] = [];
  textContent = "";
  value = "";
  readonly id: string;
  parentElement: FakeElement | null = null;
  constructor(id: string) {
    this.id = id;
  }
  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }
  addEventListener(_type: string, listener: () => void): void {
    this.listeners.push(listener);
  }
}

const drawn: Drawn[] = [];
class FakeChart {
  readonly #drawn: Drawn;
  constructor(canvas: FakeElement, { type, data }: { type: string; data: Omit<Drawn, "canvas" | "type"> }) {
    this.#drawn = { canvas, type, labels: data.labels, datasets: data.datasets };
    drawn.push(this.#drawn);
  }
  destroy(): void {
    drawn.splice(drawn.indexOf(this.#drawn), 1);
  }
}

const data: PageData = {
  phases: ["entry", "work"],
  metrics: [
    { key: "instructions", title: "instructions" },
    { key: "cycles", title: "modelled cycles" },
  ],
  rows: [
    { mode: "ring3", call: "empty", payload: 0, values: { instructions: [60, 2], cycles: [150, 1.25] } },
    { mode: "ukl", call: "empty", payload: 0, values: { instructions: [40, 2], cycles: [50, 1.25] } },
    { mode: "ring3", call: "read", payload: 4096, values: { instructions: [60, 90], cycles: [150, 200] } },
  ],
  meanings: { read: "read from /dev/zero" },
  ratios: [{ label: "ring3", value: 20, published: false }],
  mechanisms: [{ label: "INT/IRET", ours: 614, published: 614 }],
  lines: [{ id: "lines-read", payloads: [1, 4096], modes: [{ mode: "ring3", rank: 2, values: [50, null] }] }],
};

const IDS = ["instructions-empty", "cycles-empty", "ratios", "mechanisms", "lines-read", "explore"];
let elements: Map<string, FakeElement>;
let schemeChanged: () => void;

beforeEach(() => {
  drawn.length = 0;
  elements = new Map(
    [...IDS, "explore-call", "explore-metric", "explore-meaning"].map((id) => [id, new FakeElement(id)]),
  );
  for (const element of elements.values()) element.parentElement = new FakeElement("");
  elements.get("explore-call")!.value = "read|4096";
  elements.get("explore-metric")!.value = "instructions";
  vi.stubGlobal("document", {
    documentElement: new FakeElement("html"),
    getElementById: (id: string) => elements.get(id) ?? null,
  });
  vi.stubGlobal("window", {
    getComputedStyle: () => ({ getPropertyValue: (name: string) => ` ${name}` }),
    matchMedia: () => ({
      addEventListener: (_: string, listener: () => void) => {
        schemeChanged = listener;
      },
    }),
  });
  pageMain(data, FakeChart as unknown as ChartConstructor);
});
afterEach(() => vi.unstubAllGlobals());

const chart = (id: string): Drawn => drawn.find(({ canvas }) => canvas.id === id)!;

test("a bar for each mode, cut into phases, with what it shows as text", () => {
  const { labels, datasets, canvas } = chart("instructions-empty");
  expect(labels).toEqual(["ring3", "ukl"]);
  expect(datasets.map(({ label, data: values }) => [label, values])).toEqual([
    ["entry", [60, 40]],
    ["work", [2, 2]],
  ]);
  expect(canvas.attributes.get("aria-label")).toBe("instructions, empty: ring3 62, ukl 42");
});

test("every chart that has a place is drawn, and no other", () => {
  expect(drawn.map(({ canvas }) => canvas.id).sort()).toEqual([...IDS].sort());
});

test("choosing another call or count draws it", () => {
  expect(chart("explore").datasets.map(({ data: [value] }) => value)).toEqual([60, 90]);
  expect(elements.get("explore-meaning")!.textContent).toBe("read from /dev/zero");
  elements.get("explore-call")!.value = "empty|0";
  elements.get("explore-metric")!.value = "cycles";
  for (const listener of elements.get("explore-metric")!.listeners) listener();
  expect(chart("explore").datasets.map(({ data: values }) => values)).toEqual([
    [150, 50],
    [1.25, 1.25],
  ]);
  expect(drawn.length).toBe(IDS.length);
});

test("when the reader's colours change, every chart is drawn anew", () => {
  const before = [...drawn];
  schemeChanged();
  expect(drawn.length).toBe(before.length);
  expect(drawn.some((one) => before.includes(one))).toBe(false);
});
