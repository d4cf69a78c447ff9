/**
 * Changes of what servers offer, for the agents that listen: told when the gateway has listed again, or may list again. However
 * often a server says it, those who watch are told at a pace: many agents may watch one server.
 */

import { CHANGED_LISTS, type ChangedList } from "../upstream/upstream.ts";
import { NoticePacer } from "./notice-pacer.ts";

/** Told of a change of one list of a server. */
export type ChangeListener = (serverId: string, list: ChangedList) => void;

/** Brings changes to those who watch. */
export class ChangeFeed {
  readonly #listeners = new Set<ChangeListener>();
  readonly #pacer: NoticePacer;

  constructor() {
    this.#pacer = new NoticePacer((key) => this.#tellNow(key));
    this.#pacer.start();
  }

  /** @returns the function that ends it */
  watch(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  tell(serverId: string, lists: Iterable<ChangedList>): void {
    for (const list of lists) this.#pacer.push(`${list} ${serverId}`);
  }

  #tellNow(key: string): void {
    const list = CHANGED_LISTS.find((known) => key.startsWith(`${known} `));
    if (list === undefined) return;
    for (const listener of [...this.#listeners]) listener(key.slice(list.length + 1), list);
  }
}
