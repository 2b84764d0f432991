/** The records that `record-writer.c` writes, and whether an image holds those that it must. */

const PER_FILE = 32;
/** Files that are never removed while a record is added to a later one. */
const FILES_KEPT = 16;
const MAX_WORDS = 2048;

function mix(value: number): number {
  let x = value >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d) >>> 0;
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

const wordsOf = (number: number): number => 2 + (mix(number) % (MAX_WORDS - 2));

/** The bytes of a record, words in little-endian order. */
export function recordBytes(number: number): Uint8Array {
  const words = new Uint32Array(wordsOf(number));
  words[0] = number;
  words[1] = words.length;
  for (let i = 2; i < words.length; i++) words[i] = mix(Math.imul(number, MAX_WORDS) + i);
  return new Uint8Array(words.buffer);
}

/** Name of the file of a record. */
export const fileOf = (number: number): string =>
  Math.floor(number / PER_FILE)
    .toString()
    .padStart(8, "0");

/**
 * Looks for records that were reported durable.
 * @param numbers the records reported in this run, in order
 * @param readFile contents of a file by name, or null if the image has none of that name
 * @returns one line for each file in which something is missing or wrong
 */
export function missingRecords(
  numbers: readonly number[],
  readFile: (name: string) => Uint8Array | null,
): string[] {
  const last = numbers.at(-1);
  if (last === undefined) return [];
  const kept = numbers.filter(
    (number) => Math.floor(number / PER_FILE) > Math.floor(last / PER_FILE) - FILES_KEPT,
  );
  const faults: string[] = [];
  for (const [name, group] of Map.groupBy(kept, fileOf)) {
    const bytes = readFile(name);
    if (bytes === null) {
      faults.push(`file ${name} with record ${group[0]} is missing`);
      continue;
    }
    // Records of a file begin with its first: the writer begins a new file at each start.
    const lastInFile = group.at(-1)!;
    let offset = 0;
    for (let number = Number(name) * PER_FILE; number <= lastInFile; number++) {
      const expected = recordBytes(number);
      const found = bytes.subarray(offset, offset + expected.length);
      if (Buffer.compare(found, expected) !== 0) {
        faults.push(
          `record ${number} of file ${name} differs at offset ${offset} (${bytes.length} bytes long)`,
        );
        break;
      }
      offset += expected.length;
    }
  }
  return faults;
}
