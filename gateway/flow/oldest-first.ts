/**
 * A map of bounded size: what was set last stays longest. Letting go takes the same time however much was let go before: one
 * iterator stands at the oldest key all along, where a new one would walk over the places of all that went since the map was
 * last laid out anew.
 */

/** Values by key, in the order in which they were set last. */
export class OldestFirst<K, V> {
  readonly #values = new Map<K, V>();
  readonly #max: number;
  /** Behind all keys that were let go, so its next key is the oldest one. */
  readonly #oldest: Iterator<K, undefined>;

  constructor(max: number) {
    this.#max = max;
    this.#oldest = this.#values.keys();
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

  /** Lets go of the oldest until there are as many as may be. @returns how many went */
  trim(): number {
    const surplus = Math.max(0, this.#values.size - this.#max);
    for (let i = 0; i < surplus; i += 1) {
      const { value, done } = this.#oldest.next();
      if (done !== true) this.#values.delete(value);
    }
    return surplus;
  }
}
