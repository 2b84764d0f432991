/**
 * Recorded vectors: the reference's outcomes in a file, for hosts that have no x86-64 processor.
 *
 * Cases are not recorded, they are generated again from the seed; a checksum per batch tells when the generator
 * has changed since. Outcomes are stored XORed with the state before, so that what an instruction leaves alone
 * is zero, and compressed as a whole.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { type ConformanceCase, type Executor, initialRflags, type Outcome } from "./case.ts";
import { codeBase, defaultFxImage } from "./environment.ts";
import { decodeOutcome, encodeCases, encodeOutcomes, outcomeSize } from "./wire.ts";

const MAGIC = 0x3156_4e43; // "CNV1"

/** What a recording was made with: replaying needs the same. */
export interface RecordingKey {
  readonly seed: number;
  readonly cases: number;
  readonly modes: string;
  readonly rows: string;
}

/** Turns an outcome into its difference from the case's state before, and back: XOR is its own inverse. */
function difference(c: ConformanceCase, o: Outcome): Outcome {
  const before = c.fx ?? defaultFxImage();
  const fx = o.fx ? Uint8Array.from(o.fx, (byte, i) => byte ^ before[i]!) : null;
  return {
    ...o,
    rip: o.rip ^ BigInt(c.codeAddress - codeBase(c.selectors[1])),
    rflags: (o.rflags ^ initialRflags(c)) >>> 0,
    gpr: o.gpr.map((value, i) => value ^ c.gpr[i]!),
    selectors: o.selectors.map((value, i) => value ^ c.selectors[i]!),
    fsBase: o.fsBase ^ c.fsBase,
    gsBase: o.gsBase ^ c.gsBase,
    fx,
  };
}

/** FNV-1a over the cases as the runner would get them. */
function checksum(cases: readonly ConformanceCase[]): number {
  let hash = 0x811c_9dc5;
  for (const byte of encodeCases(cases)) hash = Math.imul(hash ^ byte, 0x0100_0193);
  return hash >>> 0;
}

interface Batch {
  readonly checksum: number;
  readonly count: number;
  bytes: Uint8Array;
}

/** Passes cases on to another executor and keeps what it answers. */
export class Recorder implements Executor {
  readonly name: string;
  readonly #inner: Executor;
  readonly #key: RecordingKey;
  readonly #batches: Batch[] = [];

  constructor(inner: Executor, key: RecordingKey) {
    this.name = inner.name;
    this.#inner = inner;
    this.#key = key;
  }

  async run(cases: readonly ConformanceCase[]): Promise<Outcome[]> {
    const slot: Batch = { checksum: checksum(cases), count: cases.length, bytes: new Uint8Array(0) };
    this.#batches.push(slot);
    const outcomes = await this.#inner.run(cases);
    slot.bytes = encodeOutcomes(outcomes.map((o, i) => difference(cases[i]!, o)));
    return outcomes;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** Writes what was recorded. @returns the file's size in bytes. */
  save(path: string): number {
    const key = new TextEncoder().encode(JSON.stringify(this.#key));
    const total = this.#batches.reduce((sum, b) => sum + 12 + b.bytes.length, 8 + key.length);
    const all = new Uint8Array(total);
    const view = new DataView(all.buffer);
    view.setUint32(0, MAGIC, true);
    view.setUint32(4, key.length, true);
    all.set(key, 8);
    let at = 8 + key.length;
    for (const batch of this.#batches) {
      view.setUint32(at, batch.checksum, true);
      view.setUint32(at + 4, batch.count, true);
      view.setUint32(at + 8, batch.bytes.length, true);
      all.set(batch.bytes, at + 12);
      at += 12 + batch.bytes.length;
    }
    const packed = brotliCompressSync(all, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: 6,
        [constants.BROTLI_PARAM_LGWIN]: 24,
        [constants.BROTLI_PARAM_SIZE_HINT]: total,
      },
    });
    writeFileSync(path, packed);
    return packed.length;
  }
}

/** Answers cases from a recording; they must come in the order they were recorded in. */
export class Replayer implements Executor {
  readonly name = "recorded vectors";
  readonly key: RecordingKey;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  /** @throws Error when the file is no recording. */
  constructor(path: string) {
    let all: Buffer;
    try {
      all = brotliDecompressSync(readFileSync(path));
    } catch (error) {
      throw new Error(`${path}: not a recording of conformance vectors (${(error as Error).message})`);
    }
    // A copy of its own: outcome records are read through views that need their own buffer.
    this.#bytes = Uint8Array.from(all);
    this.#view = new DataView(this.#bytes.buffer);
    if (this.#view.getUint32(0, true) !== MAGIC)
      throw new Error(`${path}: not a recording of conformance vectors`);
    const length = this.#view.getUint32(4, true);
    this.key = JSON.parse(new TextDecoder().decode(this.#bytes.subarray(8, 8 + length)));
    this.#at = 8 + length;
  }

  async run(cases: readonly ConformanceCase[]): Promise<Outcome[]> {
    const view = this.#view;
    if (this.#at >= this.#bytes.length) throw new Error("the recording ends before the cases do");
    if (
      view.getUint32(this.#at, true) !== checksum(cases) ||
      view.getUint32(this.#at + 4, true) !== cases.length
    )
      throw new Error(
        "the recording was made with other cases: the generator or its options have changed, record anew",
      );
    let next = this.#at + 12;
    this.#at = next + view.getUint32(this.#at + 8, true);
    return cases.map((c) => {
      const outcome = decodeOutcome(this.#bytes, view, next);
      next += outcomeSize(view, next, this.#bytes.length);
      return difference(c, outcome);
    });
  }

  async close(): Promise<void> {}
}
