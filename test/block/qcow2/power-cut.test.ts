/**
 * Every moment at which a run may end, one after the other. All that reaches the host's file is recorded; images are put together
 * from the first n of these calls, as a killed emulator leaves them, and from those up to the last sync with any of the
 * sectors written since, as a power cut does. Each must be clean for qemu-img and hold what was flushed.
 */
import { openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { HostFile } from "../../../src/block/host-file.ts";
import { readStart } from "../../../src/block/open-file.ts";
import { parseHeader } from "../../../src/block/qcow2/header.ts";
import { Qcow2Image } from "../../../src/block/qcow2/image.ts";
import { SECTOR } from "../../../src/devices/virtio/block.ts";
import { Random } from "../../random.ts";
import { content, hasQemuImg, useWorkshop } from "./images.ts";

const shop = useWorkshop();
const SIZE = 256 * 1024;
/** `CUT_OPERATIONS=200 vitest run test/block/qcow2/power-cut.test.ts` is the long run. */
const OPERATIONS = Number(process.env["CUT_OPERATIONS"] ?? 12);

type Event =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "extend"; readonly length: number }
  | { readonly kind: "sync" }
  /** The guest sees its flush done. */
  | { readonly kind: "flushed" }
  /** A request, and the disk as the guest has it from then on. */
  | { readonly kind: "request"; readonly disk: Uint8Array };

class RecordingFile extends HostFile {
  readonly events: Event[] = [];

  override write(offset: number, bytes: Uint8Array): void {
    this.events.push({ kind: "write", offset, bytes: bytes.slice() });
    super.write(offset, bytes);
  }

  override extend(length: number): void {
    this.events.push({ kind: "extend", length });
    super.extend(length);
  }

  override sync(): void {
    this.events.push({ kind: "sync" });
  }
}

function open(name: string): { readonly file: RecordingFile; readonly image: Qcow2Image } {
  const path = shop.path(name);
  const file = new RecordingFile(openSync(path, "r+"), statSync(path).size);
  const start = readStart(file.fd, 2 ** 21);
  const header = parseHeader(start.subarray(0, 64 * 1024), file.length);
  const parts = { file, header, headerBytes: start.slice(0, 104), backing: null, readonly: false };
  const image = new Qcow2Image(parts, (_, error) => {
    throw error;
  });
  return { file, image };
}

/** @returns all that happened */
function run(name: string, dice: Random, before: Uint8Array): readonly Event[] {
  const { file, image } = open(name);
  const disk = before.slice();
  for (let i = 0; i < OPERATIONS; i++) {
    const offset = dice.below(SIZE / SECTOR) * SECTOR;
    const length = Math.min(SIZE - offset, (1 + dice.below(40)) * SECTOR);
    if (dice.chance(3)) disk.fill(0, offset, offset + length);
    else disk.set(content(dice, length), offset);
    const bytes = disk.slice(offset, offset + length);
    file.events.push({ kind: "request", disk: disk.slice() });
    if (bytes.every((byte) => byte === 0)) image.writeZeroes(offset, length);
    else image.write(offset, bytes);
    if (!dice.chance(4)) continue;
    image.flush();
    file.events.push({ kind: "flushed" });
  }
  image.close();
  return file.events;
}

class Remains {
  #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes.slice();
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.extend(offset + bytes.length);
    this.#bytes.set(bytes, offset);
  }

  extend(length: number): void {
    if (length <= this.#bytes.length) return;
    const longer = new Uint8Array(length);
    longer.set(this.#bytes);
    this.#bytes = longer;
  }
}

/** @param keeps whether a sector that no sync covers has been written */
function remains(fresh: Uint8Array, events: readonly Event[], keeps: () => boolean): Uint8Array {
  const synced = events.findLastIndex(({ kind }) => kind === "sync");
  const image = new Remains(fresh);
  events.forEach((event, i) => {
    if (event.kind === "extend") image.extend(event.length);
    if (event.kind !== "write") return;
    for (let at = 0; at < event.bytes.length; ) {
      // Sectors of the file, wherever the write began.
      const end = Math.min(event.bytes.length, at + SECTOR - ((event.offset + at) % SECTOR));
      if (i < synced || keeps()) image.write(event.offset + at, event.bytes.subarray(at, end));
      at = end;
    }
  });
  return image.bytes;
}

/** Each sector is as it was at the last flush, or as any request since made it. */
function expectFlushed(events: readonly Event[], before: Uint8Array, found: Uint8Array, name: string): void {
  let states = [before];
  for (const event of events) {
    if (event.kind === "request") states.push(event.disk);
    else if (event.kind === "flushed") states = states.slice(-1);
  }
  for (let at = 0; at < SIZE; at += SECTOR) {
    const sector = found.subarray(at, at + SECTOR);
    const isKnown = states.some((state) => Buffer.compare(state.subarray(at, at + SECTOR), sector) === 0);
    if (!isKnown) expect.fail(`${name}: the sector at ${at} is none that was written`);
  }
}

describe.skipIf(!hasQemuImg)("an image after a sudden end", () => {
  const kinds: [string, string, boolean][] = [
    ["clusters of 4 KiB", "cluster_size=4k", false],
    ["clusters of 512 bytes, with a snapshot", "cluster_size=512", true],
    ["clusters of 64 KiB", "cluster_size=64k", false],
  ];
  test.each(kinds)(
    "is clean at each moment: %s",
    { timeout: 300_000 + OPERATIONS * 30_000 },
    (_name, options, snapshot) => {
      const dice = Random.spread(options.length + (snapshot ? 1 : 0));
      const before = content(dice, SIZE);
      writeFileSync(shop.path("before.raw"), before);
      const convert = ["convert", "-f", "raw", "-O", "qcow2"];
      shop.qemuImg(...convert, "-c", "-o", options, "before.raw", "disk.qcow2");
      if (snapshot) shop.qemuImg("snapshot", "-c", "one", "disk.qcow2");
      const fresh = readFileSync(shop.path("disk.qcow2"));
      const events = run("disk.qcow2", dice, before);
      const calls = events.flatMap((event, i) =>
        event.kind === "write" || event.kind === "sync" ? [i] : [],
      );
      expect(calls.length).toBeGreaterThan(OPERATIONS);
      const inspect = (past: readonly Event[], keeps: () => boolean, name: string): void => {
        writeFileSync(shop.path("rest.qcow2"), remains(fresh, past, keeps));
        shop.expectClean("rest.qcow2");
        shop.qemuImg("convert", "-f", "qcow2", "-O", "raw", "rest.qcow2", "rest.raw");
        expectFlushed(past, before, readFileSync(shop.path("rest.raw")), name);
      };
      for (const i of calls) {
        inspect(events.slice(0, i + 1), () => true, `killed after call ${i}`);
        inspect(events.slice(0, i + 1), () => dice.chance(2), `power cut after call ${i}`);
      }
    },
  );
});

test.skipIf(!hasQemuImg)(
  "a header is on the disk before anything is written where the one before it led",
  () => {
    shop.qemuImg("create", "-f", "qcow2", "-o", "cluster_size=2M", "disk.qcow2", "8T");
    const { file, image } = open("disk.qcow2");
    // Each write is in an L2 table of its own, 2 MiB: several wait for a commit until there are too many of them.
    for (let i = 0; i < 12; i++) image.write(i * 2 ** 39, new Uint8Array(SECTOR).fill(1));
    const { events } = file;
    const headers = events.flatMap((event, i) => (event.kind === "write" && event.offset === 0 ? [i] : []));
    expect(headers.length).toBeGreaterThan(0);
    for (const i of headers) expect(events[i + 1]?.kind).toBe("sync");
    image.close();
  },
);
