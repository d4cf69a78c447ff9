/** Receipts that are written, and where their stream ends. */

/** A receipt that is durable. */
export interface WrittenReceipt {
  readonly seq: number;
  readonly bytes: Uint8Array;
  /** Hex SHA-256 of the bytes. */
  readonly hash: string;
}

/** Where the stream ends. */
export interface StreamTip {
  readonly nextSeq: number;
  /** Hash of the last receipt; undefined before the first. */
  readonly lastHash: string | undefined;
}
