/** What workflow tokens were used for: a token serves the first session that uses it, or one call. */

/** Tokens that are remembered; in their time none is forgotten for lack of room. */
const MAX_TOKENS = 65_536;

/** A bounded memory of one process. */
export class WorkflowUses {
  readonly #uses = new Map<string, { readonly by: string; readonly untilMs: number }>();

  /**
   * Uses a token.
   *
   * @param by  what it is used for
   * @returns false if it serves something else, or if nobody could remember that it serves this
   */
  use(token: string, by: string, nowMs: number, untilMs: number): boolean {
    const known = this.#uses.get(token);
    if (known !== undefined) return known.by === by;
    if (this.#uses.size >= MAX_TOKENS) this.#forget(nowMs);
    if (this.#uses.size >= MAX_TOKENS) return false;
    this.#uses.set(token, { by, untilMs });
    return true;
  }

  /** True if it is used for this. */
  serves(token: string, by: string): boolean {
    return this.#uses.get(token)?.by === by;
  }

  /** True if it was used. */
  has(token: string): boolean {
    return this.#uses.has(token);
  }

  #forget(nowMs: number): void {
    for (const [token, { untilMs }] of this.#uses) if (untilMs <= nowMs) this.#uses.delete(token);
  }
}
