/**
 * A small encoder for ACPI Machine Language (ACPI 6.4 chapter 20): each function returns the bytes of one term,
 * and terms nest. Resource descriptors are those of section 6.4.
 */
export type Aml = readonly number[];

const littleEndian = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256);

const flat = (terms: readonly Aml[]): number[] => terms.flatMap((term) => [...term]);

/** PkgLength (20.2.4) counts itself. One byte up to 63, else 4 bits in the lead byte and 8 in each other. */
function packageLength(contents: number): Aml {
  if (contents + 1 <= 63) return [contents + 1];
  for (let extra = 1; extra <= 3; extra++) {
    const total = contents + 1 + extra;
    if (total < 2 ** (4 + 8 * extra))
      return [(extra << 6) | (total & 0xf), ...littleEndian(total >>> 4, extra)];
  }
  throw new RangeError(`AML package of ${contents} bytes exceeds 28 bits`);
}

const sized = (opcode: Aml, contents: Aml): Aml => [
  ...opcode,
  ...packageLength(contents.length),
  ...contents,
];

/** NameString (20.2.2): segments separated by dots, `\` first for the root; each is padded with `_`. */
export function path(text: string): Aml {
  const rooted = text.startsWith("\\");
  const segments = (rooted ? text.slice(1) : text).split(".").filter((segment) => segment !== "");
  const bytes = segments.flatMap((segment) => {
    if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(segment)) throw new RangeError(`not an ACPI name: ${segment}`);
    return [...segment.padEnd(4, "_")].map((c) => c.charCodeAt(0));
  });
  const prefix =
    segments.length === 0
      ? [0x00]
      : segments.length === 1
        ? []
        : segments.length === 2
          ? [0x2e]
          : [0x2f, segments.length];
  return [...(rooted ? [0x5c] : []), ...prefix, ...bytes];
}

/** An integer in its shortest form (20.2.3), up to 2^53. */
export function integer(value: number): Aml {
  if (value === 0) return [0x00];
  if (value === 1) return [0x01];
  if (value < 2 ** 8) return [0x0a, value];
  if (value < 2 ** 16) return [0x0b, ...littleEndian(value, 2)];
  if (value < 2 ** 32) return [0x0c, ...littleEndian(value, 4)];
  return [0x0e, ...littleEndian(value, 8)];
}

export const string = (text: string): Aml => [0x0d, ...new TextEncoder().encode(text), 0];

/** EISAID macro (19.6.37): three letters and four hexadecimal digits, compressed, as a DWord. */
export function eisaId(id: string): Aml {
  const [a, b, c] = [0, 1, 2].map((i) => id.charCodeAt(i) - 0x40);
  const bits = ((a! << 26) | (b! << 21) | (c! << 16) | Number.parseInt(id.slice(3), 16)) >>> 0;
  return [0x0c, ...littleEndian(bits, 4).reverse()];
}

/** ToUUID macro (19.6.142): the first three groups are little-endian. */
export function uuid(text: string): Aml {
  const groups = text
    .split("-")
    .map((group) => (group.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)));
  return buffer(groups.flatMap((group, index) => (index < 3 ? group.reverse() : group)));
}

export const buffer = (bytes: Aml): Aml => sized([0x11], [...integer(bytes.length), ...bytes]);
export const packageOf = (...elements: Aml[]): Aml => sized([0x12], [elements.length, ...flat(elements)]);

export const name = (at: string, value: Aml): Aml => [0x08, ...path(at), ...value];
export const scope = (at: string, ...terms: Aml[]): Aml => sized([0x10], [...path(at), ...flat(terms)]);
export const device = (at: string, ...terms: Aml[]): Aml =>
  sized([0x5b, 0x82], [...path(at), ...flat(terms)]);
/** A method that is not serialized. */
export const method = (at: string, argumentCount: number, ...terms: Aml[]): Aml =>
  sized([0x14], [...path(at), argumentCount, ...flat(terms)]);

export const local = (index: number): Aml => [0x60 + index];
export const argument = (index: number): Aml => [0x68 + index];
export const returns = (value: Aml): Aml => [0xa4, ...value];
export const store = (value: Aml, target: Aml): Aml => [0x70, ...value, ...target];
export const and = (a: Aml, b: Aml, target: Aml): Aml => [0x7b, ...a, ...b, ...target];
export const or = (a: Aml, b: Aml, target: Aml): Aml => [0x7d, ...a, ...b, ...target];
export const equal = (a: Aml, b: Aml): Aml => [0x93, ...a, ...b];
export const notEqual = (a: Aml, b: Aml): Aml => [0x92, 0x93, ...a, ...b];
export const when = (condition: Aml, ...terms: Aml[]): Aml => sized([0xa0], [...condition, ...flat(terms)]);
export const otherwise = (...terms: Aml[]): Aml => sized([0xa1], flat(terms));
export const dwordField = (source: Aml, byteIndex: number, at: string): Aml => [
  0x8a,
  ...source,
  ...integer(byteIndex),
  ...path(at),
];

// ---- Resource descriptors (6.4) -----------------------------------------------------------------------

/** A _CRS value. The end tag's checksum byte 0 means "not used". */
export const resources = (...descriptors: Aml[]): Aml => buffer([...flat(descriptors), 0x79, 0]);

/** I/O port descriptor, 16-bit decode, fixed. */
export const ioPorts = (base: number, length: number): Aml => [
  0x47,
  0x01,
  ...littleEndian(base, 2),
  ...littleEndian(base, 2),
  1,
  length,
];
/** IRQ descriptor without flags: edge-triggered, active high, exclusive. */
export const isaIrq = (irq: number): Aml => [0x22, ...littleEndian(1 << irq, 2)];

/** 32-bit fixed memory range descriptor (6.4.3.4), writable. */
export const fixedMemory32 = (base: number, length: number): Aml => [
  0x86,
  ...littleEndian(9, 2),
  1,
  ...littleEndian(base, 4),
  ...littleEndian(length, 4),
];

export const AddressSpace = { MEMORY: 0, IO: 1, BUS: 2 } as const;
/** Minimum and maximum are fixed; the device produces the range for its children. */
const PRODUCER_FIXED = 0x0c;
/** Type-specific flags: read-write memory that is not cacheable, or is prefetchable; the whole I/O range. */
export const SpaceFlags = { MEMORY: 0x01, PREFETCHABLE: 0x07, IO: 0x03, BUS: 0x00 } as const;

/** A Word, DWord or QWord address space descriptor, by the width in bytes. */
function addressSpace(width: 2 | 4 | 8, space: number, flags: number, base: number, length: number): Aml {
  const fields = [0, base, base + length - 1, 0, length].flatMap((value) => littleEndian(value, width));
  const tag = { 2: 0x88, 4: 0x87, 8: 0x8a }[width];
  return [tag, ...littleEndian(3 + fields.length, 2), space, PRODUCER_FIXED, flags, ...fields];
}
export const busNumbers = (first: number, last: number): Aml =>
  addressSpace(2, AddressSpace.BUS, SpaceFlags.BUS, first, last - first + 1);
export const ioWindow = (base: number, length: number): Aml =>
  addressSpace(2, AddressSpace.IO, SpaceFlags.IO, base, length);
export const memoryWindow32 = (base: number, length: number): Aml =>
  addressSpace(4, AddressSpace.MEMORY, SpaceFlags.MEMORY, base, length);
export const prefetchableWindow64 = (base: number, length: number): Aml =>
  addressSpace(8, AddressSpace.MEMORY, SpaceFlags.PREFETCHABLE, base, length);
