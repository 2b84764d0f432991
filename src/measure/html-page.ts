/** A page that needs nothing else: its style, its data, and Chart.js, whose text goes into the page. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { escapeHtml } from "./html-tables.ts";
import { PAGE_STYLE } from "./page-style.ts";

/** Text inside a script element must not end it. */
const inScript = (code: string): string => code.replace(/<(?=\/script|!--)/gi, "\\x3c");
const jsonInScript = (value: unknown): string => JSON.stringify(value).replaceAll("<", "\\u003c");

function chartLibrary(): string {
  const directory = dirname(createRequire(import.meta.url).resolve("chart.js"));
  const text = readFileSync(join(directory, "chart.umd.min.js"), "utf8");
  // A map of the sources would be fetched from beside the page.
  return text.replace(/\/\/# sourceMappingURL=.*\s*$/, "");
}

/** A place for a chart. */
export const chart = (id: string, label: string): string =>
  `<div class="chart"><canvas id="${id}" role="img" aria-label="${escapeHtml(label)}"></canvas></div>`;

/** @param main text of a function of the data and Chart.js's constructor, which draws the charts */
export function htmlPage(page: {
  readonly title: string;
  readonly body: string;
  readonly data: unknown;
  readonly main: string;
}): string {
  const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(page.title)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<main>
${page.body}
<footer class="soft">Made by <code>ukl-emu measure --html</code>. Charts: Chart.js (MIT License), inside this file; nothing is fetched.</footer>
</main>
<script>${inScript(chartLibrary())}</script>
<script type="application/json" id="data">${jsonInScript(page.data)}</script>
<script>(${inScript(page.main)})(JSON.parse(document.getElementById("data").textContent), Chart);</script>
</body>
</html>
`;
}
