/** The short version of `fio.ts`. Skipped where Debian's kernel or fio is missing. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findProgram } from "../../images/host-programs.ts";
import { useCli } from "../cli/run-cli.ts";
import { type Format, fio, missingForFio } from "./fio.ts";

const hasQcow2 = existsSync(join(import.meta.dirname, "../../src/block/qcow2"));
const formats: Format[] = hasQcow2 && findProgram("qemu-img") !== undefined ? ["raw", "qcow2"] : ["raw"];
const qemu = findProgram("qemu-system-x86_64") !== undefined;

const cli = useCli();

describe.skipIf(missingForFio(formats, qemu) !== null)("fio in Debian's cloud kernel", () => {
  test("reads back what it wrote at random, over PCI and MMIO, now and after power-on", {
    timeout: 900_000,
  }, async () => {
    const { faults, lines } = await fio({
      sizeMiB: 8,
      formats,
      transports: ["pci", "mmio"],
      seed: 7,
      qemu,
      work: cli.work,
      entry: cli.entry,
    });
    expect(faults).toEqual([]);
    // Each disk: written and read here, read there.
    expect(lines).toHaveLength(formats.length * 2 * 3);
  });
});
