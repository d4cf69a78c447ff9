/** Identifiers that may be used once within their time: a bounded memory of what was used. */

/** What became of an identifier. */
export type Used = "fresh" | "replayed" | "full";

/** Remembers what was used until its time is over. Times come in rising order, so the oldest entries end first. */
export class ReplayCache {
  readonly #max: number;
  /** Identifier → when it may be forgotten, in the order in which they came. */
  readonly #used = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Uses an identifier; nothing that is still in its time is ever forgotten for lack of room. */
  use(id: string, nowMs: number, untilMs: number): Used {
    this.#forget(nowMs);
    const until = this.#used.get(id);
    if (until !== undefined && until > nowMs) return "replayed";
    if (this.#used.size >= this.#max) return "full";
    this.#used.delete(id);
    this.#used.set(id, untilMs);
    return "fresh";
  }

  #forget(nowMs: number): void {
    for (const [id, untilMs] of this.#used) {
      if (untilMs > nowMs) return;
      this.#used.delete(id);
    }
  }
}
