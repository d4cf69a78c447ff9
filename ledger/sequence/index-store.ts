/**
 * The index: rows of the admission (stream tips, registrations, runs of receipts) that can be rebuilt from write-ahead log and
 * bundles, and nothing else. Leaf hashes are in a store of their own (leaves/leaf-store.ts).
 */

/** One row. */
export interface IndexRow {
  readonly key: string;
  readonly value: Uint8Array;
}

/** Rows that become visible together, and the size of the log that the index then covers. */
export interface IndexUpdate {
  readonly rows: readonly IndexRow[];
  readonly watermark: bigint;
}

/** Reads rows. */
export interface RowReader {
  /** The row with the largest key in [from, to], by bytes. */
  readonly lastRow: (from: string, to: string) => Promise<IndexRow | undefined>;
  /** All rows with keys in [from, to], in order. */
  readonly rows: (from: string, to: string) => AsyncIterable<IndexRow>;
}

/** Persistence of the index. Its content may lag behind the log and is caught up at start. */
export interface IndexStore extends RowReader {
  /** Size of the log that it covered when it was opened; 0 when new. After a power cut rows below it may be missing. */
  readonly watermark: bigint;
  /** Size of the log below which no row is missing, whatever happened: what `sync` covered last; 0 when new. */
  readonly durable: bigint;
  /** Writes an update, all or nothing. */
  readonly write: (update: IndexUpdate) => Promise<void>;
  /** Makes everything written so far survive a power cut, and then records the size that it covers as `durable`. */
  readonly sync: () => Promise<void>;
  /** Forgets everything: the content turned out not to be of this log. */
  readonly clear: () => Promise<void>;
  readonly close: () => Promise<void>;
}
