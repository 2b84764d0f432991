/** qcow2 images for tests: made and looked at by qemu-img, opened as a drive opens them. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import { type Disk, type DiskRequest, openDisk } from "../../../src/block/open.ts";
import type { Random } from "../../random.ts";

export const hasQemuImg = !spawnSync("qemu-img", ["--version"]).error;

export interface Workshop {
  path(name: string): string;
  /** @returns what it printed; throws if it fails */
  qemuImg(...args: string[]): string;
  /** What the user was told. */
  readonly told: string[];
  open(name: string, request?: Partial<DiskRequest>): Promise<Disk>;
  /** `qemu-img check` finds no error and no leak. */
  expectClean(name: string): void;
  /** The guest's view of an image, as qemu-img has it. */
  expectContents(name: string, bytes: Uint8Array): void;
}

/** To be called at the top of a test file. */
export function useWorkshop(): Workshop {
  const work = mkdtempSync(join(tmpdir(), "ukl-emu-qcow2-"));
  afterAll(() => rmSync(work, { recursive: true, force: true }));
  const told: string[] = [];
  const path = (name: string): string => join(work, name);
  const run = (args: readonly string[]) => spawnSync("qemu-img", args, { cwd: work, encoding: "utf8" });
  const qemuImg = (...args: string[]): string => {
    const { status, stdout, stderr } = run(args);
    if (status !== 0) throw new Error(`qemu-img ${args.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  };
  return {
    path,
    qemuImg,
    told,
    open: (name, request = {}) =>
      openDisk(
        { file: path(name), readonly: false, snapshot: false, ...request },
        (error) => (error as NodeJS.ErrnoException).code ?? (error as Error).message,
        (operation, error) => told.push(`${operation}: ${(error as Error).message}`),
      ),
    expectClean: (name) => {
      const { status, stdout, stderr } = run(["check", "-f", "qcow2", name]);
      expect({ status, text: stdout + stderr }).toEqual({
        status: 0,
        text: expect.stringMatching(/^No errors were found on the image\.\n/),
      });
    },
    expectContents: (name, bytes) => {
      writeFileSync(path("expected.raw"), bytes);
      const { stdout, stderr } = run(["compare", "-f", "qcow2", "-F", "raw", name, "expected.raw"]);
      expect(stdout + stderr).toBe("Images are identical.\n");
    },
  };
}

/** Bytes that compress a little: runs of one value among noise. */
export function content(dice: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const run = 1 + dice.below(2000);
    if (dice.chance(2)) bytes.fill(dice.below(256), at, at + run);
    else for (let i = at; i < Math.min(length, at + run); i++) bytes[i] = dice.below(256);
    at += run;
  }
  return bytes;
}

export function readAll({ store }: Disk): Uint8Array {
  const bytes = new Uint8Array(store.size);
  store.read(0, bytes);
  return bytes;
}
