/** The kills of one folder in their turn. */

import type { Kill } from "./schedule.ts";

/** Times that a step is planned again. */
const MAX_RETRIES = 2;

/** A step that a process did not reach in time is planned again, in place of the next kill that names none. */
export class KillQueue {
  readonly #left: Kill[];
  readonly #missed: Kill[] = [];
  readonly #misses = new Map<Kill, number>();

  constructor(kills: readonly Kill[]) {
    this.#left = [...kills];
  }

  /** The next kill; undefined behind the last one. Their number stays what it was. */
  next(): Kill | undefined {
    const kill = this.#left.shift();
    if (kill === undefined || kill.plan !== undefined) return kill;
    return this.#missed.shift() ?? kill;
  }

  /** @param kill  came where its process was, and not at its step */
  missed(kill: Kill): void {
    const misses = (this.#misses.get(kill) ?? 0) + 1;
    this.#misses.set(kill, misses);
    if (misses <= MAX_RETRIES) this.#missed.push(kill);
  }
}
