/** Symbols whose names are like one that was not found. */

/** Levenshtein's distance: insertions, deletions and replacements of letters. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}

/** At most `most` names, the nearest first: those that hold the name, or differ in a third of its letters. */
export function nearNames(wanted: string, names: Iterable<string>, most = 3): string[] {
  const lower = wanted.toLowerCase();
  const found: { name: string; far: number }[] = [];
  for (const name of names) {
    const other = name.toLowerCase();
    if (Math.abs(other.length - lower.length) > 12) continue;
    const far = other.includes(lower) || lower.includes(other) ? 1 : distance(lower, other);
    if (far <= Math.max(2, wanted.length / 3)) found.push({ name, far });
  }
  found.sort((a, b) => a.far - b.far || a.name.length - b.name.length || a.name.localeCompare(b.name));
  return found.slice(0, most).map(({ name }) => name);
}
