import { describe, expect, test } from "vitest";
import { completeChecksum } from "../../../src/devices/virtio/checksum.ts";
import { onesComplementSum } from "../../../src/devices/virtio/internet-sum.ts";
import type { FrameWork } from "../../../src/devices/virtio/network-link.ts";
import { MOST_SEGMENTS, segments } from "../../../src/devices/virtio/segmentation.ts";
import { sums, tcpFrame } from "./frames.ts";

describe("checksums (RFC 1071)", () => {
  test("the example of section 3", () => {
    const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    expect(onesComplementSum(bytes, 0, 8)).toBe(0xddf2);
    expect(onesComplementSum(bytes, 0, 7)).toBe(0xdcfb);
  });

  test("many words do not overflow", () => {
    expect(onesComplementSum(new Uint8Array(65_536).fill(0xff), 0, 65_536)).toBe(0xffff);
  });

  test("a sum of zero is written as FFFFH", () => {
    const frame = Uint8Array.of(0xff, 0xfe, 0, 1);
    completeChecksum(frame, { start: 0, offset: 2 });
    expect([...frame.subarray(2)]).toEqual([0xff, 0xff]);
  });
});

describe.each([4, 6] as const)("segmentation over IPv%i", (version) => {
  const protocol = version === 4 ? "tcp4" : "tcp6";

  test.each([false, true])("payload, sequence numbers, flags, lengths and sums (VLAN tag: %s)", (vlan) => {
    const { frame, ip, tcp, checksum } = tcpFrame(version, 2500, { vlan });
    const parts = segments(frame, { checksum, segmentation: { protocol, size: 1000, ecn: true } })!;
    expect(parts.map((part) => part.length - tcp - 20)).toEqual([1000, 1000, 500]);
    const payload = parts.flatMap((part) => [...part.subarray(tcp + 20)]);
    expect(payload).toEqual([...frame.subarray(tcp + 20)]);
    const at = (i: number) => new DataView(parts[i]!.buffer);
    expect([0, 1, 2].map((i) => at(i).getUint32(tcp + 4))).toEqual([0xffff_fff0, 0x3d8, 0x7c0]);
    // CWR in the first, PSH and FIN in the last (bits 7, 3 and 0).
    expect([0, 1, 2].map((i) => parts[i]![tcp + 13])).toEqual([0x90, 0x10, 0x19]);
    for (const [i, part] of parts.entries()) {
      expect(sums(part, version, ip, tcp)).toEqual([0xffff, 0xffff]);
      if (version === 6) expect(at(i).getUint16(ip + 4)).toBe(part.length - ip - 40);
      else {
        expect(at(i).getUint16(ip + 2)).toBe(part.length - ip);
        expect(at(i).getUint16(ip + 4)).toBe((0xffff + i) & 0xffff);
      }
    }
  });

  test("what is not a TCP frame of that kind is none", () => {
    const { frame, checksum } = tcpFrame(version, 2000);
    const cut = (size: number, more: Partial<FrameWork> = {}, bytes = frame) =>
      segments(bytes, { checksum, segmentation: { protocol, size, ecn: false }, ...more });
    expect(cut(1000)).toHaveLength(2);
    expect(cut(0)).toBeNull();
    expect(cut(7)).toBeNull();
    expect(cut(Math.ceil(2000 / MOST_SEGMENTS))).toHaveLength(250);
    expect(cut(1000, { checksum: null })).toBeNull();
    expect(cut(1000, { checksum: { start: 14, offset: 16 } })).toBeNull();
    expect(cut(1000, { checksum: { start: 5000, offset: 16 } })).toBeNull();
    const other = version === 4 ? "tcp6" : "tcp4";
    expect(cut(1000, { segmentation: { protocol: other, size: 1000, ecn: false } })).toBeNull();
    for (let length = 0; length < checksum.start + 20; length++) {
      expect(cut(1000, {}, frame.subarray(0, length))).toBeNull();
    }
  });
});
