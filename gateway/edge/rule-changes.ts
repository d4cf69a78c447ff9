/**
 * Tells those who hold something open under a decision that the rules may be others now: another policy or catalog, a stop by an
 * operator, a quarantine, the end of an artifact. What was decided under older rules is decided anew.
 */

import type { InboundCall } from "../pipeline/call.ts";

/** True of the calls that a change is about. */
export type Concerns = (call: InboundCall) => boolean;

/** Brings changes of rules to those who watch. */
export class RuleChanges {
  readonly #listeners = new Set<(concerns: Concerns) => void>();
  #count = 0;

  /** How often rules have changed: whoever decides first and watches then compares the two. */
  get count(): number {
    return this.#count;
  }

  /** @returns the function that ends it */
  watch(listener: (concerns: Concerns) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** From now on other rules hold; listeners are told before this returns. @param concerns  default: all calls */
  tell(concerns: Concerns = () => true): void {
    this.#count += 1;
    for (const listener of [...this.#listeners]) listener(concerns);
  }
}
