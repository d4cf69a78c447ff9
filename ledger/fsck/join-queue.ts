/** Joins that wait for their verdicts, in order; holds at most as many as the pool works on. */

/** Mutable. */
export class JoinQueue {
  readonly #width: number;
  readonly #waiting: (() => Promise<void>)[] = [];

  /** @param width  joins that may wait */
  constructor(width: number) {
    this.#width = width;
  }

  /** Adds a join; awaits the oldest one if too many wait. */
  async add(join: () => Promise<void>): Promise<void> {
    this.#waiting.push(join);
    if (this.#waiting.length > this.#width) await this.#waiting.shift()?.();
  }

  /** Awaits all of them. */
  async finish(): Promise<void> {
    for (const join of this.#waiting.splice(0)) await join();
  }
}
