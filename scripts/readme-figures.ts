/**
 * Writes the measured figures into the README's table of link modes:
 *
 *     node scripts/readme-figures.ts
 *
 * To be run when the kernel or a timing model has changed and the images were built again.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { measureImages } from "../src/measure/campaign.ts";
import { EMPTY_CALL, FUNCTION_CALL, ratiosOf } from "../src/measure/report.ts";

/** Mode, what stands in the second column, instructions, times, cycles. */
export const FIGURES_ROW = /^\| `([a-z0-9-]+)` +\| ([^|]+)\| +(\d+) \| +([\d.]+) \| +(\d+) \|$/gm;

async function main(): Promise<void> {
  const root = join(import.meta.dirname, "..");
  const path = join(root, "README.md");
  const readme = readFileSync(path, "utf8");
  const modes = [...readme.matchAll(FIGURES_ROW)].map(([, mode]) => mode!);
  const report = await measureImages({
    images: modes.map((mode) => {
      const file = join(root, "images", `ringcost-${mode}.bin`);
      return { file, mode, bytes: readFileSync(file) };
    }),
    ...{ mechanisms: null, model: "skylake", memory: 64 << 20, command: "", version: "" },
    wanted: (call) => call === EMPTY_CALL || call === FUNCTION_CALL,
  });
  const ratios = ratiosOf(report.images);
  const written = readme.replace(FIGURES_ROW, (row, mode: string, what: string) => {
    const ratio = ratios.find((one) => one.mode === mode);
    if (ratio === undefined) return row;
    const figures = [
      String(ratio.call.instructions).padStart(12),
      ratio.instructions.toFixed(1).padStart(5),
      ratio.call.cycles.toFixed(0).padStart(6),
    ];
    return `| ${`\`${mode}\``.padEnd(12)} | ${what}| ${figures.join(" | ")} |`;
  });
  if (written !== readme) writeFileSync(path, written);
  console.log(written === readme ? "README.md: unchanged" : "README.md: written");
}

if (import.meta.main) await main();
