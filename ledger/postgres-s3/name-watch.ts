/**
 * Which names of trust records other nodes have changed. A name is looked up before the turn that takes it; in the turn, which
 * has the lock of the sequence, this says whether what was found still holds.
 */

import type { IndexRow } from "../sequence/index-store.ts";
import type { NameGuard } from "../trace/trace-desk.ts";
import type { NameRange } from "./sequence-table.ts";

/** Rows of records, reservations and expiries: trace-book.ts. */
const NAME_ROW = /^[mnx]\//u;
/** Their names: of reservations and records, and of expiries. */
export const NAME_ROWS: readonly NameRange[] = [
  ["m/", "n0"],
  ["x/", "x0"],
];
/** Names that are remembered; whoever looked up before a forgotten one was changed looks up again. */
const MAX_NAMES = 65_536;

/** True for a row of what a name stands for. */
export function isNameRow({ key }: IndexRow): boolean {
  return NAME_ROW.test(key);
}

/** The names of one log at one node. */
export class NameWatch implements NameGuard {
  readonly #max: number;
  readonly #changed = new Map<string, number>();
  #count = 0;
  #forgotten = 0;

  /** @param max  names that are remembered */
  constructor(max: number = MAX_NAMES) {
    this.#max = max;
  }

  /** Takes rows that other nodes wrote; in a turn, before anything is decided. */
  take(rows: readonly IndexRow[]): void {
    for (const { key } of rows) {
      const name = key.slice(2);
      this.#count += 1;
      this.#changed.delete(name);
      this.#changed.set(name, this.#count);
      if (this.#changed.size > this.#max) this.#forgetOldest();
    }
  }

  mark(): number {
    return this.#count;
  }

  hasChanged(name: string, mark: number): boolean {
    return this.#forgotten > mark || (this.#changed.get(name) ?? 0) > mark;
  }

  #forgetOldest(): void {
    for (const [name, at] of this.#changed) {
      this.#changed.delete(name);
      this.#forgotten = at;
      return;
    }
  }
}
