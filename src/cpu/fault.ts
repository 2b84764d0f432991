/** Exceptions as values: what TypeScript throws, and what emitted code reports through FAULT_VECTOR. */

/** Vectors, Intel SDM vol. 3A table 6-1. */
export const Vector = {
  DE: 0,
  DB: 1,
  NMI: 2,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  MC: 18,
  XM: 19,
  CP: 21,
} as const;

/** Vectors that push an error code (SDM vol. 3A 6.13): 8, 10-14, 17, 21. */
const WITH_ERROR_CODE = 0x0022_7d00;

export function pushesErrorCode(vector: number): boolean {
  return vector < 32 && ((WITH_ERROR_CODE >>> vector) & 1) === 1;
}

/**
 * An exception on its way to delivery. It is thrown by TypeScript helpers only, never through emitted code:
 * the import wrapper catches it. It is not an `Error`, since a guest's fault needs no host stack trace.
 */
export class Fault {
  readonly vector: number;
  readonly error: number;
  constructor(vector: number, error = 0) {
    this.vector = vector;
    this.error = error;
  }
}

/** Page-fault error code bits, SDM vol. 3A 4.7. */
export const PageFault = {
  PRESENT: 0x01,
  WRITE: 0x02,
  USER: 0x04,
  RESERVED: 0x08,
  FETCH: 0x10,
  PROTECTION_KEY: 0x20,
} as const;
