/** When an outbox takes no more: it is full, or what it holds will never be taken from it. */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { StoreError } from "../../kernel/errors.ts";

/**
 * Refusals that no repetition mends: the ledger holds other receipts than ours at these numbers, or will take no more of
 * this stream. A restart compares the tips and begins a new stream that names this one.
 */
export const FINAL_REFUSALS: ReadonlyMap<string, ErrorCode> = new Map(
  (
    [
      "ERR_LOG_CLOSED",
      "ERR_STREAM_CLOSED",
      "ERR_STREAM_ENDED",
      "ERR_STREAM_FORK",
      "ERR_STREAM_KEY",
      "ERR_STREAM_PREV",
    ] as const
  ).map((code) => [code, code]),
);

/** Receipts kept free for seals, aggregates and heartbeats when the bound is reached. */
const RESERVE = 64;

/** @throws {StoreError} ERR_OUTBOX_FULL if `extra` receipts do not fit below the bound beside those that are held */
export function checkRoom(held: number, extra: number, maxReceipts: number): void {
  if (held + extra <= maxReceipts - RESERVE) return;
  throw new StoreError("ERR_OUTBOX_FULL", `${held} receipts wait for the ledger, which is the bound`);
}

/** Nothing leaves an outbox any more, whatever the ledger or the thread did that ended it. */
export function refusedForGood(code: ErrorCode): StoreError {
  const what = code === "ERR_THREAD_ENDED" ? "the delivery thread ended" : "the ledger refuses this stream for good";
  return new StoreError(code, `${what}; restart the gateway`, { fatal: true });
}
