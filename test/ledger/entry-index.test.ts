import { describe, expect, it } from "vitest";
import { formatUint64 } from "../../kernel/bytes.ts";
import { hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { EntryIndex } from "../../ledger/sequence/entry-index.ts";
import type { IndexUpdate } from "../../ledger/sequence/index-store.ts";
import { MemoryIndex } from "../support/ledger-memory.ts";

const leafOf = (value: number): LeafHash => hashLeaf(formatUint64(BigInt(value)));

/** An index whose writes and lookups wait until the test lets them go, or fail. */
class StalledIndex extends MemoryIndex {
  readonly writes: { readonly update: IndexUpdate; readonly go: () => void; readonly fail: () => void }[] = [];
  lookup: Promise<void> = Promise.resolve();

  override write(update: IndexUpdate): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => void super.write(update).then(resolve);
      this.writes.push({ update, go, fail: () => reject(new Error("injected")) });
    });
  }

  override async findLeaves(leaves: readonly LeafHash[]): Promise<readonly (bigint | undefined)[]> {
    const found = await super.findLeaves(leaves);
    await this.lookup;
    return found;
  }
}

function record(index: EntryIndex, value: number): void {
  index.place(leafOf(value), BigInt(value));
  index.record({ leaves: [{ leaf: leafOf(value), index: BigInt(value) }], rows: [], size: BigInt(value) + 1n });
}

const never = (error: unknown): never => {
  throw error;
};

/** Lets everything run that is ready to. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("the window of leaf hashes in front of the index", () => {
  it("knows a leaf that moves to the index while others are looked up", async () => {
    const store = new StalledIndex();
    const index = new EntryIndex(store, never);
    record(index, 1);
    let open: () => void = () => undefined;
    store.lookup = new Promise((resolve) => {
      open = resolve;
    });
    const finding = index.find([leafOf(1), leafOf(2)]);
    await settle();
    store.writes[0]?.go();
    await index.flush();
    open();
    const known = await finding;
    expect([known(leafOf(1)), known(leafOf(2))]).toEqual([1n, undefined]);
    index.place(leafOf(2), 2n);
    expect(known(leafOf(2))).toBe(2n);
  });

  it("leaves no batch behind that comes when the writer is about to end", async () => {
    // The writer ends some steps after its last write; the second batch comes at each of them.
    for (let steps = 0; steps < 20; steps += 1) {
      const store = new MemoryIndex();
      const index = new EntryIndex(store, never);
      record(index, 0);
      for (let step = 0; step < steps; step += 1) await Promise.resolve();
      record(index, 1);
      await index.flush();
      expect([steps, store.leaves.size, store.watermark, index.watermark]).toEqual([steps, 2, 2n, 2n]);
    }
  });

  it("waits for what was recorded before, however much comes meanwhile", async () => {
    const store = new StalledIndex();
    const index = new EntryIndex(store, never);
    record(index, 0);
    record(index, 1);
    let isFlushed = false;
    const flushing = index.flush().then(() => {
      isFlushed = true;
    });
    record(index, 2);
    store.writes[0]?.go();
    await settle();
    // The first write took batch 0 alone: batch 1 came while it ran, and goes with batch 2.
    expect([store.watermark, isFlushed]).toEqual([1n, false]);
    record(index, 3);
    store.writes[1]?.go();
    await flushing;
    expect([store.watermark, store.writes.length]).toEqual([3n, 3]);
    await settle();
    expect([store.watermark, store.writes[2]?.update.watermark]).toEqual([3n, 4n]);
  });

  it("lets those go who wait when a write fails, and refuses everybody after", async () => {
    const store = new StalledIndex();
    const index = new EntryIndex(store, () => undefined);
    record(index, 0);
    const waiting = [index.flush(), index.flush()];
    await settle();
    store.writes[0]?.fail();
    for (const each of [...waiting, index.flush()])
      await expect(each).rejects.toMatchObject({ code: "ERR_STORE_WRITE" });
  });

  it("writes nothing more after a failed write, and keeps what it knew", async () => {
    const store = new StalledIndex();
    const faults: unknown[] = [];
    const index = new EntryIndex(store, (error) => void faults.push(error));
    record(index, 0);
    await settle();
    record(index, 1);
    store.writes[0]?.fail();
    await expect(index.flush()).rejects.toMatchObject({ code: "ERR_STORE_WRITE", fatal: true });
    record(index, 2);
    await settle();
    expect(store.writes.length).toBe(1);
    expect(faults).toMatchObject([{ code: "ERR_STORE_WRITE" }]);
    expect([store.watermark, index.watermark]).toEqual([0n, 0n]);
    const known = await index.find([leafOf(0), leafOf(1), leafOf(2)]);
    expect([known(leafOf(0)), known(leafOf(1)), known(leafOf(2))]).toEqual([0n, 1n, 2n]);
  });
});
