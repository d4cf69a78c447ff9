/** Lets requests wait until something has reached a size: the newest signed checkpoint, for one. */

/** Wakes those who wait as the size grows. */
export class SizeWait {
  readonly #waiting = new Set<() => void>();
  #size = 0n;
  #isReleased = false;

  /** Tells the size that was reached. */
  reach(size: bigint): void {
    if (size > this.#size) this.#size = size;
    this.#wakeAll();
  }

  /** Lets everyone go who waits, and whoever comes later. */
  release(): void {
    this.#isReleased = true;
    this.#wakeAll();
  }

  /** Resolves to true once the size is above `index`, or to false when `signal` aborts first. */
  waitFor(index: bigint, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (index >= this.#size && !signal.aborted && !this.#isReleased) return;
        this.#waiting.delete(check);
        signal.removeEventListener("abort", check);
        resolve(index < this.#size);
      };
      this.#waiting.add(check);
      signal.addEventListener("abort", check);
      check();
    });
  }

  #wakeAll(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
