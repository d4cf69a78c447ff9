/**
 * Group commit without a timer: a flush starts whenever none is in flight; what arrives meanwhile shares the next one.
 * After a failed write nothing more is accepted, because what the file holds is unknown.
 */

import { StoreError } from "../../kernel/errors.ts";
import type { FrameLog } from "./frame-log.ts";

/** Appends with shared syncs. */
export interface GroupCommit {
  /** Resolves when the payload and all before it are durable. @throws {StoreError} ERR_STREAM_FAILED, fatal */
  readonly append: (payload: Uint8Array) => Promise<void>;
  readonly isFailed: () => boolean;
  /** Waits for what was accepted, then closes the file. */
  readonly close: () => Promise<void>;
}

interface Waiting {
  readonly payload: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

/** @param onFailed  told once, with the fault of the first failed write */
export function makeGroupCommit(log: FrameLog, onFailed: (error: StoreError) => void): GroupCommit {
  let queue: Waiting[] = [];
  let flushing: Promise<void> | undefined;
  let failure: StoreError | undefined;

  const fail = (batch: readonly Waiting[], cause: unknown): void => {
    failure = new StoreError("ERR_STREAM_FAILED", "the receipt stream cannot be written", { cause, fatal: true });
    for (const { reject } of [...batch, ...queue]) reject(failure);
    queue = [];
    onFailed(failure);
  };
  const flush = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue;
      queue = [];
      try {
        await log.append(batch.map(({ payload }) => payload));
      } catch (cause) {
        fail(batch, cause);
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
    append: (payload) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) {
          reject(failure);
          return;
        }
        queue.push({ payload, resolve, reject });
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
