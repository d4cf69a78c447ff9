/** A map of bounded size that forgets what was used least recently. */
export class RecentMap<K, V> {
  readonly #limit: number;
  readonly #values = new Map<K, V>();

  /** @param limit  number of values kept; at least 1 */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The value, which now counts as used. */
  get(key: K): V | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  /** Keeps a value, and forgets the oldest above the limit. */
  set(key: K, value: V): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size <= this.#limit) return;
    const oldest = this.#values.keys().next();
    if (oldest.done !== true) this.#values.delete(oldest.value);
  }
}
