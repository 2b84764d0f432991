/** The linker's map (`ld -Map`): which input file each range of the result comes from. */

export interface MapRange {
  /** Name of the input section. */
  readonly section: string;
  readonly address: number;
  readonly size: number;
  /** Input file as the linker names it; members of archives as `libc.a(write.lo)`. */
  readonly file: string;
}

const signed = (hex: string): number => Number(BigInt.asIntN(64, BigInt(hex)));

/**
 * Input sections by address. A line is " SECTION ADDRESS SIZE FILE"; a long section name stands on a line of its
 * own before the rest.
 */
export function parseLinkerMap(text: string): MapRange[] {
  const ranges: MapRange[] = [];
  const start = text.indexOf("\nLinker script and memory map");
  let long = "";
  for (const line of text.slice(Math.max(start, 0)).split("\n")) {
    const match = /^ (\S+)? +(0x[0-9a-f]+) +(0x[0-9a-f]+) (\S.*)$/.exec(line);
    if (match !== null) {
      const size = Number(match[3]);
      const section = match[1] ?? long;
      if (size > 0 && section !== "*fill*")
        ranges.push({ section, address: signed(match[2]!), size, file: match[4]! });
    }
    long = /^ (\S+)$/.exec(line)?.[1] ?? "";
  }
  return ranges.sort((a, b) => a.address - b.address);
}

/** Looks up the range that holds an address. */
export function fileAt(ranges: readonly MapRange[], address: number): string | undefined {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.address <= address) low = middle + 1;
    else high = middle;
  }
  // Sections that are not loaded have addresses from 0 on; ranges of loaded ones do not overlap.
  const range = ranges[low - 1];
  return range !== undefined && address < range.address + range.size ? range.file : undefined;
}
