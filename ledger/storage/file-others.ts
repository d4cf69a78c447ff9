/**
 * Records of a write-ahead file that are no entries: envelopes of segments, refused receipts. The archive takes them when the file
 * is retired. They are kept in memory until then, since reading a file of entries again for the few others in it costs more than
 * writing it did; of a file that holds many, none are.
 */

import type { FramePart, WalRecord } from "./wal-frame.ts";

/** What is kept of one file: some thousand envelopes. */
const MAX_KEPT_BYTES = 1024 * 1024;

/** Those among the records of a batch, as they are. */
export function othersAmong(records: readonly FramePart[]): readonly WalRecord[] {
  const others: WalRecord[] = [];
  for (const part of records) if ("kind" in part && part.kind !== "entry") others.push(part);
  return others;
}

/** Mutable. */
export class FileOthers {
  #kept: WalRecord[] = [];
  #bytes = 0;
  #isEmpty = true;

  /** True if the file holds none. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** All of them in their order; undefined if they are too many to be kept. */
  get records(): readonly WalRecord[] | undefined {
    return this.#bytes > MAX_KEPT_BYTES ? undefined : this.#kept;
  }

  /** Takes those of the next batch, and copies what it keeps: each is a view of something larger. */
  add(others: readonly WalRecord[]): void {
    for (const { kind, bytes } of others) {
      this.#isEmpty = false;
      this.#bytes += bytes.length;
      if (this.#bytes <= MAX_KEPT_BYTES) this.#kept.push({ kind, bytes: bytes.slice() });
      else this.#kept = [];
    }
  }
}
