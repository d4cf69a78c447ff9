/** Identifiers that may be used once within their time: a memory of what was used, bounded in all and for each who uses them. */

/** What became of an identifier. */
export type Used = "fresh" | "replayed" | "full" | "own-full";

/** How much is remembered. */
export interface ReplayBounds {
  readonly total: number;
  /** Of one owner, so that none can keep all others out. */
  readonly own: number;
}

interface Entry {
  readonly owner: string;
  /** The last moment in which it must be known. */
  readonly untilMs: number;
}

/** Remembers what was used until its time is over. Times come in rising order, so the oldest entries end first. */
export class ReplayCache {
  readonly #bounds: ReplayBounds;
  /** By identifier, in the order in which they came. */
  readonly #used = new Map<string, Entry>();
  readonly #ownCounts = new Map<string, number>();

  constructor(bounds: ReplayBounds) {
    this.#bounds = bounds;
  }

  /**
   * Uses an identifier; nothing that is still in its time is ever forgotten for lack of room.
   *
   * @param owner  who uses it
   */
  use(owner: string, id: string, nowMs: number, untilMs: number): Used {
    this.#forget(nowMs);
    const known = this.#used.get(id);
    if (known !== undefined && known.untilMs >= nowMs) return "replayed";
    if (this.#used.size >= this.#bounds.total) return "full";
    if ((this.#ownCounts.get(owner) ?? 0) >= this.#bounds.own) return "own-full";
    if (known !== undefined) this.#delete(id, known);
    this.#used.set(id, { owner, untilMs });
    this.#ownCounts.set(owner, (this.#ownCounts.get(owner) ?? 0) + 1);
    return "fresh";
  }

  #forget(nowMs: number): void {
    for (const [id, entry] of this.#used) {
      if (entry.untilMs >= nowMs) return;
      this.#delete(id, entry);
    }
  }

  #delete(id: string, { owner }: Entry): void {
    this.#used.delete(id);
    const left = (this.#ownCounts.get(owner) ?? 1) - 1;
    if (left === 0) this.#ownCounts.delete(owner);
    else this.#ownCounts.set(owner, left);
  }
}
