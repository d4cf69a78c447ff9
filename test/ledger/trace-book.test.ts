import { describe, expect, it } from "vitest";
import type { IndexRow } from "../../ledger/sequence/index-store.ts";
import { TraceBook } from "../../ledger/trace/trace-book.ts";
import { MemoryIndex } from "../support/ledger-memory.ts";

function revocation(index: bigint): IndexRow {
  return { key: `r/${index.toString().padStart(20, "0")}`, value: new Uint8Array(0) };
}

/** Rows as they were at the call; what happens before the first is read is told to the test. */
class SnapshotIndex extends MemoryIndex {
  onRead: () => void = () => undefined;

  override async *rows(from: string, to: string): AsyncIterable<IndexRow> {
    const rows: IndexRow[] = [];
    for await (const row of super.rows(from, to)) rows.push(row);
    this.onRead();
    yield* rows;
  }
}

describe("the revocations of a log", () => {
  it("have none missing and none twice while rows move from memory to the index", async () => {
    const [store, book] = [new SnapshotIndex(), new TraceBook("log.example/test")];
    await book.load(store);
    for (const index of [3n, 5n]) book.remember([revocation(index)], index, 0n);
    await store.write({ rows: [revocation(3n)], watermark: 4n });
    store.onRead = (): void => {
      void store.write({ rows: [revocation(5n)], watermark: 6n });
      book.remember([revocation(8n)], 8n, 6n);
    };
    expect(await book.revocations(0n, 10)).toEqual([3n, 5n]);
    expect(await book.revocations(0n, 10)).toEqual([3n, 5n, 8n]);
    expect(await book.revocations(4n, 1)).toEqual([5n]);
  });
});
