/** Small valid images of every format, made field by field so that a test can spoil one. */
import { StructWriter } from "../../src/boot/bytes.ts";

export interface BzImageFields {
  readonly version?: number;
  readonly setupSectors?: number;
  readonly loadflags?: number;
  readonly xloadflags?: number;
  readonly relocatable?: number;
  readonly alignment?: number;
  readonly preferredAddress?: number;
  readonly initSize?: number;
  readonly initrdLast?: number;
  readonly commandLineSize?: number;
  readonly kernelVersion?: string;
  readonly payloadLength?: number;
}

/** A bzImage whose protected-mode code is a counting pattern. */
export function makeBzImage(fields: BzImageFields = {}): Uint8Array {
  const sectors = fields.setupSectors ?? 2;
  const setupSize = (sectors + 1) * 512;
  const payloadLength = fields.payloadLength ?? 0x1000;
  const image = new StructWriter(setupSize + payloadLength)
    .u8(0x1f1, sectors)
    .u32(0x1f4, Math.ceil(payloadLength / 16))
    .u16(0x1fe, 0xaa55)
    .u8(0x200, 0xeb)
    .u8(0x201, 0x68 - 2)
    .ascii(0x202, "HdrS")
    .u16(0x206, fields.version ?? 0x020f)
    .u16(0x20e, fields.kernelVersion === undefined ? 0 : 0x100)
    .u8(0x211, fields.loadflags ?? 1)
    .u32(0x214, 0x10_0000)
    .u32(0x22c, fields.initrdLast ?? 0x7fff_ffff)
    .u32(0x230, fields.alignment ?? 0x20_0000)
    .u8(0x234, fields.relocatable ?? 1)
    .u16(0x236, fields.xloadflags ?? 1)
    .u32(0x238, fields.commandLineSize ?? 2047)
    .u64(0x258, fields.preferredAddress ?? 0x100_0000)
    .u32(0x260, fields.initSize ?? 0x10_0000);
  if (fields.kernelVersion !== undefined) image.ascii(0x300, fields.kernelVersion);
  for (let i = 0; i < payloadLength; i++) image.u8(setupSize + i, i & 0xff);
  return image.bytes;
}

export interface SegmentFields {
  readonly type?: number;
  readonly virtual?: number;
  readonly physical: number;
  readonly data: Uint8Array;
  readonly memorySize?: number;
  readonly alignment?: number;
}

export interface ElfFields {
  readonly bits?: 32 | 64;
  readonly machine?: number;
  readonly type?: number;
  readonly entry?: number;
  readonly segments: readonly SegmentFields[];
}

/** An ELF file with its program headers right behind the ELF header and the segments' data behind them. */
export function makeElf(fields: ElfFields): Uint8Array {
  const wide = (fields.bits ?? 64) === 64;
  const [headerSize, entrySize] = wide ? [64, 56] : [52, 32];
  const dataStart = headerSize + fields.segments.length * entrySize;
  const total = fields.segments.reduce((sum, s) => sum + s.data.length, dataStart);
  const file = new StructWriter(total)
    .u32(0, 0x464c_457f)
    .u8(4, wide ? 2 : 1)
    .u8(5, 1)
    .u8(6, 1)
    .u16(16, fields.type ?? 2)
    .u16(18, fields.machine ?? (wide ? 62 : 3))
    .u32(20, 1);
  const word = (offset: number, value: number): void => {
    if (wide) file.u64(offset, value);
    else file.u32(offset, value);
  };
  word(24, fields.entry ?? fields.segments[0]?.physical ?? 0);
  word(wide ? 32 : 28, headerSize);
  file.u16(wide ? 52 : 40, headerSize).u16(wide ? 54 : 42, entrySize);
  file.u16(wide ? 56 : 44, fields.segments.length);
  let data = dataStart;
  fields.segments.forEach((segment, index) => {
    const offset = headerSize + index * entrySize;
    const memorySize = segment.memorySize ?? segment.data.length;
    const values = [
      data,
      segment.virtual ?? segment.physical,
      segment.physical,
      segment.data.length,
      memorySize,
    ];
    file.u32(offset, segment.type ?? 1);
    for (const [i, value] of values.entries()) {
      if (wide) file.u64(offset + 8 + i * 8, value);
      else file.u32(offset + 4 + i * 4, value);
    }
    word(offset + (wide ? 48 : 28), segment.alignment ?? 4);
    file.put(data, segment.data);
    data += segment.data.length;
  });
  return file.bytes;
}

/** A PT_NOTE segment's contents: one note. */
export function makeNote(owner: string, type: number, descriptor: Uint8Array): Uint8Array {
  const nameSize = owner.length + 1;
  const start = 12 + Math.ceil(nameSize / 4) * 4;
  return new StructWriter(start + Math.ceil(descriptor.length / 4) * 4)
    .u32(0, nameSize)
    .u32(4, descriptor.length)
    .u32(8, type)
    .ascii(12, owner)
    .put(start, descriptor).bytes;
}

export const u32Bytes = (value: number): Uint8Array => new StructWriter(4).u32(0, value).bytes;

/** An ELF64 kernel at 2 MiB with a PVH note. */
export function makePvh(entry = 0x20_0010): Uint8Array {
  return makeElf({
    segments: [
      {
        physical: 0x20_0000,
        virtual: 0xffff_ffff * 2 ** 20,
        data: new Uint8Array(256).fill(0x90),
        memorySize: 0x1000,
      },
      { type: 4, physical: 0, data: makeNote("Xen", 18, u32Bytes(entry)) },
    ],
    entry: 0x20_0000,
  });
}

/** A multiboot header: magic, flags, checksum, and the address fields if given. */
export function multibootHeader(flags: number, addresses: readonly number[] = []): Uint8Array {
  const header = new StructWriter(12 + addresses.length * 4)
    .u32(0, 0x1bad_b002)
    .u32(4, flags)
    .u32(8, -(0x1bad_b002 + flags) >>> 0);
  for (const [index, address] of addresses.entries()) header.u32(12 + index * 4, address);
  return header.bytes;
}

/** A multiboot ELF kernel at 1 MiB whose segment starts with the header. */
export function makeMultibootElf(bits: 32 | 64, flags = 3): Uint8Array {
  const data = new StructWriter(64).put(0, multibootHeader(flags)).bytes;
  return makeElf({ bits, entry: 0x10_000c, segments: [{ physical: 0x10_0000, data, memorySize: 0x2000 }] });
}

/** A multiboot image with address fields: 256 bytes, the header 16 bytes into it, loaded at 1 MiB. */
export function makeMultibootRaw(
  fields: { loadEnd?: number; bssEnd?: number; entry?: number; load?: number; header?: number } = {},
): Uint8Array {
  const addresses = [
    fields.header ?? 0x10_0010,
    fields.load ?? 0x10_0000,
    fields.loadEnd ?? 0x10_0100,
    fields.bssEnd ?? 0x10_0200,
    fields.entry ?? 0x10_0040,
  ];
  return new StructWriter(256).put(16, multibootHeader(0x1_0000, addresses)).bytes;
}
