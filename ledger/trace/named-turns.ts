/** One at a time for each name: what a turn looked up still holds when it appends. */

/** Runs actions of one name after another, those of different names side by side. */
export class NamedTurns {
  readonly #last = new Map<string, Promise<void>>();

  /** Resolves to what `action` gives, once the actions that came before it under the name are done. */
  async run<T>(name: string, action: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name) ?? Promise.resolve();
    const result = before.then(action);
    const done = result.then(ignore, ignore);
    this.#last.set(name, done);
    try {
      return await result;
    } finally {
      if (this.#last.get(name) === done) this.#last.delete(name);
    }
  }
}

function ignore(): void {
  // The one who asked for the action hears of its failure.
}
