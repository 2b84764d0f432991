/** A system call as strace writes it: name, arguments and result. Memory is read as it is now. */
import { errorName } from "./linux-errno.ts";
import { type SystemCall, systemCall } from "./linux-syscalls.ts";

/** Bytes from a linear address on; fewer, or none, where nothing is mapped. */
export type Peek = (address: bigint, length: number) => Uint8Array;

/** Characters of a string that are shown. */
const SHOWN = 32;
/** Strings of an array that are shown. */
const MOST_STRINGS = 6;
/** Numbers below this are shown as decimal. */
const SMALL = 0x1_0000n;

const hexText = (value: bigint): string => `0x${value.toString(16)}`;
const signed32 = (value: bigint): bigint => BigInt.asIntN(32, value);
/** -1 as it is often passed in place of an unsigned number. */
const unsignedText = (value: bigint): string => {
  const signed = BigInt.asIntN(64, value);
  return signed < 0n && signed > -SMALL ? `${signed}` : value < SMALL * SMALL ? `${value}` : hexText(value);
};

const ESCAPES: Readonly<Record<number, string>> = {
  9: "\\t",
  10: "\\n",
  13: "\\r",
  34: '\\"',
  92: "\\\\",
};

/** Bytes between quotation marks, unprintable ones in octal. */
export function quote(bytes: Uint8Array): string {
  let text = "";
  bytes.forEach((byte, i) => {
    const escaped = ESCAPES[byte];
    if (escaped !== undefined) text += escaped;
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else {
      // A digit behind it would be taken for part of it.
      const next = bytes[i + 1] ?? 0;
      text += `\\${byte.toString(8).padStart(next >= 0x30 && next <= 0x37 ? 3 : 1, "0")}`;
    }
  });
  return `"${text}"`;
}

function stringText(address: bigint, peek: Peek): string {
  if (address === 0n) return "NULL";
  const bytes = peek(address, SHOWN + 1);
  const end = bytes.indexOf(0);
  if (end >= 0) return quote(bytes.subarray(0, end));
  if (bytes.length > SHOWN) return `${quote(bytes.subarray(0, SHOWN))}...`;
  return bytes.length === 0 ? unmapped(address) : `${quote(bytes)}... (unmapped)`;
}

function unmapped(address: bigint): string {
  return `${hexText(address)} (unmapped)`;
}

function dataText(address: bigint, length: bigint, peek: Peek): string {
  if (address === 0n) return "NULL";
  const wanted = length < BigInt(SHOWN) ? Number(length) : SHOWN;
  if (wanted === 0) return '""';
  const bytes = peek(address, wanted);
  if (bytes.length === 0) return unmapped(address);
  const more = BigInt(bytes.length) < length ? "..." : "";
  return bytes.length < wanted ? `${quote(bytes)}... (unmapped)` : `${quote(bytes)}${more}`;
}

function vectorText(address: bigint, peek: Peek): string {
  if (address === 0n) return "NULL";
  const strings: string[] = [];
  for (let i = 0; i < MOST_STRINGS; i++) {
    const bytes = peek(address + BigInt(8 * i), 8);
    if (bytes.length < 8) return i === 0 ? unmapped(address) : `[${strings.join(", ")}, (unmapped)]`;
    const pointer = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
    if (pointer === 0n) return `[${strings.join(", ")}]`;
    strings.push(stringText(pointer, peek));
  }
  return `[${strings.join(", ")}, ...]`;
}

const AT_FDCWD = -100n;

/** Flags of open (include/uapi/asm-generic/fcntl.h); O_SYNC and O_TMPFILE hold bits of others. */
const OPEN_FLAGS: readonly (readonly [bits: number, name: string])[] = [
  [0o20200000, "O_TMPFILE"],
  [0o4010000, "O_SYNC"],
  [0o100, "O_CREAT"],
  [0o200, "O_EXCL"],
  [0o400, "O_NOCTTY"],
  [0o1000, "O_TRUNC"],
  [0o2000, "O_APPEND"],
  [0o4000, "O_NONBLOCK"],
  [0o10000, "O_DSYNC"],
  [0o20000, "O_ASYNC"],
  [0o40000, "O_DIRECT"],
  [0o100000, "O_LARGEFILE"],
  [0o200000, "O_DIRECTORY"],
  [0o400000, "O_NOFOLLOW"],
  [0o1000000, "O_NOATIME"],
  [0o2000000, "O_CLOEXEC"],
  [0o10000000, "O_PATH"],
];
const ACCESS_MODES = ["O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"] as const;

function openFlagsText(value: bigint): string {
  let left = Number(BigInt.asUintN(32, value));
  const words: string[] = [ACCESS_MODES[left & 3]!];
  left &= ~3;
  for (const [bits, name] of OPEN_FLAGS) {
    if ((left & bits) !== bits) continue;
    words.push(name);
    left &= ~bits;
  }
  if (left !== 0) words.push(`0x${(left >>> 0).toString(16)}`);
  return words.join("|");
}

function argumentText(letter: string, value: bigint, next: bigint, peek: Peek): string {
  switch (letter) {
    case "d":
      return `${signed32(value)}`;
    case "u":
      return unsignedText(value);
    case "F":
      return openFlagsText(value);
    case "p":
    case "r":
      return value === 0n ? "NULL" : hexText(value);
    case "o":
      return value === 0n ? "0" : `0${BigInt.asUintN(32, value).toString(8)}`;
    case "f":
      return signed32(value) === AT_FDCWD ? "AT_FDCWD" : `${signed32(value)}`;
    case "s":
      return stringText(value, peek);
    case "b":
      return dataText(value, next, peek);
    case "v":
      return vectorText(value, peek);
    default:
      return hexText(value);
  }
}

/** More than any system has: RAX holds something else. */
const LARGEST = 4095;

/** Numbers that cannot be one are all of one name. */
export function systemCallName(number: number): string {
  return systemCall(number)?.name ?? (number > LARGEST ? "(no number)" : `system call ${number}`);
}

/** E.g. `write(1, "hello\n", 6)`; calls that nobody knows show all six registers. */
export function systemCallText(number: number, registers: readonly bigint[], peek: Peek): string {
  const call: SystemCall | undefined = systemCall(number);
  const letters = call?.arguments ?? "xxxxxx";
  const texts = [...letters].map((letter, i) =>
    argumentText(letter, registers[i]!, registers[i + 1] ?? 0n, peek),
  );
  return `${call?.name ?? `system call ${number}`}(${texts.join(", ")})`;
}

/** What a call has put into its caller's memory, if that is data: ` "text"`. */
export function returnedData(
  number: number | null,
  registers: readonly bigint[],
  result: bigint,
  peek: Peek,
): string {
  const room = number === null ? -1 : (systemCall(number)?.arguments?.indexOf("r") ?? -1);
  if (room < 0 || BigInt.asIntN(64, result) <= 0n) return "";
  return ` ${dataText(registers[room]!, result, peek)}`;
}

/** E.g. `6`, `-1 ENOENT` as the C library would say it, or an address. */
export function resultText(number: number | null, result: bigint): string {
  const call = number === null ? undefined : systemCall(number);
  const error = number === null ? undefined : errorName(result);
  if (error !== undefined) return `-1 ${error}`;
  if (call?.returnsAddress === true) return hexText(result);
  return unsignedText(result);
}
