/**
 * Guest RAM as a device that reads and writes it by itself sees it. `PhysicalMemory` (src/mmu) is one: its stores drop
 * what was decoded from the bytes they change.
 */
export interface GuestMemory {
  /** Whether all of [address, address + length) is RAM. */
  isRam(address: number, length: number): boolean;
  readInto(address: number, target: Uint8Array): void;
  write(address: number, bytes: Uint8Array): void;
  /** Little-endian; the value lies within one page. */
  read16(address: number): number;
  write16(address: number, value: number): void;
  write32(address: number, value: number): void;
}
