/**
 * Feeds mutated images to every loader: each case must load or throw `ImageError`, within a time limit, without
 * allocating more than guest memory plus the file's size, without writing more than guest memory once over, and
 * without touching memory outside the guest's.
 *
 *     node scripts/fuzz-loaders.ts [--cases N] [--seed S] [--only CASE]
 *
 * Case i of a seed is always the same. Exit code 1 on a finding, with the seed and case that show it again.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { getHeapStatistics } from "node:v8";
import { gzipSync } from "node:zlib";
import { detectImage, type ImageFormat } from "../src/boot/detect.ts";
import { ImageError } from "../src/boot/image-error.ts";
import { describeImage } from "../src/boot/info.ts";
import { loaders, loadImage } from "../src/boot/load.ts";
import { makeBzImage, makeElf, makeMultibootElf, makeMultibootRaw, makePvh } from "../test/boot/images.ts";
import { bootPlatform, MIB, SparseMemory } from "../test/boot/platform.ts";
import { Random } from "../test/random.ts";

/** Small, so that 100,000 cases are quick; large enough for every seed image to load. */
const GUEST_MEMORY = 32 * MIB;
const TIME_LIMIT_MS = 2000;
/** Beyond guest memory and file: objects, messages, tables of one load. */
const ALLOCATION_SLACK = 2 * MIB;

const segment = {
  physical: 0x20_0000,
  virtual: 0xc020_0000,
  data: new Uint8Array(200).fill(0x90),
  memorySize: 0x3000,
};

const seedImages: readonly Uint8Array[] = [
  readFileSync(join(import.meta.dirname, "..", "images", "hello.bin")),
  makeBzImage({ kernelVersion: "seed", preferredAddress: 0x20_0000, payloadLength: 0x800 }),
  makeBzImage({ version: 0x0208, relocatable: 0, payloadLength: 0x400 }),
  makeElf({
    entry: 0xc020_0000,
    segments: [segment, { type: 7, physical: 0x30_0000, data: new Uint8Array(16), memorySize: 64 }],
  }),
  makeElf({ bits: 32, segments: [segment, { physical: 0x40_0000, data: new Uint8Array(32) }] }),
  // Many segments in one place: a loader must not clear memory as often as a header says.
  makeElf({ segments: Array.from({ length: 70 }, () => ({ ...segment, memorySize: 0x6_0000 })) }),
  makePvh(),
  makeMultibootElf(32),
  makeMultibootElf(64),
  makeMultibootRaw(),
  gzipSync(new Uint8Array(500)),
];

const extremes = [
  0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x10_0000, 0x1ff_ffff, 0x7fff_ffff, 0x8000_0000, 0xffff_f000,
  0xffff_ffff,
];

/** Structure lives at the start of every format, in ELF files in the first 200 bytes: most mutations go there. */
function place(random: Random, length: number): number {
  const region = random.pick([0x80, 0x100, 0x280, length]);
  return random.below(Math.min(length, region));
}

function mutateOnce(random: Random, file: Uint8Array): Uint8Array {
  if (file.length === 0) return Uint8Array.of(random.u32() & 0xff);
  switch (random.below(7)) {
    case 0: {
      const at = place(random, file.length);
      file[at] = file[at]! ^ (1 << random.below(8));
      return file;
    }
    case 1:
      file[place(random, file.length)] = random.u32() & 0xff;
      return file;
    case 2: // truncation
      return file.slice(
        0,
        random.below(2) === 0 ? place(random, file.length) : random.below(file.length + 1),
      );
    case 3: {
      // A field of 1, 2, 4 or 8 bytes set to an extreme; 8-byte fields get it in either half.
      const width = random.pick([1, 2, 4, 8]);
      const at = place(random, file.length) & -width;
      const value = random.pick(extremes) + (random.below(4) === 0 ? 0 : random.below(3) - 1);
      for (let i = 0; i < width && at + i < file.length; i++)
        file[at + i] = i < 4 ? (value >>> (8 * i)) & 0xff : value & 0x80 ? 0xff : 0;
      return file;
    }
    case 4: {
      // Splice: a piece of another image over this one.
      const other = random.pick(seedImages);
      const from = place(random, other.length);
      const piece = other.subarray(from, from + 1 + random.below(256));
      const at = random.below(2) === 0 ? from % file.length : place(random, file.length);
      file.set(piece.subarray(0, file.length - at), at);
      return file;
    }
    case 5: {
      // Grow by repeating a piece.
      const from = random.below(file.length);
      const extra = file.slice(from, from + random.below(1024));
      return Uint8Array.from([...file, ...extra]);
    }
    default: {
      const from = place(random, file.length);
      file.copyWithin(place(random, file.length), from, from + random.below(128));
      return file;
    }
  }
}

interface Case {
  readonly file: Uint8Array;
  readonly commandLine: string;
  readonly initrd: Uint8Array | undefined;
  readonly loader: ImageFormat | "detected" | "info";
}

function makeCase(seed: number, index: number): Case {
  const random = Random.spread(seed * 1_000_003 + index);
  let file: Uint8Array;
  if (random.below(50) === 0) {
    file = Uint8Array.from({ length: random.below(4096) }, () => random.u32() & 0xff);
  } else {
    file = random.pick(seedImages).slice();
    for (let n = random.pick([1, 1, 2, 3, 6]); n > 0; n--) file = mutateOnce(random, file);
  }
  return {
    file,
    commandLine: "x".repeat(random.pick([0, 10, 300, 3000])),
    initrd: random.below(2) === 0 ? undefined : new Uint8Array(random.pick([0, 1, 4096, 70_000])),
    // Every loader also gets files that detection would not give it.
    loader: random.pick([
      "detected",
      "detected",
      "detected",
      "info",
      "bzimage",
      "pvh",
      "multiboot",
      "elf64",
    ] as const),
  };
}

const platform = bootPlatform(GUEST_MEMORY);

function load(input: Case, memory: SparseMemory): void {
  const modules = input.initrd === undefined ? [] : [{ data: input.initrd }];
  const options = { commandLine: input.commandLine, modules, platform };
  if (input.loader === "info") describeImage(input.file);
  else if (input.loader === "detected") loadImage(input.file, options, memory);
  else loaders[input.loader](input.file, options, memory);
}

const allocated = (): number => {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
};

interface Outcome {
  readonly loaded: boolean;
  readonly finding?: string;
}

function check(input: Case): Outcome {
  const before = allocated();
  const start = performance.now();
  const memory = new SparseMemory(GUEST_MEMORY);
  let loaded = false;
  let finding: string | undefined;
  try {
    load(input, memory);
    loaded = true;
  } catch (error) {
    if (!(error instanceof ImageError))
      finding = error instanceof Error ? (error.stack ?? error.message) : String(error);
    else if (!/^[^\n]{1,400}$/.test(error.message))
      finding = `message is not one line: ${JSON.stringify(error.message)}`;
  }
  const time = performance.now() - start;
  if (memory.work > GUEST_MEMORY + MIB) finding ??= `wrote ${memory.work} bytes of guest memory`;
  // A collection in between only makes this smaller: it never reports what was not allocated.
  const growth = allocated() - before;
  if (time > TIME_LIMIT_MS) finding ??= `took ${time.toFixed(0)} ms`;
  const bound = GUEST_MEMORY + input.file.length + ALLOCATION_SLACK;
  if (growth > bound) finding ??= `allocated ${growth} bytes, expected at most ${bound}`;
  return finding === undefined ? { loaded } : { loaded, finding };
}

function option(name: string, fallback: number): number {
  const index = process.argv.indexOf(`--${name}`);
  if (index < 0) return fallback;
  const value = Number(process.argv[index + 1]);
  if (!Number.isSafeInteger(value) || value < 0) {
    console.error(
      `fuzz-loaders: --${name} expects a whole number, found ${process.argv[index + 1] ?? "nothing"}`,
    );
    process.exit(2);
  }
  return value;
}

const seed = option("seed", 1);
const only = option("only", -1);
const [first, end] = only >= 0 ? [only, only + 1] : [0, option("cases", 2000)];
const outcomes = new Map<string, number>();
const began = performance.now();
for (let index = first; index < end; index++) {
  const input = makeCase(seed, index);
  const { loaded, finding } = check(input);
  if (finding !== undefined) {
    console.error(`fuzz-loaders: ${input.loader}, ${input.file.length} bytes: ${finding}`);
    console.error(`fuzz-loaders: again with --seed ${seed} --only ${index}`);
    process.exit(1);
  }
  let key = "refused";
  if (loaded) key = input.loader === "detected" ? detectImage(input.file) : input.loader;
  outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
}
const summary = [...outcomes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, count]) => `${count} ${key}`);
const seconds = ((performance.now() - began) / 1000).toFixed(1);
console.log(
  `fuzz-loaders: ${end - first} cases, seed ${seed}, ${seconds} s, no finding (${summary.join(", ")})`,
);
