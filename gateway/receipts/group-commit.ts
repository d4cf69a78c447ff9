/**
 * Group commit without a timer: a flush starts whenever none is in flight; what arrives meanwhile shares the next one.
 * After a failed write nothing more is accepted, because what the file holds is unknown.
 */

import { StoreError } from "../../kernel/errors.ts";
import type { StreamState } from "./stream-book.ts";
import type { StreamLog } from "./stream-log.ts";

/** Appends with shared syncs. */
export interface GroupCommit {
  /**
   * Resolves when the payload and all before it are durable.
   *
   * @param state  what stands before the payload, if it is to begin a new file
   * @throws {StoreError} ERR_STREAM_FAILED, fatal
   */
  readonly append: (payload: Uint8Array, state?: StreamState) => Promise<void>;
  readonly isFailed: () => boolean;
  /** Accepts nothing any more, as after a failed write. @returns what is thrown from now on */
  readonly fail: (cause: unknown) => StoreError;
  /** Waits for what was accepted, then closes the file. */
  readonly close: () => Promise<void>;
}

interface Waiting {
  readonly payload: Uint8Array;
  readonly state: StreamState | undefined;
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

/** @param onFailed  told once, with the fault of the first failed write */
export function makeGroupCommit(log: StreamLog, onFailed: (error: StoreError) => void): GroupCommit {
  let queue: Waiting[] = [];
  let flushing: Promise<void> | undefined;
  let failure: StoreError | undefined;

  const fail = (cause: unknown, batch: readonly Waiting[] = []): StoreError => {
    const failed = new StoreError("ERR_STREAM_FAILED", "the receipt stream cannot be written", { cause, fatal: true });
    if (failure === undefined) onFailed(failed);
    failure ??= failed;
    for (const { reject } of [...batch, ...queue]) reject(failure);
    queue = [];
    return failure;
  };
  const flush = async (): Promise<void> => {
    while (queue.length > 0) {
      const [batch, rest] = cutAtFile(queue);
      queue = rest;
      try {
        if (batch[0]?.state !== undefined) await log.rotate(batch[0].state);
        await log.append(batch.map(({ payload }) => payload));
      } catch (cause) {
        fail(cause, batch);
        return;
      }
      for (const { resolve } of batch) resolve();
    }
  };
  const start = (): void => {
    flushing ??= flush().finally(() => {
      flushing = undefined;
    });
  };
  return {
    isFailed: () => failure !== undefined,
    fail,
    append: (payload, state) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) {
          reject(failure);
          return;
        }
        queue.push({ payload, state, resolve, reject });
        // Starts behind the current turn, so that what this turn appends shares one sync.
        queueMicrotask(start);
      }),
    close: async () => {
      start();
      await flushing;
      await log.close();
    },
  };
}

/** What goes into one file, and what comes after it. */
function cutAtFile(queue: Waiting[]): readonly [Waiting[], Waiting[]] {
  const next = queue.findIndex(({ state }, i) => i > 0 && state !== undefined);
  return next < 0 ? [queue, []] : [queue.slice(0, next), queue.slice(next)];
}
