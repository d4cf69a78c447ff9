/**
 * Answers that a server has still to write. Node counts a connection that never sent a request as a busy one, so a close
 * that waits for connections waits for such an agent; this one waits for those.
 */

/** Counts answers. */
export class OpenAnswers {
  readonly #waiting: (() => void)[] = [];
  #open = 0;

  /** A request is there, which is to be answered. */
  begin(): void {
    this.#open += 1;
  }

  /** It was answered, or its agent has gone. */
  end(): void {
    this.#open -= 1;
    if (this.#open === 0) for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Resolves when no answer is open. */
  written(): Promise<void> {
    return this.#open === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }
}
