/** Reads what is submitted: in worker threads that all logs of a process share, or on the calling thread. */

import {
  type ReadReceipt,
  type ReadReceipts,
  type ReadSegment,
  type ReceiptSource,
  readReceipt,
  readSegmentBytes,
} from "./read.ts";
import { answeredReceipts, readAll } from "./receipts-answer.ts";

/** Reads submissions; rejects with what is wrong with them. A source is one object as long as its stream is known. */
export interface SubmissionReader {
  /** As `readReceipt`. @throws {StoreError} ERR_QUEUE_FULL while too much waits to be read */
  readonly receipt: (bytes: Uint8Array, source: ReceiptSource) => Promise<ReadReceipt | undefined>;
  /** Receipts that came behind each other, all at once. @throws {StoreError} ERR_QUEUE_FULL */
  readonly receipts: (receipts: readonly Uint8Array[], source: ReceiptSource) => Promise<ReadReceipts>;
  /** As `readSegmentBytes`. @throws {StoreError} ERR_QUEUE_FULL */
  readonly segment: (bytes: Uint8Array, source: ReceiptSource, origin: string) => Promise<ReadSegment>;
  readonly close: () => Promise<void>;
}

/** Reads on the calling thread: for tests, and where only sources are at hand. */
export function makeInlineReader(): SubmissionReader {
  return {
    receipt: async (bytes, source) => readReceipt(bytes, source),
    receipts: async (receipts, source) =>
      answeredReceipts(
        readAll(receipts, () => source),
        0,
        receipts.length,
        source,
      ),
    segment: async (bytes, source, origin) => readSegmentBytes(bytes, source, origin),
    close: () => Promise.resolve(),
  };
}
