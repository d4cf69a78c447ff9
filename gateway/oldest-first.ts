/**
 * A map of bounded size: what was set last stays longest. A map that lets go at each step keeps its place at the oldest key: to look
 * for it anew would be to walk over the places of all keys that went since the map was last laid out.
 */

/** Values by key, in the order in which they were set last. */
export class OldestFirst<K, V> {
  readonly #values = new Map<K, V>();
  readonly #max: number;
  /**
   * Behind all keys that were let go, so its next key is the oldest one. Only as long as keys go at each step: an iterator that is
   * held and not moved holds every layout that the map had since.
   */
  #oldest: Iterator<K, undefined> | undefined;

  constructor(max: number) {
    this.#max = max;
  }

  get(key: K): V | undefined {
    return this.#values.get(key);
  }

  has(key: K): boolean {
    return this.#values.has(key);
  }

  values(): Iterable<V> {
    return this.#values.values();
  }

  /** The key is the youngest from now on. */
  set(key: K, value: V): void {
    this.#values.delete(key);
    this.#values.set(key, value);
  }

  delete(key: K): void {
    this.#values.delete(key);
  }

  /**
   * Lets go of the oldest until there are as many as may be.
   *
   * @param gone  told of each
   * @returns how many went
   */
  trim(gone?: (value: V) => void): number {
    const surplus = Math.max(0, this.#values.size - this.#max);
    this.#oldest = surplus === 0 ? undefined : (this.#oldest ?? this.#values.keys());
    for (let i = 0; i < surplus; i += 1) {
      const oldest = this.#oldest?.next();
      if (oldest?.done === false) this.#drop(oldest.value, gone);
    }
    return surplus;
  }

  #drop(key: K, gone: ((value: V) => void) | undefined): void {
    const value = this.#values.get(key);
    this.#values.delete(key);
    if (value !== undefined) gone?.(value);
  }
}
