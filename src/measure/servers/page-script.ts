/**
 * What runs in the page on servers: draws the charts. The function's own text goes into the page, so it uses nothing from
 * outside but `Chart` (Chart.js), the document and the data.
 */
import type { ChartConstructor } from "../page-script.ts";

export interface ServerPageData {
  /** One chart: a group of bars for each load, a bar in it for each mode. */
  readonly charts: readonly {
    readonly id: string;
    readonly unit: string;
    readonly loads: readonly string[];
    readonly modes: readonly { readonly mode: string; readonly values: readonly (number | null)[] }[];
  }[];
}

export function serverPageMain(data: ServerPageData, Chart: ChartConstructor): void {
  const drawn: { destroy(): void }[] = [];
  const colour = (name: string): string =>
    window.getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const shades = ["theirs", "ours", "work", "dispatch", "lib", "entry"];
  const whole = (value: number): string => value.toLocaleString("en-US", { maximumFractionDigits: 0 });

  const draw = (): void => {
    for (const chart of drawn.splice(0)) chart.destroy();
    for (const { id, unit, loads, modes } of data.charts) {
      const canvas = document.getElementById(id) as HTMLCanvasElement | null;
      if (canvas === null) continue;
      canvas.parentElement!.style.height = `${loads.length * (modes.length * 22 + 14) + 96}px`;
      drawn.push(
        new Chart(canvas, {
          type: "bar",
          data: {
            labels: loads,
            datasets: modes.map(({ mode, values }, i) => ({
              label: mode,
              data: values,
              backgroundColor: colour(shades[i % shades.length]!),
            })),
          },
          options: {
            indexAxis: "y",
            responsive: true,
            maintainAspectRatio: false,
            animation: false,
            scales: {
              x: {
                title: { display: true, text: unit, color: colour("soft") },
                ticks: { color: colour("ink"), precision: 0 },
                grid: { color: colour("line"), drawTicks: false },
                border: { color: colour("line") },
                beginAtZero: true,
              },
              y: { ticks: { color: colour("ink"), autoSkip: false }, grid: { display: false } },
            },
            plugins: {
              legend: { position: "bottom", labels: { color: colour("ink"), boxWidth: 14 } },
              tooltip: {
                callbacks: {
                  label: (item: { dataset: { label: string }; raw: number }) =>
                    `${item.dataset.label}: ${whole(item.raw)} ${unit}`,
                },
              },
            },
          },
        }),
      );
    }
  };

  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
}
