/** Recordings: what is written is read, and what is not a recording is refused. */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Input, Place } from "../../src/machine/outside-input.ts";
import { Ending, type Event } from "../../src/replay/format.ts";
import { Recorder } from "../../src/replay/recorder.ts";
import { RecordingFile } from "../../src/replay/recording-file.ts";
import { Replayer } from "../../src/replay/replayer.ts";
import { ByteReader, ByteWriter, RecordingError } from "../../src/replay/varint.ts";
import { Random } from "../random.ts";

const directory = mkdtempSync(join(tmpdir(), "ukl-emu-replay-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** Opens bytes as a recording. */
function withFile<T>(bytes: Uint8Array, use: (file: RecordingFile) => T): T {
  const path = join(directory, "recording");
  writeFileSync(path, bytes);
  const fd = openSync(path, "r");
  try {
    return use(new RecordingFile(fd));
  } finally {
    closeSync(fd);
  }
}

const frame = (length: number) => Uint8Array.from({ length }, (_, i) => i * 7);
const INPUTS: readonly [number, number, Input][] = [
  [0, 0, { kind: "console", bytes: new TextEncoder().encode("typed before the start\n") }],
  [0, 0, { kind: "time", to: 1_234_567_890_123 }],
  [1_000_000, 1_234_567_890_123, { kind: "break" }],
  [
    2 ** 40,
    2 ** 50,
    {
      kind: "frame",
      device: 3,
      frame: frame(65_550),
      work: {
        checksum: { start: 34, offset: 16 },
        segmentation: { protocol: "tcp4", size: 1460, ecn: true },
      },
    },
  ],
  [
    2 ** 40,
    2 ** 50,
    {
      kind: "frame",
      device: 0,
      frame: frame(60),
      work: { checksum: { start: 54, offset: 6 }, segmentation: { protocol: "tcp6", size: 1, ecn: false } },
    },
  ],
  [
    2 ** 40 + 1,
    2 ** 50,
    { kind: "frame", device: 0, frame: frame(0), work: { checksum: null, segmentation: null } },
  ],
];

function record(inputs: readonly (readonly [number, number, Input])[], ending: Ending | null): Buffer {
  const parts: Buffer[] = [];
  const recorder = new Recorder((bytes) => parts.push(Buffer.from(bytes)), '{"a":"b"}');
  for (const [instructions, time, input] of inputs) recorder.input({ instructions, time }, input);
  const [instructions = 0, time = 0] = inputs.at(-1) ?? [];
  if (ending === null) recorder.cutOff();
  else recorder.end({ instructions: instructions + 5, time: time + 5 }, ending, 77);
  return Buffer.concat(parts);
}

function readAll(file: RecordingFile): { place: Place; event: Event }[] {
  const records: { place: Place; event: Event }[] = [];
  for (let next = file.read(); next !== null; next = file.read()) {
    // What is read is valid until the next read only.
    records.push(structuredClone(next));
  }
  return records;
}

describe("a recording", () => {
  test("has all input with its places, and the end", () => {
    withFile(record(INPUTS, Ending.INSTRUCTION_LIMIT), (file) => {
      expect(file.header).toBe('{"a":"b"}');
      expect(file.endPlace).toEqual({ instructions: 2 ** 40 + 6, time: 2 ** 50 + 5 });
      expect(file.end).toMatchObject({ ending: Ending.INSTRUCTION_LIMIT, at: 77 });
      const expected = INPUTS.map(([instructions, time, event]) => ({
        place: { instructions, time },
        event,
      }));
      const plain = (value: unknown) =>
        JSON.parse(JSON.stringify(value, (_, v) => (ArrayBuffer.isView(v) ? [...(v as Uint8Array)] : v)));
      expect(plain(readAll(file).slice(0, -1))).toEqual(plain(expected));
    });
  });

  test("with pieces of any size comes through the buffer of the reader", () => {
    const random = new Random(7);
    const inputs = Array.from({ length: 300 }, (_, i): [number, number, Input] => [
      i,
      i,
      { kind: "console", bytes: frame(1 + random.below(10_000)) },
    ]);
    withFile(record(inputs, Ending.BETWEEN_SLICES), (file) => {
      const lengths = readAll(file).flatMap(({ event }) =>
        event.kind === "console" ? event.bytes.length : [],
      );
      expect(lengths).toEqual(
        inputs.map(([, , input]) => (input.kind === "console" ? input.bytes.length : 0)),
      );
    });
  });

  test("what is typed at once may be longer than a record", () => {
    const bytes = frame(200_000);
    withFile(record([[0, 0, { kind: "console", bytes }]], null), (file) => {
      const typed = readAll(file).map(({ event }) =>
        event.kind === "console" ? Buffer.from(event.bytes) : Buffer.of(),
      );
      expect(typed.length).toBeGreaterThan(1);
      expect(Buffer.concat(typed).equals(bytes)).toBe(true);
    });
  });

  test("that was cut off anywhere is good up to its last complete record", () => {
    const short = INPUTS.filter(([, , input]) => input.kind !== "frame" || input.frame.length < 100);
    const whole = record(short, Ending.BETWEEN_SLICES);
    let most = 0;
    let refused = 0;
    for (let length = 0; length < whole.length; length++) {
      try {
        const count = withFile(whole.subarray(0, length), (file) => {
          expect(file.end).toBe(null);
          const records = readAll(file);
          const last = records.at(-1);
          const time = last?.event.kind === "time" ? last.event.to : (last?.place.time ?? 0);
          expect(file.endPlace).toEqual({ instructions: last?.place.instructions ?? 0, time });
          return records.length;
        });
        expect(count).toBeGreaterThanOrEqual(most);
        most = count;
      } catch (error) {
        expect(error).toBeInstanceOf(RecordingError);
        refused++;
      }
    }
    expect(most).toBe(short.length);
    // Only signature and header have to be whole.
    expect(refused).toBe(whole.indexOf('"b"}') + 4);
  });

  test("with any bytes changed is read or refused, and nothing else happens", () => {
    const whole = record(INPUTS.slice(0, 3), Ending.CONSOLE);
    const random = new Random(11);
    let refused = 0;
    for (let i = 0; i < 3000; i++) {
      const bytes = Buffer.from(whole);
      for (let n = 0; n <= random.below(3); n++) bytes[random.below(bytes.length)] = random.below(256);
      try {
        withFile(bytes, (file) => {
          const replayer = new Replayer(file);
          while (!replayer.over) replayer.take();
        });
      } catch (error) {
        expect(error).toBeInstanceOf(RecordingError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });

  test.each([
    ["nothing", Buffer.of(), "another file"],
    ["another file", Buffer.from("#!/bin/sh\n"), "another file"],
    ["another version", Buffer.from("ukl-emu recording 2\n"), "version 2 of the format"],
    ["no header", Buffer.from("ukl-emu recording 1\n"), "an end in the header"],
    [
      "a huge record",
      Buffer.concat([record([], null), Buffer.of(0xff, 0xff, 0xff, 0x7f)]),
      "a part of 2097151 bytes",
    ],
    ["an unknown record", Buffer.concat([record([], null), Buffer.of(3, 99, 0, 0)]), "a record of kind 99"],
    [
      "something behind the end",
      Buffer.concat([record([], Ending.BETWEEN_SLICES), Buffer.of(3, 3, 0, 0)]),
      "records behind the end",
    ],
  ])("%s is refused", (_name, bytes, message) => {
    expect(() => withFile(bytes, () => {})).toThrow(new RecordingError(message));
  });
});

describe("numbers", () => {
  test.each([0, 1, 127, 128, 2 ** 32, 2 ** 53 - 1])("%d comes back", (value) => {
    const out = new ByteWriter();
    out.varint(value);
    const reader = new ByteReader(out.take());
    expect(reader.varint()).toBe(value);
    expect(reader.left).toBe(0);
  });

  test("too large, or cut off, are refused", () => {
    for (const bytes of [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], [0x80]]) {
      expect(() => new ByteReader(Uint8Array.from(bytes)).varint()).toThrow(RecordingError);
    }
  });
});
