/** Captures, read by tshark. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { COMPLETE, type FrameWork } from "../../src/devices/virtio/network-link.ts";
import { Capture } from "../../src/net/pcap.ts";

const directory = mkdtempSync(join(tmpdir(), "ukl-emu-pcap-"));
afterAll(() => rmSync(directory, { recursive: true }));

const hasTshark = spawnSync("tshark", ["--version"]).error === undefined;
const START = Date.UTC(2025, 0, 1) / 1000;

/** An Ethernet frame with an IPv4 packet of protocol 253 (for experiments). */
function packet(length: number): Uint8Array {
  const frame = new Uint8Array(14 + length);
  frame.set([0x52, 0x55, 0x0a, 0, 2, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x08, 0x00]);
  frame.set([0x45, 0, length >> 8, length & 0xff, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2], 14);
  return frame;
}

const LARGE: FrameWork = {
  checksum: { start: 34, offset: 16 },
  segmentation: { protocol: "tcp4", size: 1460, ecn: false },
};

describe.skipIf(!hasTshark)("tshark (needs the package tshark)", () => {
  test("reads every frame with its device, direction, length, and time to the nanosecond", () => {
    const parts: Buffer[] = [];
    const capture = new Capture({
      application: "a test",
      startDate: START,
      interfaces: [
        { name: "net0", mac: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56) },
        { name: "net1", mac: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x57) },
      ],
      write: (bytes) => parts.push(Buffer.from(bytes)),
    });
    capture.frame(0, 0, "from guest", packet(46), COMPLETE);
    capture.frame(1_000_000_007, 1, "to guest", packet(1499), COMPLETE);
    capture.frame(123_456_789_012_345, 0, "from guest", packet(65_535), LARGE);
    capture.flush();
    const path = join(directory, "frames.pcapng");
    writeFileSync(path, Buffer.concat(parts));
    const fields = [
      "frame.interface_name",
      "frame.packet_flags_direction",
      "frame.len",
      "frame.time_epoch",
      "frame.comment",
    ];
    const { stdout, stderr, status } = spawnSync(
      "tshark",
      ["-r", path, "-T", "fields", "-E", "separator=;", ...fields.flatMap((field) => ["-e", field])],
      { encoding: "utf8" },
    );
    expect(status, stderr).toBe(0);
    expect(stderr).not.toMatch(/cut short|damaged|corrupt|isn't a capture/);
    const [first, second, third] = stdout
      .trim()
      .split("\n")
      .map((line) => line.split(";"));
    const date = (seconds: number, fraction: string) => `${START + seconds}.${fraction}`;
    expect(first).toEqual(["net0", expect.stringMatching(/2$/), "60", date(0, "000000000"), ""]);
    expect(second).toEqual(["net1", expect.stringMatching(/1$/), "1513", date(1, "000000007"), ""]);
    expect(third).toEqual([
      "net0",
      expect.stringMatching(/2$/),
      "65549",
      date(123_456, "789012345"),
      "to be cut into segments of 1460 bytes of payload",
    ]);
  });
});
