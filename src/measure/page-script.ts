/**
 * What runs in the measurement page: draws the charts. The function's own text goes into the page, so it uses
 * nothing from outside but `Chart` (Chart.js), the document and the data.
 */

/** Chart.js's constructor, as far as it is used. */
export type ChartConstructor = new (canvas: HTMLCanvasElement, configuration: object) => { destroy(): void };

/** A bar for each mode, cut into phases. */
export interface StackedRow {
  readonly mode: string;
  readonly call: string;
  readonly payload: number;
  /** By metric, then by phase in the order of `phases`. */
  readonly values: Readonly<Record<string, readonly number[]>>;
}

export interface PageData {
  readonly phases: readonly string[];
  readonly metrics: readonly { readonly key: string; readonly title: string }[];
  readonly rows: readonly StackedRow[];
  readonly meanings: Readonly<Record<string, string>>;
  /** Ratios to a function call: ours first, then published ones. */
  readonly ratios: readonly { readonly label: string; readonly value: number; readonly published: boolean }[];
  readonly mechanisms: readonly {
    readonly label: string;
    readonly ours: number;
    readonly published: number | null;
  }[];
  /** Charts over the payload: one line for each mode, whose `rank` among all modes says how it looks. */
  readonly lines: readonly {
    readonly id: string;
    readonly payloads: readonly number[];
    readonly modes: readonly {
      readonly mode: string;
      readonly rank: number;
      readonly values: readonly (number | null)[];
    }[];
  }[];
}

export function pageMain(data: PageData, Chart: ChartConstructor): void {
  const charts: { destroy(): void }[] = [];
  const canvasOf = (id: string) => document.getElementById(id) as HTMLCanvasElement | null;
  const setHeight = (canvas: HTMLCanvasElement, pixels: number): void => {
    canvas.parentElement!.style.height = `${pixels}px`;
  };
  const colour = (name: string): string =>
    window.getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const whole = (value: number): string => {
    const digits = Math.abs(value) < 10 && value % 1 !== 0 ? 1 : 0;
    return value.toLocaleString("en-US", { maximumFractionDigits: digits });
  };
  const axis = (title: string) => ({
    title: { display: title !== "", text: title, color: colour("soft") },
    ticks: { color: colour("ink"), precision: 0 },
    grid: { color: colour("line"), drawTicks: false },
    border: { color: colour("line") },
    beginAtZero: true,
  });

  /** Horizontal bars; the canvas is as high as its bars need. */
  const bars = (
    id: string,
    labels: readonly string[],
    datasets: readonly object[],
    title: string,
    options: { stacked: boolean; thickness: number; legend: boolean },
  ): void => {
    const canvas = canvasOf(id);
    if (canvas === null) return;
    setHeight(canvas, labels.length * options.thickness + 76);
    charts.push(
      new Chart(canvas, {
        type: "bar",
        data: { labels, datasets },
        options: {
          indexAxis: "y",
          responsive: true,
          maintainAspectRatio: false,
          animation: false,
          scales: {
            x: { ...axis(title), stacked: options.stacked },
            y: {
              ticks: { color: colour("ink"), autoSkip: false },
              grid: { display: false },
              stacked: options.stacked,
            },
          },
          plugins: {
            legend: {
              display: options.legend,
              position: "bottom",
              labels: { color: colour("ink"), boxWidth: 14 },
            },
            tooltip: {
              callbacks: {
                label: (item: { dataset: { label: string }; raw: number }) =>
                  `${item.dataset.label}: ${whole(item.raw)}`,
              },
            },
          },
        },
      }),
    );
  };

  const stacked = (id: string, call: string, payload: number, metric: string): void => {
    const rows = data.rows.filter((row) => row.call === call && row.payload === payload);
    const title = data.metrics.find(({ key }) => key === metric)!.title;
    const datasets = data.phases.map((phase, i) => ({
      label: phase,
      data: rows.map((row) => row.values[metric]![i]),
      backgroundColor: colour(phase),
      borderColor: colour("paper"),
      borderWidth: { right: 1 },
      borderSkipped: false,
    }));
    const labels = rows.map(({ mode }) => mode);
    bars(id, labels, datasets, title, { stacked: true, thickness: 36, legend: false });
    const sums = rows.map((row) => `${row.mode} ${whole(row.values[metric]!.reduce((a, b) => a + b, 0))}`);
    canvasOf(id)?.setAttribute("aria-label", `${title}, ${call}: ${sums.join(", ")}`);
  };

  const explorer = (): void => {
    const [call, metric] = ["explore-call", "explore-metric"].map(
      (id) => document.getElementById(id) as HTMLSelectElement | null,
    );
    if (!call || !metric) return;
    const [name, payload] = call.value.split("|");
    stacked("explore", name!, Number(payload), metric.value);
    const meaning = document.getElementById("explore-meaning");
    if (meaning) meaning.textContent = data.meanings[name!] ?? "";
  };

  const lines = (): void => {
    const shades = ["entry", "dispatch", "theirs", "stub", "work", "lib", "exit", "app"];
    const points = ["circle", "rect", "triangle", "rectRot", "star", "cross", "crossRot", "dash"];
    for (const { id, payloads, modes } of data.lines) {
      const canvas = canvasOf(id);
      if (canvas === null) continue;
      setHeight(canvas, 320);
      charts.push(
        new Chart(canvas, {
          type: "line",
          data: {
            labels: payloads.map(String),
            datasets: modes.map(({ mode, values, rank }) => ({
              label: mode,
              data: values,
              borderColor: colour(shades[rank % shades.length]!),
              backgroundColor: colour(shades[rank % shades.length]!),
              pointStyle: points[rank % points.length],
              pointRadius: 4,
              borderWidth: 2,
              tension: 0,
            })),
          },
          options: {
            responsive: true,
            maintainAspectRatio: false,
            animation: false,
            interaction: { mode: "index", intersect: false },
            scales: {
              x: { ...axis("bytes"), grid: { display: false } },
              y: axis("modelled ns"),
            },
            plugins: {
              legend: {
                position: "bottom",
                labels: { color: colour("ink"), usePointStyle: true, boxWidth: 8, boxHeight: 8 },
              },
            },
          },
        }),
      );
    }
  };

  const draw = (): void => {
    for (const chart of charts.splice(0)) chart.destroy();
    for (const call of ["empty", "getppid", "fault-stack"]) {
      for (const metric of ["instructions", "cycles"]) stacked(`${metric}-${call}`, call, 0, metric);
    }
    explorer();
    const { ratios, mechanisms } = data;
    const plain = { stacked: false, thickness: 34, legend: false };
    const ratioBars = {
      label: "times a function call",
      data: ratios.map(({ value }) => value),
      backgroundColor: ratios.map(({ published }) => colour(published ? "theirs" : "ours")),
    };
    bars(
      "ratios",
      ratios.map(({ label }) => label),
      [ratioBars],
      "times the cycles of a function call",
      plain,
    );
    const series = [
      { label: "here", data: mechanisms.map(({ ours }) => ours), backgroundColor: colour("ours") },
      {
        label: "published",
        data: mechanisms.map(({ published }) => published),
        backgroundColor: colour("theirs"),
      },
    ];
    const labels = mechanisms.map(({ label }) => label);
    bars("mechanisms", labels, series, "cycles", { ...plain, thickness: 52, legend: true });
    lines();
  };

  for (const id of ["explore-call", "explore-metric"]) {
    document.getElementById(id)?.addEventListener("change", draw);
  }
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
}
