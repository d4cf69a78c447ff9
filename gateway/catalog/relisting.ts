/**
 * Lists servers again while the gateway runs: when one says that a list changed, when it was started anew, after a while
 * in any case, because a definition can change without notice, and before a call that would rest on an old listing.
 * Differences are receipts.
 */

import { errorCode } from "../../kernel/errors.ts";
import type { DriftTrigger, Mode } from "../../kernel/receipt/vocabulary.ts";
import { driftOf, unlistedOf } from "../pipeline/opening.ts";
import type { Schedule } from "../pipeline/timekeeper.ts";
import type { Recorder } from "../receipts/recorder.ts";
import { CHANGED_LISTS, type ChangedList, type Upstream } from "../upstream/upstream.ts";
import type { CatalogKeeper } from "./catalog-keeper.ts";
import { offeredChanges } from "./offered-changes.ts";

/** What re-listing works with. */
export interface RelistingOptions {
  readonly keeper: CatalogKeeper;
  readonly recorder: Recorder;
  /** The mode in force. */
  readonly run: { readonly mode: Mode };
  readonly upstreams: readonly Pick<Upstream, "id" | "identity" | "attributes" | "listSurface" | "watch">[];
  readonly everyMs: number;
  /** A listing that is older is made again before a call rests on it. */
  readonly maxAgeMs: number;
  readonly schedule: Schedule;
  /** Resolves after `ms`, or at once when `signal` is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** A clock that never goes back. */
  readonly monotonicMs: () => number;
  readonly nowMs: () => number;
  /**
   * Told when agents may want to ask for lists again: when a server announced it and was listed again, or is not listed
   * again for a while because it announces too often; and when another surface is offered than before.
   */
  readonly onChanged: (serverId: string, lists: readonly ChangedList[]) => void;
  readonly onFault: (fields: { readonly code: string; readonly server: string }, message: string) => void;
}

/**
 * Least time between two listings for which a server asked: doubled by each, first again after an interval without any.
 * What it offers meanwhile is judged by its last listing, so that asking often hides nothing and fills no outbox.
 */
const FIRST_GAP_MS = 1_000;
const LAST_GAP_MS = 256_000;

/** A call waits for a listing so long. */
const WAIT_MS = 5_000;
/** Least time between two listings because a server refused params. */
const PARAMS_GAP_MS = 60_000;

/** Listings while the gateway runs. */
export interface Relister {
  /**
   * What a call of the server waits for: undefined if its listing is young enough and no change is announced, else a
   * promise that resolves when it was listed again, or did not answer, or after 5 s.
   */
  readonly freshen: (serverId: string) => Promise<void> | undefined;
  /** True if a call that came at `arrivedMs` would rest on a listing that is too old, or that an announced change followed. */
  readonly isStale: (serverId: string, arrivedMs: number) => boolean;
  /** The server refused params: perhaps its definitions are others now. */
  readonly paramsRefused: (serverId: string) => void;
  /** Ends it and waits for a listing that runs. */
  readonly stop: () => Promise<void>;
}

/** Starts watching. */
export function startRelisting(options: RelistingOptions): Relister {
  const { upstreams, everyMs, schedule } = options;
  const listings = upstreams.map((upstream) => new Relisting(options, upstream));
  const byId = new Map(upstreams.map(({ id }, index) => [id, listings[index]]));
  upstreams.forEach((upstream, index) => {
    upstream.watch({
      onRefusedRequest: () => undefined,
      onChanged: (list) => listings[index]?.announce(list === undefined ? CHANGED_LISTS : [list]),
    });
  });
  const stop = schedule(everyMs, () => {
    for (const listing of listings) listing.request("interval");
  });
  const stopTicks = schedule(FIRST_GAP_MS, () => {
    for (const listing of listings) listing.tick();
  });
  return {
    freshen: (serverId) => byId.get(serverId)?.freshen(),
    isStale: (serverId, arrivedMs) => byId.get(serverId)?.isStale(arrivedMs) ?? false,
    paramsRefused: (serverId) => byId.get(serverId)?.paramsRefused(),
    stop: async () => {
      stop();
      stopTicks();
      for (const listing of listings) await listing.stop();
    },
  };
}

/** One server's listing: one at a time; a request during one is followed by another. */
class Relisting {
  readonly #options: RelistingOptions;
  readonly #upstream: RelistingOptions["upstreams"][number];
  #running: Promise<void> | undefined;
  #next: DriftTrigger | undefined;
  /** Receipts on their way. The recorder keeps their order; the next listing does not wait for them. */
  #receipts: Promise<unknown> = Promise.resolve();
  /** True while the last attempt got no answer: one receipt says so, not one an attempt. */
  #isUnlisted = false;
  #isStopped = false;
  /** Listings for which the server asks wait until then. */
  #readyAtMs = Number.NEGATIVE_INFINITY;
  #gapMs = FIRST_GAP_MS;
  #isDeferred = false;
  #hasAsked = false;
  /** Changes that the server announced, and how many of them a listing that began later has answered. */
  #announced = 0;
  #seen = 0;
  /** A server that did not answer is not asked again for each call. */
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #paramsReadyAtMs = Number.NEGATIVE_INFINITY;
  /** Lists that the last listing found changed. */
  #found: readonly ChangedList[] = [];

  constructor(options: RelistingOptions, upstream: RelistingOptions["upstreams"][number]) {
    this.#options = options;
    this.#upstream = upstream;
  }

  request(trigger: DriftTrigger): void {
    if (this.#isStopped) return;
    if (trigger === "list-changed") {
      this.#announced += 1;
      this.#requestInTime();
    } else {
      if (!this.#hasAsked) this.#gapMs = FIRST_GAP_MS;
      this.#hasAsked = false;
      this.#begin(trigger);
    }
  }

  /** The server says that lists changed: it is listed again, then agents are told. */
  announce(lists: readonly ChangedList[]): void {
    this.#found = [];
    this.request("list-changed");
    const { onChanged } = this.#options;
    const { id } = this.#upstream;
    if (this.#running === undefined || this.#isDeferred) {
      onChanged(id, lists);
      return;
    }
    void this.#settled().then(() => {
      const others = lists.filter((list) => !this.#found.includes(list));
      if (!this.#isStopped && others.length > 0) onChanged(id, others);
    });
  }

  /** Begins what had to wait. */
  tick(): void {
    if (this.#isDeferred && !this.#isStopped) this.#requestInTime();
  }

  freshen(): Promise<void> | undefined {
    const { monotonicMs, nowMs, sleep } = this.#options;
    if (this.#isStopped) return undefined;
    const mayAsk = monotonicMs() >= this.#retryAtMs;
    if (!this.isStale(nowMs())) {
      // Nobody waits for a server that did not answer; it is asked again, and its definitions are unchecked meanwhile.
      if (this.#isUnlisted && mayAsk && this.#running === undefined) this.#begin("interval");
      return undefined;
    }
    // An announced change that would be listed later is listed now: a call is about to rest on it.
    if (mayAsk && (this.#isDeferred || this.#running === undefined)) {
      this.#isDeferred = false;
      this.#begin(this.#isAnnounced() ? "list-changed" : "pin-age");
    }
    if (this.#running === undefined) return undefined;
    const stop = new AbortController();
    return Promise.race([this.#settled(), sleep(WAIT_MS, stop.signal)]).finally(() => stop.abort());
  }

  isStale(arrivedMs: number): boolean {
    const { keeper, maxAgeMs } = this.#options;
    const listedAtMs = keeper.listedAtMs(this.#upstream.id);
    return this.#isAnnounced() || listedAtMs === undefined || arrivedMs - listedAtMs > maxAgeMs;
  }

  paramsRefused(): void {
    const now = this.#options.monotonicMs();
    if (this.#isStopped || now < this.#paramsReadyAtMs) return;
    this.#paramsReadyAtMs = now + PARAMS_GAP_MS;
    this.#begin("params-refused");
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await this.#receipts;
  }

  #isAnnounced(): boolean {
    return this.#announced > this.#seen;
  }

  /** The listing that runs, and the one that was asked for meanwhile. */
  async #settled(): Promise<void> {
    await this.#running;
    await this.#running;
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

  async #list(trigger: DriftTrigger): Promise<void> {
    const { keeper, run, nowMs, monotonicMs } = this.#options;
    const { id, attributes } = this.#upstream;
    // What is announced while the answer is on its way is not in it.
    const announced = this.#announced;
    try {
      const surface = await this.#upstream.listSurface();
      const before = keeper.current();
      const drift = keeper.update({ id, attributes, identity: this.#upstream.identity, surface }, nowMs());
      this.#isUnlisted = false;
      if (drift !== undefined) this.#record(() => driftOf(drift, trigger, run.mode));
      this.#found = offeredChanges(before, keeper.current(), id);
      if (this.#found.length > 0) this.#options.onChanged(id, this.#found);
    } catch (error) {
      keeper.markUnanswered(id);
      this.#retryAtMs = monotonicMs() + FIRST_GAP_MS;
      this.#recordUnlisted(trigger);
      throw error;
    } finally {
      this.#seen = announced;
    }
  }

  #recordUnlisted(trigger: DriftTrigger): void {
    const { keeper, run } = this.#options;
    const entry = keeper.current().entry(this.#upstream.id);
    if (this.#isUnlisted || entry === undefined) return;
    this.#isUnlisted = true;
    this.#record(() => unlistedOf(entry, trigger, run.mode));
  }

  /** The receipt gets its number in front of every decision that is made on the new listing. */
  #record(make: () => ReturnType<typeof driftOf>): void {
    if (this.#isStopped) return;
    const written = this.#options.recorder.append(make).catch((error: unknown) => this.#report(error));
    this.#receipts = Promise.all([this.#receipts, written]);
  }

  #report(error: unknown): void {
    const code = errorCode(error);
    this.#options.onFault({ code, server: this.#upstream.id }, "a server could not be listed again");
  }
}
