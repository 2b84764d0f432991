/** The measurement page's style sheet: light and dark by the reader's preference, from phones to wide screens. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --card: #f5f6f8; --ink: #16191d; --soft: #565d67; --line: #d5d9df; --accent: #005a9c;
  --app: #8a8f98; --lib: #56b4e9; --stub: #c9b800; --entry: #d55e00; --dispatch: #cc79a7; --work: #009e73;
  --exit: #0072b2; --ours: #0072b2; --theirs: #e69f00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --card: #1d2127; --ink: #e8eaed; --soft: #a6adb8; --line: #39404a; --accent: #7cc0ff;
    --app: #9aa0aa; --lib: #7cc8f5; --stub: #f0e442; --entry: #ec7a24; --dispatch: #dd92bd; --work: #1fbf91;
    --exit: #4a9be0; --ours: #4a9be0; --theirs: #e69f00;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 88rem; margin: 0 auto; padding: 1.25rem clamp(0.9rem, 3vw, 2.5rem) 4rem; }
h1 { font-size: clamp(1.6rem, 4.5vw, 2.4rem); line-height: 1.15; margin: 0.6rem 0 0.4rem; text-wrap: balance; }
h2 { font-size: 1.3rem; line-height: 1.25; margin: 3rem 0 0.4rem; text-wrap: balance; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 0.3rem; }
p { margin: 0.5rem 0; max-width: 70ch; }
.soft, .caption { color: var(--soft); font-size: 0.92rem; }
.caption { margin: 0.8rem 0 0.3rem; }
a { color: var(--accent); }
code, pre, kbd { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { font-size: 0.92em; overflow-wrap: anywhere; }
pre {
  background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 0.7rem 0.9rem;
  overflow-x: auto; font-size: 0.9rem;
}
.pairs { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.5rem 2rem; }
@media (min-width: 52rem) { .pairs { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
.chart { position: relative; width: 100%; min-width: 0; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.28rem 0.55rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: baseline; }
th { font-weight: 600; }
thead th { border-bottom: 2px solid var(--line); }
th:first-child, td:first-child { padding-left: 0; }
th.text, td.text { text-align: left; }
td { white-space: nowrap; }
td.text { white-space: normal; }
td.short { white-space: nowrap; }
td.wide { min-width: 15rem; }
tbody th { text-align: left; white-space: nowrap; }
tbody th.long { white-space: normal; min-width: 12rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0.3rem 1rem; list-style: none; margin: 0.6rem 0; padding: 0; font-size: 0.92rem; }
.legend li { display: flex; align-items: baseline; gap: 0.45rem; }
.legend b { flex: none; }
.swatch { width: 0.95rem; height: 0.95rem; border-radius: 3px; flex: none; align-self: start; margin-top: 0.3rem; }
.controls { display: flex; flex-wrap: wrap; gap: 0.6rem 1.2rem; margin: 0.8rem 0; }
.controls label { display: flex; flex-direction: column; font-size: 0.85rem; color: var(--soft); gap: 0.15rem; }
select {
  font: inherit; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 0.35rem 0.5rem; max-width: 100%;
}
select:focus-visible, summary:focus-visible, a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
details { margin: 0.8rem 0; }
summary { cursor: pointer; padding: 0.3rem 0; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 0.8rem; }
@media print { .controls { display: none; } h2 { break-after: avoid; } .chart { break-inside: avoid; } }
`;
