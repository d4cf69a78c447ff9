/** Who waits for the decision about an approval, for a bounded time and in a bounded number. */

import type { World } from "../options.ts";

/** Waits at a time: in all, and for the approvals of one principal. */
const MAX_WAITS = 256;
const MAX_PER_PRINCIPAL = 32;

/** An approval that may be waited for. */
export interface Awaited {
  readonly id: string;
  readonly principal: string;
}

/** The waits of a gateway. */
export class ApprovalWaits {
  readonly #world: Pick<World, "sleep">;
  readonly #waiting = new Map<string, Set<AbortController>>();
  readonly #byPrincipal = new Map<string, number>();
  #count = 0;

  constructor(world: Pick<World, "sleep">) {
    this.#world = world;
  }

  /** Resolves when the approval is told of, when its time is over, or when `signal` is aborted; at once if too many wait. */
  async until({ id, principal }: Awaited, limitMs: number, signal: AbortSignal): Promise<void> {
    const own = this.#byPrincipal.get(principal) ?? 0;
    if (this.#count >= MAX_WAITS || own >= MAX_PER_PRINCIPAL) return;
    const told = new AbortController();
    const waits = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waits.add(told));
    this.#byPrincipal.set(principal, own + 1);
    this.#count += 1;
    try {
      await this.#world.sleep(limitMs, AbortSignal.any([told.signal, signal]));
    } finally {
      this.#count -= 1;
      waits.delete(told);
      if (waits.size === 0 && this.#waiting.get(id) === waits) this.#waiting.delete(id);
      this.#leave(principal);
    }
  }

  /** Ends every wait for this approval. */
  tell(id: string): void {
    for (const told of this.#waiting.get(id) ?? []) told.abort();
  }

  #leave(principal: string): void {
    const left = (this.#byPrincipal.get(principal) ?? 1) - 1;
    if (left > 0) this.#byPrincipal.set(principal, left);
    else this.#byPrincipal.delete(principal);
  }
}
