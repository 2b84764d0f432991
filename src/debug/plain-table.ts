/** Aligned columns without borders, two spaces apart, for terminals. */

export type Align = "left" | "right";

const BORDERS = [
  ...["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left", "bottom-right"],
  ...["left", "left-mid", "mid", "mid-mid", "right", "right-mid", "middle"],
];

/** One line a row; `head` is empty where the columns have no names. */
export async function plainTable(
  head: readonly string[],
  aligns: readonly Align[],
  rows: readonly (readonly (string | number)[])[],
): Promise<string[]> {
  const { default: Table } = await import("cli-table3");
  const table = new Table({
    head: [...head],
    chars: Object.fromEntries(BORDERS.map((border) => [border, ""])),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
    colAligns: [...aligns],
  });
  table.push(...rows.map((row) => row.map(String)));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
}
