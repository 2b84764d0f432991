/** Each single read, write and sync of the host fails once: nothing that was flushed is lost, and the image stays clean. */
import { copyFileSync, openSync, statSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { HostFile } from "../../../src/block/host-file.ts";
import { readStart } from "../../../src/block/open-file.ts";
import { parseHeader } from "../../../src/block/qcow2/header.ts";
import { Qcow2Image } from "../../../src/block/qcow2/image.ts";
import { StoreError } from "../../../src/devices/virtio/block.ts";
import { Random } from "../../random.ts";
import { content, hasQemuImg, useWorkshop } from "./images.ts";

const shop = useWorkshop();
const KIB = 1024;
const SIZE = 512 * KIB;

type Call = "read" | "write" | "sync";

/** Counts calls of one kind; the one with number `failing` fails, a write in its middle. */
class FailingFile extends HostFile {
  readonly #kind: Call;
  readonly #code: string;
  #left = Infinity;

  constructor(path: string, kind: Call, code: string) {
    super(openSync(path, "r+"), statSync(path).size);
    this.#kind = kind;
    this.#code = code;
  }

  /** @param count successful calls before the failure */
  failAfter(count: number): void {
    this.#left = count;
  }

  get hasFailed(): boolean {
    return this.#left < 0;
  }

  #count(kind: Call): boolean {
    return kind === this.#kind && this.#left-- === 0;
  }

  #error(): Error {
    return Object.assign(new Error(this.#code), { code: this.#code });
  }

  override read(offset: number, target: Uint8Array): void {
    if (this.#count("read")) throw this.#error();
    super.read(offset, target);
  }

  override write(offset: number, bytes: Uint8Array): void {
    const fails = this.#count("write");
    super.write(offset, fails ? bytes.subarray(0, bytes.length >> 1) : bytes);
    if (fails) throw this.#error();
  }

  override sync(): void {
    if (this.#count("sync")) throw this.#error();
    super.sync();
  }
}

/** Guest requests, and what they do to a model. */
const STEPS: ((store: Qcow2Image, model: Uint8Array) => void)[] = [];
function step(offset: number, length: number, value: number): void {
  STEPS.push((store, model) => {
    if (value === 0) store.writeZeroes(offset, length);
    else store.write(offset, new Uint8Array(length).fill(value));
    model.fill(value, offset, offset + length);
  });
}
// Parts of clusters, neighbours, a snapshot's and a compressed cluster, one that comes and goes.
step(1 * KIB, 6 * KIB, 1);
step(100 * KIB, 40 * KIB, 2);
step(200 * KIB, 512, 3);
step(200 * KIB, 16 * KIB, 0);
step(204 * KIB, 4 * KIB, 4);
step(300 * KIB, 64 * KIB, 5);

describe.skipIf(!hasQemuImg)("a host that fails once", () => {
  test.each<[Call, string]>([
    ["read", "EIO"],
    ["write", "ENOSPC"],
    ["sync", "EIO"],
  ])("at each %s", async (kind, code) => {
    const compressed = content(Random.spread(11), SIZE);
    writeFileSync(shop.path("plain.raw"), compressed);
    shop.qemuImg("convert", "-c", "-O", "qcow2", "-o", "cluster_size=4k", "plain.raw", "fresh.qcow2");
    // Something to share with a snapshot.
    const first = await shop.open("fresh.qcow2");
    first.store.write(0, new Uint8Array(SIZE / 4).fill(9));
    first.close();
    shop.qemuImg("snapshot", "-c", "one", "fresh.qcow2");
    const outcomes = { healed: 0, stopped: 0 };
    let count = 0;
    for (let hasFailed = true; hasFailed; count++) {
      copyFileSync(shop.path("fresh.qcow2"), shop.path("disk.qcow2"));
      const file = new FailingFile(shop.path("disk.qcow2"), kind, code);
      const start = readStart(file.fd, 4 * KIB);
      const header = parseHeader(start, file.length);
      const told: string[] = [];
      const image = new Qcow2Image(
        { file, header, headerBytes: start.slice(0, 104), backing: null, readonly: false },
        (operation, error) => told.push(`${operation} ${(error as Error).message}`),
      );
      const model = compressed.slice().fill(9, 0, SIZE / 4);
      let flushed = model.slice();
      /** @returns whether it came to its end, at the second attempt if need be */
      const attempt = (run: () => void): boolean => {
        for (let i = 0; i < 2; i++) {
          try {
            run();
            return true;
          } catch (error) {
            expect(error).toBeInstanceOf(StoreError);
          }
        }
        return false;
      };
      file.failAfter(count);
      const isDone = STEPS.every((run) => {
        if (!attempt(() => run(image, model)) || !attempt(() => image.flush())) return false;
        flushed = model.slice();
        return true;
      });
      if (isDone) outcomes.healed++;
      else outcomes.stopped++;
      image.close();
      hasFailed = file.hasFailed;
      expect(told.length, told.join("; ")).toBeLessThanOrEqual(hasFailed ? 4 : 0);
      shop.expectClean("disk.qcow2");
      if (isDone) shop.expectContents("disk.qcow2", flushed);
      else {
        // It stopped for good, and a new start finds what was flushed; in place, more may have been written.
        const again = await shop.open("disk.qcow2");
        const bytes = new Uint8Array(SIZE);
        again.store.read(0, bytes);
        again.close();
        const lost = bytes.findIndex((byte, i) => byte !== flushed[i] && byte !== model[i]);
        expect(lost, `call ${count}`).toBe(-1);
      }
    }
    // A failed write can be made good, a failed sync cannot, unless it is the one at the end.
    if (kind === "write") expect(outcomes.stopped).toBe(0);
    if (kind === "sync") expect(outcomes.healed).toBe(2);
    expect(count).toBeGreaterThan(kind === "read" ? 3 : 5);
  });
});
