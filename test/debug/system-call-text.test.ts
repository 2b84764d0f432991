/** System calls as text. */
import { describe, expect, test } from "vitest";
import { quote, resultText, returnedData, systemCallText } from "../../src/debug/system-call-text.ts";

/** Memory of a few pieces; all else is not mapped. */
function memory(pieces: Readonly<Record<number, string>>) {
  return (address: bigint, length: number): Uint8Array => {
    for (const [start, text] of Object.entries(pieces)) {
      const offset = Number(address) - Number(start);
      if (offset >= 0 && offset < text.length) {
        return Uint8Array.from(Buffer.from(text, "latin1").subarray(offset, offset + length));
      }
    }
    return new Uint8Array(0);
  };
}

const text = (number: number, ...values: (number | bigint)[]) => {
  const registers = [...values, 0, 0, 0, 0, 0, 0].slice(0, 6).map(BigInt);
  return systemCallText(number, registers, peek);
};
const pointer = (value: number) => String.fromCharCode(value & 0xff, value >> 8, 0, 0, 0, 0, 0, 0);
const peek = memory({
  4096: "/etc/passwd\0",
  8192: 'a\tb\n\x01\x7f2"\\',
  12288: `${pointer(0x4000)}${pointer(0x1000)}${pointer(0)}`,
  16384: "ls\0",
  20480: "x".repeat(100),
  24576: "cut",
});

describe("a system call", () => {
  test("shows strings, data, vectors, numbers and directories by kind", () => {
    expect(text(257, 0xffff_ff9cn, 0x1000, 0o2000000, 0)).toBe(
      'openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC, 0)',
    );
    expect(text(1, 1, 0x2000, 9)).toBe('write(1, "a\\tb\\n\\1\\1772\\"\\\\", 9)');
    expect(text(59, 0x4000, 0x3000, 0)).toBe('execve("ls", ["ls", "/etc/passwd"], NULL)');
    expect(text(3, 0xffff_ffffn)).toBe("close(-1)");
    expect(text(39)).toBe("getpid()");
    expect(text(12, 0)).toBe("brk(NULL)");
  });

  test("cuts long ones", () => {
    expect(text(1, 1, 0x5000, 100)).toBe(`write(1, "${"x".repeat(32)}"..., 100)`);
    expect(text(2, 0x5000)).toBe(`open("${"x".repeat(32)}"..., O_RDONLY, 0)`);
    expect(text(2, 0x4000, 0o4010002)).toBe('open("ls", O_RDWR|O_SYNC, 0)');
  });

  test("says where memory is not mapped", () => {
    expect(text(1, 1, 0x9000, 5)).toBe("write(1, 0x9000 (unmapped), 5)");
    expect(text(2, 0x6000)).toBe('open("cut"... (unmapped), O_RDONLY, 0)');
    expect(text(59, 0x1000, 0x9000)).toBe('execve("/etc/passwd", 0x9000 (unmapped), NULL)');
  });

  test("that is unknown shows its registers", () => {
    expect(text(1000, 1, 2)).toBe("system call 1000(0x1, 0x2, 0x0, 0x0, 0x0, 0x0)");
  });
});

test("results are numbers, addresses and errors", () => {
  const minus = (n: bigint) => BigInt.asUintN(64, -n);
  expect(resultText(0, 512n)).toBe("512");
  expect(resultText(2, minus(2n))).toBe("-1 ENOENT");
  expect(resultText(9, 0x7f00_0000_0000n)).toBe("0x7f0000000000");
  expect(resultText(9, minus(12n))).toBe("-1 ENOMEM");
  expect(resultText(null, minus(2n))).toBe("-2");
});

test("data that a call has written is shown with its result", () => {
  const registers = [3n, 0x4000n, 100n, 0n, 0n, 0n];
  expect(returnedData(0, registers, 2n, peek)).toBe(' "ls"');
  expect(returnedData(0, registers, 0n, peek)).toBe("");
  expect(returnedData(0, registers, BigInt.asUintN(64, -9n), peek)).toBe("");
  expect(returnedData(1, registers, 2n, peek)).toBe("");
  expect(returnedData(null, registers, 2n, peek)).toBe("");
});

test("bytes are quoted so that they can be read back", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const back = quote(bytes)
    .slice(1, -1)
    .replace(/\\(?:([0-7]{1,3})|(.))/g, (_all, octal, letter) =>
      octal
        ? String.fromCharCode(Number.parseInt(octal, 8))
        : ({ n: "\n", t: "\t", r: "\r" }[letter as string] ?? letter),
    );
  expect(Buffer.from(back, "latin1")).toEqual(Buffer.from(bytes));
});
