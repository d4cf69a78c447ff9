/** Reads what is submitted: in worker threads that all logs of a process share, or on the calling thread. */

import type { PublicKey } from "../../kernel/signature/public-key.ts";
import { type ReadReceipt, type ReadSegment, readReceipt, readSegmentBytes, type SegmentSource } from "./read.ts";

/** Reads submissions; rejects with what is wrong with them. */
export interface SubmissionReader {
  /** As `readReceipt`. @throws {StoreError} ERR_QUEUE_FULL while too much waits to be read */
  readonly receipt: (bytes: Uint8Array, key: PublicKey) => Promise<ReadReceipt>;
  /** As `readSegmentBytes`. @throws {StoreError} ERR_QUEUE_FULL */
  readonly segment: (bytes: Uint8Array, source: SegmentSource) => Promise<ReadSegment>;
  readonly close: () => Promise<void>;
}

/** Reads on the calling thread: for tests, and where only sources are at hand. */
export function makeInlineReader(): SubmissionReader {
  return {
    receipt: async (bytes, key) => readReceipt(bytes, key),
    segment: async (bytes, source) => readSegmentBytes(bytes, source),
    close: () => Promise.resolve(),
  };
}
