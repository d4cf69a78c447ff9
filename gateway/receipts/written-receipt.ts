/** Receipts that are written, and where their stream ends. */

import { sha256 } from "#crypto";
import { formatHex } from "../../kernel/hex.ts";

/** A receipt that is durable. */
export interface WrittenReceipt {
  readonly seq: number;
  readonly bytes: Uint8Array;
  /** Hex SHA-256 of the bytes. */
  readonly hash: string;
}

/** A receipt as it was read, hashed when somebody asks: of most of them nobody does. */
export class ReadReceipt implements WrittenReceipt {
  readonly seq: number;
  readonly bytes: Uint8Array;
  #hash: string | undefined;

  constructor(seq: number, bytes: Uint8Array) {
    this.seq = seq;
    this.bytes = bytes;
  }

  get hash(): string {
    this.#hash ??= formatHex(sha256(this.bytes));
    return this.#hash;
  }
}

/** Where the stream ends. */
export interface StreamTip {
  readonly nextSeq: number;
  /** Hash of the last receipt; undefined before the first. */
  readonly lastHash: string | undefined;
}
