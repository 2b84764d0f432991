/** The memory map that firmware hands to an operating system, by the types of ACPI 6.4 table 15.4. */

export const E820Type = {
  RAM: 1,
  RESERVED: 2,
  ACPI_RECLAIMABLE: 3,
  ACPI_NVS: 4,
} as const;
export type E820Type = (typeof E820Type)[keyof typeof E820Type];

export interface E820Entry {
  readonly base: number;
  readonly length: number;
  readonly type: E820Type;
}

/**
 * Builds a sorted map without overlaps: `reserved` ranges are cut out of `ram`, and touching ranges of one
 * type are joined. Reserved ranges need not lie in RAM.
 */
export function buildE820(
  ram: readonly { readonly base: number; readonly length: number }[],
  reserved: readonly { readonly base: number; readonly length: number; readonly type?: E820Type }[],
): E820Entry[] {
  const edges = new Set<number>();
  for (const range of [...ram, ...reserved]) edges.add(range.base).add(range.base + range.length);
  const sorted = [...edges].sort((a, b) => a - b);
  const contains = (range: { base: number; length: number }, address: number): boolean =>
    address >= range.base && address < range.base + range.length;

  const map: E820Entry[] = [];
  for (let i = 0; i + 1 < sorted.length; i++) {
    const base = sorted[i]!;
    const length = sorted[i + 1]! - base;
    const blocked = reserved.find((range) => contains(range, base));
    if (blocked === undefined && !ram.some((range) => contains(range, base))) continue;
    const type = blocked === undefined ? E820Type.RAM : (blocked.type ?? E820Type.RESERVED);
    const last = map.at(-1);
    if (last !== undefined && last.type === type && last.base + last.length === base) {
      map[map.length - 1] = { ...last, length: last.length + length };
    } else {
      map.push({ base, length, type });
    }
  }
  return map;
}

/** Bytes of one entry in the Linux zero page (boot.rst, e820_table) and in INT 15h AX=E820h. */
export const E820_ENTRY_SIZE = 20;
