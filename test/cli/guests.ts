/** Guests of a few instructions, put together from bytes: multiboot images that start in 32-bit code. */
import { multibootHeader } from "../boot/images.ts";

const LOAD = 0x10_0000;
const HEADER_SIZE = 32;

/** A multiboot image that is entered at the first of these bytes, at address 100020H. */
export function guest(...parts: readonly (readonly number[])[]): Uint8Array {
  const code = parts.flat();
  const end = LOAD + HEADER_SIZE + code.length;
  const header = multibootHeader(0x1_0000, [LOAD, LOAD, end, end, LOAD + HEADER_SIZE]);
  const image = new Uint8Array(HEADER_SIZE + code.length);
  image.set(header);
  image.set(code, HEADER_SIZE);
  return image;
}

/** Address of the first instruction. */
export const ENTRY = LOAD + HEADER_SIZE;

const low = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff];
/** MOV DX, port; MOV AL, value; OUT DX, AL */
const outByte = (port: number, value: number): number[] => [0x66, 0xba, ...low(port), 0xb0, value, 0xee];

/** Writes text to COM1. */
export const print = (text: string): number[] =>
  [...text].flatMap((character) => outByte(0x3f8, character.charCodeAt(0)));
/** Writes text to the debug port E9H. */
export const debugPrint = (text: string): number[] =>
  [...text].flatMap((character) => outByte(0xe9, character.charCodeAt(0)));
/** isa-debug-exit. */
export const debugExit = (code: number): number[] => [...outByte(0xf4, code), ...forever];
/** MOV DX, 604H; MOV AX, 2000H; OUT DX, AX: SLP_EN with the sleep type of S5. */
export const powerOff: readonly number[] = [
  0x66,
  0xba,
  ...low(0x604),
  0x66,
  0xb8,
  ...low(0x2000),
  0x66,
  0xef,
];
/** Reset control register. */
export const reset: readonly number[] = [...outByte(0xcf9, 0x0e)];
/** JMP to itself. */
export const forever: readonly number[] = [0xeb, 0xfe];
/** CLI; HLT */
export const halt: readonly number[] = [0xfa, 0xf4];
/** UD2: the IDT is empty, so that its delivery and that of the double fault fail. */
export const tripleFault: readonly number[] = [0x0f, 0x0b];

const bytes32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
/** MOV DWORD [address], value */
const store = (address: number, value: number): number[] => [
  0xc7,
  0x05,
  ...bytes32(address),
  ...bytes32(value),
];
/** Starts the other processors in real mode at 8000H: LIDT [8010H], no vectors there; UD2. Waits for them. */
export const tripleFaultElsewhere: readonly number[] = [
  ...store(0x8000, 0x101e_010f),
  ...store(0x8004, 0x000b_0f80),
  ...store(0x8010, 0),
  // Local APIC: software-enabled; INIT and a start-up IPI to all but itself.
  ...store(0xfee0_00f0, 0x1ff),
  ...store(0xfee0_0300, 0xc_4500),
  ...store(0xfee0_0300, 0xc_4608),
  ...[0xf3, 0x90, 0xeb, 0xfc],
];
/** OUT to a port that nothing answers. */
export const unknownPort: readonly number[] = outByte(0x1234, 1);
/** Counts a register down: `count` times two instructions. */
export const spin = (count: number): number[] => [
  0xb9, // MOV ECX, count
  ...low(count),
  ...low(count >>> 16),
  0x49, // DEC ECX
  0x75, // JNZ
  0xfd,
];

/** Sends back what is received, until a "q": then it goes on behind. */
export const echo: readonly number[] = [
  ...outByte(0x3fc, 0x03), // MCR: DTR, RTS
  ...[0x66, 0xba, ...low(0x3fd)], // wait: MOV DX, LSR
  0xec, // IN AL, DX
  ...[0xa8, 0x01], // TEST AL, 1
  ...[0x74, 0xf7], // JZ wait
  ...[0x66, 0xba, ...low(0x3f8)], // MOV DX, RBR
  0xec, // IN AL, DX
  0xee, // OUT DX, AL
  ...[0x3c, 0x71], // CMP AL, "q"
  ...[0x75, 0xed], // JNE wait
];
