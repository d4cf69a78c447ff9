/** Numbers that follow from a seed, so that a run can be made again. */

import { createHash } from "node:crypto";

/** A source of numbers; each name gives a sequence of its own. */
export class Random {
  readonly #name: string;
  #drawn = 0;

  constructor(seed: number, name: string) {
    this.#name = `${seed} ${name}`;
  }

  /** An integer from 0 up to and without `limit`. */
  below(limit: number): number {
    this.#drawn += 1;
    return createHash("sha256").update(`${this.#name} ${this.#drawn}`).digest().readUInt32BE() % limit;
  }

  /** The same items in another order. */
  shuffled<T>(items: readonly T[]): readonly T[] {
    const left = [...items];
    return items.flatMap(() => left.splice(this.below(left.length), 1));
  }
}
