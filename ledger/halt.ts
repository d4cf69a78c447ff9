/**
 * The one-way switch of a ledger. After a fault that only recovery may judge (a failed write, a witness that has seen
 * more than we recorded) nothing is admitted, signed or published any more; reads go on.
 */
export class Halt {
  #fault: unknown;
  readonly #listeners: ((fault: unknown) => void)[] = [];

  /** The first fault; undefined while the ledger runs. */
  get fault(): unknown {
    return this.#fault;
  }

  /** Calls `listener` once, when the first fault comes; at once if it has come. */
  onTrip(listener: (fault: unknown) => void): void {
    if (this.#fault !== undefined) listener(this.#fault);
    else this.#listeners.push(listener);
  }

  /** Records the first fault and tells every listener; later faults are consequences and change nothing. */
  trip(fault: unknown): void {
    if (this.#fault !== undefined) return;
    this.#fault = fault ?? new Error("unknown fault");
    for (const listener of this.#listeners) listener(this.#fault);
  }
}
