/**
 * Lists servers again while the gateway runs: when one says that a list changed, when it was started anew, and after a
 * while in any case, because a definition can change without notice. Differences are receipts.
 */

import { isCodedError } from "../../kernel/errors.ts";
import type { DriftTrigger, Mode } from "../../kernel/receipt/vocabulary.ts";
import { driftOf, unlistedOf } from "../pipeline/opening.ts";
import type { Schedule } from "../pipeline/timekeeper.ts";
import type { Recorder } from "../receipts/recorder.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { CatalogKeeper } from "./catalog-keeper.ts";

/** What re-listing works with. */
export interface RelistingOptions {
  readonly keeper: CatalogKeeper;
  readonly recorder: Recorder;
  /** The mode in force. */
  readonly run: { readonly mode: Mode };
  readonly upstreams: readonly Pick<Upstream, "id" | "identity" | "attributes" | "listSurface" | "watch">[];
  readonly everyMs: number;
  readonly schedule: Schedule;
  /** A clock that never goes back. */
  readonly monotonicMs: () => number;
  readonly nowMs: () => number;
  readonly onFault: (fields: { readonly code: string; readonly server: string }, message: string) => void;
}

/**
 * Least time between two listings for which a server asked: doubled by each, first again after an interval without any.
 * What it offers meanwhile is judged by its last listing, so that asking often hides nothing and fills no outbox.
 */
const FIRST_GAP_MS = 1_000;
const LAST_GAP_MS = 256_000;

/** Starts watching. @returns the function that ends it and waits for a listing that runs */
export function startRelisting(options: RelistingOptions): () => Promise<void> {
  const { upstreams, everyMs, schedule } = options;
  const listings = upstreams.map((upstream) => new Relisting(options, upstream));
  upstreams.forEach((upstream, index) => {
    upstream.watch({
      onRefusedRequest: () => undefined,
      onChanged: () => listings[index]?.request("list-changed"),
    });
  });
  const stop = schedule(everyMs, () => {
    for (const listing of listings) listing.request("interval");
  });
  const stopTicks = schedule(FIRST_GAP_MS, () => {
    for (const listing of listings) listing.tick();
  });
  return async () => {
    stop();
    stopTicks();
    for (const listing of listings) await listing.stop();
  };
}

/** One server's listing: one at a time; a request during one is followed by another. */
class Relisting {
  readonly #options: RelistingOptions;
  readonly #upstream: RelistingOptions["upstreams"][number];
  #running: Promise<void> | undefined;
  #next: DriftTrigger | undefined;
  /** True while the last attempt got no answer: one receipt says so, not one an attempt. */
  #isUnlisted = false;
  #isStopped = false;
  /** Listings for which the server asks wait until then. */
  #readyAtMs = Number.NEGATIVE_INFINITY;
  #gapMs = FIRST_GAP_MS;
  #isDeferred = false;
  #hasAsked = false;

  constructor(options: RelistingOptions, upstream: RelistingOptions["upstreams"][number]) {
    this.#options = options;
    this.#upstream = upstream;
  }

  request(trigger: DriftTrigger): void {
    if (this.#isStopped) return;
    if (trigger === "list-changed") this.#requestInTime();
    else {
      if (!this.#hasAsked) this.#gapMs = FIRST_GAP_MS;
      this.#hasAsked = false;
      this.#begin(trigger);
    }
  }

  /** Begins what had to wait. */
  tick(): void {
    if (this.#isDeferred && !this.#isStopped) this.#requestInTime();
  }

  #requestInTime(): void {
    const now = this.#options.monotonicMs();
    this.#hasAsked = true;
    this.#isDeferred = now < this.#readyAtMs;
    if (this.#isDeferred) return;
    this.#readyAtMs = now + this.#gapMs;
    this.#gapMs = Math.min(LAST_GAP_MS, this.#gapMs * 2);
    this.#begin("list-changed");
  }

  #begin(trigger: DriftTrigger): void {
    if (this.#isStopped) return;
    if (this.#running !== undefined) {
      this.#next = trigger;
      return;
    }
    this.#running = this.#list(trigger)
      .catch((error: unknown) => this.#report(error))
      .finally(() => {
        this.#running = undefined;
        const next = this.#next;
        this.#next = undefined;
        if (next !== undefined) this.#begin(next);
      });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #list(trigger: DriftTrigger): Promise<void> {
    const { keeper, recorder, run, nowMs } = this.#options;
    const { id, attributes } = this.#upstream;
    let drift: ReturnType<CatalogKeeper["update"]>;
    try {
      const surface = await this.#upstream.listSurface();
      drift = keeper.update({ id, attributes, identity: this.#upstream.identity, surface }, nowMs());
    } catch (error) {
      if (!this.#isStopped) await this.#recordUnlisted(trigger);
      throw error;
    }
    this.#isUnlisted = false;
    if (drift !== undefined && !this.#isStopped) await recorder.append(() => driftOf(drift, trigger, run.mode));
  }

  async #recordUnlisted(trigger: DriftTrigger): Promise<void> {
    const { keeper, recorder, run } = this.#options;
    const entry = keeper.current().entry(this.#upstream.id);
    if (this.#isUnlisted || entry === undefined) return;
    this.#isUnlisted = true;
    await recorder.append(() => unlistedOf(entry, trigger, run.mode));
  }

  #report(error: unknown): void {
    const code = isCodedError(error) ? error.code : "ERR_BUG";
    this.#options.onFault({ code, server: this.#upstream.id }, "a server could not be listed again");
  }
}
