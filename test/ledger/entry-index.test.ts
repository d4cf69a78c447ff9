import { describe, expect, it } from "vitest";
import { formatUint64 } from "../../kernel/bytes.ts";
import { hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import type { LeafRun } from "../../ledger/leaves/leaf-store.ts";
import { EntryIndex } from "../../ledger/sequence/entry-index.ts";
import type { IndexUpdate } from "../../ledger/sequence/index-store.ts";
import { MemoryIndex, MemoryLeaves } from "../support/ledger-memory.ts";

const leafOf = (value: number): LeafHash => hashLeaf(formatUint64(BigInt(value)));

/** An index whose writes wait until the test lets them go, or fail. */
class StalledIndex extends MemoryIndex {
  readonly writes: { readonly update: IndexUpdate; readonly go: () => void; readonly fail: () => void }[] = [];

  override write(update: IndexUpdate): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => void super.write(update).then(resolve);
      this.writes.push({ update, go, fail: () => reject(new Error("injected")) });
    });
  }
}

/** A leaf store whose answers and runs wait until the test lets them go. */
class StalledLeaves extends MemoryLeaves {
  lookup: Promise<void> = Promise.resolve();
  gate: Promise<void> = Promise.resolve();

  override async find(leaves: readonly LeafHash[]): Promise<readonly (number | undefined)[]> {
    const found = await super.find(leaves);
    await this.lookup;
    return found;
  }

  override async add(run: LeafRun): Promise<void> {
    await this.gate;
    await super.add(run);
  }
}

function makeGate(): { readonly gate: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { gate, open: () => open() };
}

/** Places and records the next leaf. */
function record(index: EntryIndex, value: number): void {
  index.place(leafOf(value));
  index.record({ rows: [], size: BigInt(value) + 1n });
}

const never = (error: unknown): never => {
  throw error;
};

/** Lets everything run that is ready to. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("the leaves in memory and the rows on their way to the index", () => {
  it("knows a leaf that moves to the leaf store while others are looked up", async () => {
    const leaves = new StalledLeaves(256);
    const [lookup, moving] = [makeGate(), makeGate()];
    [leaves.lookup, leaves.gate] = [lookup.gate, moving.gate];
    const index = new EntryIndex(new MemoryIndex(), leaves, never);
    for (let i = 0; i < 256; i += 1) record(index, i);
    const finding = index.find([leafOf(1), leafOf(256)]);
    await settle();
    moving.open();
    await index.waitForLeaves();
    expect(leaves.size).toBe(256);
    lookup.open();
    const known = await finding;
    expect([known(leafOf(1)), known(leafOf(256))]).toEqual([1n, undefined]);
    index.place(leafOf(256));
    expect(known(leafOf(256))).toBe(256n);
  });

  it("finds every leaf in memory and in the leaf store, and has room again when runs have moved", async () => {
    const leaves = new StalledLeaves(256);
    const moving = makeGate();
    leaves.gate = moving.gate;
    const index = new EntryIndex(new MemoryIndex(), leaves, never);
    for (let i = 0; i < 1300; i += 1) record(index, i);
    expect([index.hasRoom, index.size]).toEqual([false, 1300]);
    const asked = Array.from({ length: 1400 }, (_, i) => leafOf(i));
    const before = await index.find(asked);
    moving.open();
    await index.waitForLeaves();
    expect([index.hasRoom, leaves.size]).toEqual([true, 1280]);
    const after = await index.find(asked);
    for (let i = 0; i < 1400; i += 1) {
      const want = i < 1300 ? BigInt(i) : undefined;
      expect([before(leafOf(i)), after(leafOf(i))]).toEqual([want, want]);
    }
  });

  it("asks the leaf store for nearly nothing that is new once it has read the filter, and finds all as before", async () => {
    let asked = 0;
    class CountingLeaves extends MemoryLeaves {
      override find(leaves: readonly LeafHash[]): Promise<readonly (number | undefined)[]> {
        asked += leaves.length;
        return super.find(leaves);
      }
    }
    const leaves = new CountingLeaves(256);
    leaves.put(Array.from({ length: 2560 }, (_, i) => leafOf(i)));
    const index = new EntryIndex(new MemoryIndex(), leaves, never);
    for (let i = 2560; i < 2700; i += 1) record(index, i);
    const strangers = Array.from({ length: 2000 }, (_, i) => leafOf(1_000_000 + i));
    await index.find(strangers);
    expect(asked).toBe(2000);
    const reading = index.readFilter();
    for (let i = 2700; i < 3000; i += 1) record(index, i);
    await reading;
    await index.waitForLeaves();
    asked = 0;
    await index.find(strangers);
    expect(asked).toBeLessThan(40);
    const known = await index.find(Array.from({ length: 3000 }, (_, i) => leafOf(i)));
    for (let i = 0; i < 3000; i += 1) expect(known(leafOf(i))).toBe(BigInt(i));
  });

  it("hands a run over only when all of it is durable in the log", async () => {
    const leaves = new MemoryLeaves(256);
    const index = new EntryIndex(new MemoryIndex(), leaves, never);
    for (let i = 0; i < 300; i += 1) index.place(leafOf(i));
    index.record({ rows: [], size: 255n });
    await index.waitForLeaves();
    expect(leaves.size).toBe(0);
    index.record({ rows: [], size: 300n });
    await index.waitForLeaves();
    expect(leaves.size).toBe(256);
  });

  it("stops with a fault when a run cannot be stored, and keeps what it knew", async () => {
    class FailingLeaves extends MemoryLeaves {
      override add(): Promise<void> {
        return Promise.reject(new Error("injected"));
      }
    }
    const faults: unknown[] = [];
    const index = new EntryIndex(new MemoryIndex(), new FailingLeaves(256), (error) => void faults.push(error));
    for (let i = 0; i < 256; i += 1) record(index, i);
    await expect(index.waitForLeaves()).rejects.toMatchObject({ code: "ERR_STORE_WRITE", fatal: true });
    expect(faults).toMatchObject([{ code: "ERR_STORE_WRITE" }]);
    expect((await index.find([leafOf(3)]))(leafOf(3))).toBe(3n);
  });

  it("leaves no batch behind that comes when the writer is about to end", async () => {
    // The writer ends some steps after its last write; the second batch comes at each of them.
    for (let steps = 0; steps < 20; steps += 1) {
      const store = new MemoryIndex();
      const index = new EntryIndex(store, new MemoryLeaves(), never);
      record(index, 0);
      for (let step = 0; step < steps; step += 1) await Promise.resolve();
      record(index, 1);
      await index.flush();
      expect([steps, store.watermark, index.watermark]).toEqual([steps, 2n, 2n]);
    }
  });

  it("waits for what was recorded before, however much comes meanwhile", async () => {
    const store = new StalledIndex();
    const index = new EntryIndex(store, new MemoryLeaves(), never);
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
    const index = new EntryIndex(store, new MemoryLeaves(), () => undefined);
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
    const index = new EntryIndex(store, new MemoryLeaves(), (error) => void faults.push(error));
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
