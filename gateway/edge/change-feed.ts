/** Changes of what servers offer, for the agents that listen: told when the gateway has listed again, or may list again. */

import type { ChangedList } from "../upstream/upstream.ts";

/** Told of a change of one list of a server. */
export type ChangeListener = (serverId: string, list: ChangedList) => void;

/** Brings changes to those who watch. */
export class ChangeFeed {
  readonly #listeners = new Set<ChangeListener>();

  /** @returns the function that ends it */
  watch(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  tell(serverId: string, lists: Iterable<ChangedList>): void {
    for (const list of lists) for (const listener of [...this.#listeners]) listener(serverId, list);
  }
}
