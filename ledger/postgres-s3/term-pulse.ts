/**
 * Tells a term that works from one that hangs. Whatever a term waits for has a bound of its own; should one of them not hold, a
 * node would keep the lease for ever and do nothing with it. So the lease is renewed only while nothing takes too long.
 */

import { StoreError } from "../../kernel/errors.ts";
import type { ObjectStore } from "./object-store.ts";

/** What may hang: integrating (or opening the term), and a round with the witnesses. */
export type TermPart = "integrate" | "cosign";

/** The signs of life of one term. */
export class TermPulse {
  readonly #limitMs: number;
  readonly #nowMs: () => number;
  readonly #under = new Map<TermPart, number>();
  #stall: StoreError | undefined;

  /** @param limitMs  longest time that a step may take; above what slow stores and witnesses need for one */
  constructor(limitMs: number, nowMs: () => number) {
    [this.#limitMs, this.#nowMs] = [limitMs, nowMs];
    this.begin("integrate");
  }

  /** Why the term is given up, for good; undefined while it goes on. */
  get stall(): StoreError | undefined {
    for (const [part, at] of this.#under) {
      if (this.#nowMs() - at <= this.#limitMs) continue;
      this.#stall ??= new StoreError("ERR_TERM_STALLED", `a step of ${part} took longer than ${this.#limitMs} ms`);
    }
    return this.#stall;
  }

  /** A step of the part begins; the one before is over. */
  begin(part: TermPart): void {
    this.#under.set(part, this.#nowMs());
  }

  /** The part has nothing under way. */
  end(part: TermPart): void {
    this.#under.delete(part);
  }

  /** The store, each of whose answers is a step of integrating: a flush may need many. */
  watching({ get, create, replace, remove }: ObjectStore): ObjectStore {
    const step = async <T>(answer: Promise<T>): Promise<T> => {
      const got = await answer;
      this.begin("integrate");
      return got;
    };
    return {
      get: (key) => step(get(key)),
      create: (...put) => step(create(...put)),
      replace: (...put) => step(replace(...put)),
      remove: (key) => step(remove(key)),
    };
  }
}
