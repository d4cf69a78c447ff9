/** Runs a follower until it is stopped: a step, a pause, longer pauses while the ledger cannot be reached. */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { errorCode, StoreError } from "../../kernel/errors.ts";
import type { Clock, Logger } from "../../kernel/service/service.ts";
import type { Follower } from "./follower.ts";

/** What the node says of a ledger it follows. */
export type FollowState =
  | { readonly kind: "starting" }
  | { readonly kind: "following"; readonly sinceMs: number }
  | { readonly kind: "refused"; readonly sinceMs: number }
  | { readonly kind: "unreachable"; readonly sinceMs: number; readonly message: string }
  | { readonly kind: "forked"; readonly sinceMs: number }
  | { readonly kind: "failed"; readonly sinceMs: number; readonly code: ErrorCode };

/** A follower at work. */
export interface Watch {
  readonly state: () => FollowState;
  /** Milliseconds of the last answer that could be used; undefined before the first. */
  readonly lastContactMs: () => number | undefined;
  /** Resolves when the last step has ended. */
  readonly stop: () => Promise<void>;
}

/** What watching needs. */
export interface WatchOptions {
  readonly name: string;
  readonly follower: Follower;
  readonly pollMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly abort: AbortController;
}

/** Longest pause between two tries of an unreachable ledger. */
const MAX_PAUSE_MS = 60_000;

/** Starts following. */
export function watchLedger(options: WatchOptions): Watch {
  const watch = new LedgerWatch(options);
  const done = watch.run();
  return {
    state: () => watch.state,
    lastContactMs: () => watch.lastContactMs,
    stop: async () => {
      options.abort.abort();
      await done;
    },
  };
}

class LedgerWatch {
  readonly #options: WatchOptions;
  state: FollowState = { kind: "starting" };
  lastContactMs: number | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { pollMs, abort } = this.#options;
    let failures = 0;
    while (!abort.signal.aborted && this.#goesOn()) {
      failures = (await this.#step()) ? 0 : failures + 1;
      const pauseMs = Math.min(pollMs * 2 ** Math.min(failures, 16), Math.max(pollMs, MAX_PAUSE_MS));
      await pause(pauseMs, abort.signal);
    }
  }

  /** A fork is final, and so is an index that cannot be written: only a restart may find out what is on disk. */
  #goesOn(): boolean {
    return this.state.kind !== "forked" && this.state.kind !== "failed";
  }

  /** @returns false if the ledger could not be reached */
  async #step(): Promise<boolean> {
    try {
      const result = await this.#options.follower.step();
      this.lastContactMs = this.#options.clock.nowMs();
      this.#enter(result === "current" ? "following" : result);
      return result !== "refused";
    } catch (error) {
      if (this.#options.abort.signal.aborted) return true;
      this.#fail(error);
      return false;
    }
  }

  #enter(kind: "following" | "refused" | "forked"): void {
    if (this.state.kind === kind) return;
    const { name, logger, clock } = this.#options;
    this.state = { kind, sinceMs: clock.nowMs() };
    if (kind === "following") logger.info({ ledger: name }, "ledger is followed");
    else if (kind === "refused") logger.warn({ ledger: name }, "what the ledger publishes is refused; see the alarms");
    else logger.error({ ledger: name }, "the log forked; it is not followed any more");
  }

  #fail(error: unknown): void {
    const { name, logger, clock } = this.#options;
    const sinceMs = clock.nowMs();
    if (error instanceof StoreError && error.code === "ERR_LEDGER_UNREACHABLE") {
      const since = this.state.kind === "unreachable" ? this.state.sinceMs : sinceMs;
      if (this.state.kind !== "unreachable") logger.warn({ ledger: name, why: error.message }, "ledger is unreachable");
      this.state = { kind: "unreachable", sinceMs: since, message: error.message };
      return;
    }
    this.state = { kind: "failed", sinceMs, code: errorCode(error) };
    logger.error({ ledger: name, err: error }, "following failed; restart the node");
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end, { once: true });
  });
}
