/**
 * Limits of time of one length, for many things at once. They end in the order in which they began, so one timer is enough:
 * a timer for each, made and cleared, costs more than the waiting that it bounds.
 */

/** What waits is told when it is late. */
export class Deadlines {
  readonly #limitMs: number;
  /** When each is late, by what it is told with; the first to be late first. */
  readonly #waiting = new Map<() => void, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** `late` is called once, at the end of the limit, unless it is stopped; it waits once at a time. */
  start(late: () => void): void {
    this.#waiting.set(late, performance.now() + this.#limitMs);
    this.#timer ??= this.#lookIn(this.#limitMs);
  }

  stop(late: () => void): void {
    this.#waiting.delete(late);
  }

  /** What waits has a connection or the like of its own that keeps the process; the timer, which may outlast it, does not. */
  #lookIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#look(), ms).unref();
  }

  #look(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [late, endsAt] of this.#waiting) {
      if (endsAt > now) {
        this.#timer ??= this.#lookIn(endsAt - now);
        return;
      }
      this.#waiting.delete(late);
      late();
    }
  }
}
