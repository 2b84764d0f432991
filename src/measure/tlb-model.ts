/**
 * A model of a processor's TLBs: set-associative, least recently used first out, two levels, entries tagged with
 * their PCID (SDM vol. 3A 4.10), one array for pages of all sizes. It only counts: translations themselves come
 * from the emulator's MMU. It sees what is measured, so at the start of a region it holds what earlier rounds
 * left. The geometry is the timing model's.
 */
import type { TlbGeometry, TlbLevel } from "../mmu/translation-costs.ts";

/** Which mapping an address has. */
export interface Mapping {
  /** Bits of the offset in the page: 12, 21 or 30. */
  readonly shift: number;
  /** The G flag, where CR4.PGE makes it count. */
  readonly global: boolean;
}

interface Entry {
  /** Address divided by the page's size. */
  readonly page: number;
  readonly shift: number;
  readonly pcid: number;
  readonly global: boolean;
}

const SHIFTS = [12, 21, 30] as const;

class Level {
  readonly #sets: Entry[][];
  readonly #ways: number;

  constructor({ entries, ways }: TlbLevel) {
    this.#ways = ways;
    this.#sets = Array.from({ length: Math.max(1, entries / ways) }, () => []);
  }

  #set(page: number): Entry[] {
    return this.#sets[page % this.#sets.length]!;
  }

  /** The entry, which becomes the most recently used one of its set. */
  find(page: number, shift: number, pcid: number): Entry | undefined {
    const set = this.#set(page);
    const at = set.findIndex(
      (entry) => entry.page === page && entry.shift === shift && (entry.pcid === pcid || entry.global),
    );
    if (at < 0) return undefined;
    const [entry] = set.splice(at, 1);
    set.push(entry!);
    return entry;
  }

  insert(entry: Entry): void {
    const set = this.#set(entry.page);
    if (set.length === this.#ways) set.shift();
    set.push(entry);
  }

  drop(goes: (entry: Entry) => boolean): void {
    for (const set of this.#sets) {
      for (let i = set.length - 1; i >= 0; i--) if (goes(set[i]!)) set.splice(i, 1);
    }
  }
}

/** 0: in the first level; 1: in the second; 2: in neither, a page walk. */
export type TlbOutcome = 0 | 1 | 2;

export class TlbModel {
  readonly #first: Readonly<Record<"instruction" | "data", Level>>;
  readonly #second: Level;
  readonly #levels: readonly Level[];

  constructor({ instruction, data, second }: TlbGeometry) {
    this.#first = { instruction: new Level(instruction), data: new Level(data) };
    this.#second = new Level(second);
    this.#levels = [this.#first.instruction, this.#first.data, this.#second];
  }

  /**
   * Looks an address up and fills what missed.
   * @param address linear, as an unsigned number: only its page counts, so a double is exact enough
   * @param mapping asked only when no level has it; null where nothing is mapped: then nothing is filled
   */
  access(
    kind: "instruction" | "data",
    address: number,
    pcid: number,
    mapping: () => Mapping | null,
  ): TlbOutcome {
    const first = this.#first[kind];
    for (const shift of SHIFTS) if (first.find(Math.floor(address / 2 ** shift), shift, pcid)) return 0;
    for (const shift of SHIFTS) {
      const entry = this.#second.find(Math.floor(address / 2 ** shift), shift, pcid);
      if (entry) {
        first.insert(entry);
        return 1;
      }
    }
    const found = mapping();
    if (found === null) return 2;
    const { shift, global } = found;
    const entry = { page: Math.floor(address / 2 ** shift), shift, pcid, global };
    first.insert(entry);
    this.#second.insert(entry);
    return 2;
  }

  /** MOV to CR3 without bit 63: drops one PCID's translations but for global ones (4.10.4.1). */
  flushPcid(pcid: number): void {
    for (const level of this.#levels) level.drop((entry) => entry.pcid === pcid && !entry.global);
  }

  /** INVLPG: drops the page's translations of this PCID, and global ones. */
  flushPage(address: number, pcid: number): void {
    for (const level of this.#levels) {
      level.drop(
        ({ page, shift, global, pcid: owner }) =>
          page === Math.floor(address / 2 ** shift) && (global || owner === pcid),
      );
    }
  }

  flushAll(): void {
    for (const level of this.#levels) level.drop(() => true);
  }
}
