/** Calls a function again and again, never twice at the same time, until it is stopped. */
export class Periodic {
  readonly #run: () => Promise<void>;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** @param run  must not reject */
  constructor(everyMs: number, run: () => Promise<void>) {
    this.#everyMs = everyMs;
    this.#run = run;
  }

  /** Runs at once, and then `everyMs` after the begin of each run, or after its end if it took longer. */
  start(): void {
    if (this.#stopped) return;
    const begun = performance.now();
    void this.#run().finally(() => {
      if (this.#stopped) return;
      const rest = Math.max(0, this.#everyMs - (performance.now() - begun));
      this.#timer = setTimeout(() => this.start(), rest);
      this.#timer.unref();
    });
  }

  /** Starts no further run. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
