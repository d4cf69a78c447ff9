import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { EntryIndex } from "../../ledger/sequence/entry-index.ts";
import { openLevelIndex } from "../../ledger/sequence/level-index.ts";
import { Wal } from "../../ledger/storage/wal.ts";
import { openTestLog, rawProposal } from "../support/ledger-log.ts";
import { MemoryDisk, MemoryIndex } from "../support/ledger-memory.ts";

const BOUNDS = { fileBytes: 1 << 20, fileEntries: 512, roomBytes: 1 << 24, roomEntries: 2048 };

function texts(from: number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `entry ${from + i}`);
}

function leafOf(text: string): LeafHash {
  return hashLeaf(formatUtf8(text));
}

/** An index that counts what it is asked, and whose syncs wait to be let go. */
class CountingIndex extends MemoryIndex {
  looked = 0;
  gate: Promise<void> = Promise.resolve();

  override findLeaves(leaves: readonly LeafHash[]): Promise<readonly (bigint | undefined)[]> {
    this.looked += leaves.length;
    return super.findLeaves(leaves);
  }

  override async sync(): Promise<void> {
    await this.gate;
    await super.sync();
  }
}

describe("the write-ahead log's room", () => {
  it("ends above its entries or its bytes, and comes back with the files that are retired", async () => {
    const disk = new MemoryDisk();
    const options = { fileBytes: 4096, fileEntries: 4, roomBytes: 2048, roomEntries: 10 };
    const wal = await Wal.open(disk, options, () => undefined);
    for (let i = 0; i < 10; i += 1) await wal.append([{ kind: "entry", bytes: formatUtf8(`${i}`) }]);
    expect([wal.files.length, wal.entries, wal.hasRoom]).toEqual([3, 10, false]);
    await wal.retireOldest();
    expect([wal.files.length, wal.entries, wal.hasRoom]).toEqual([2, 6, true]);
    await wal.append([{ kind: "conflict", bytes: new Uint8Array(2048) }]);
    expect([wal.entries, wal.hasRoom]).toEqual([6, false]);
    expect(wal.files.map(({ hasOthers }) => hasOthers)).toEqual([false, true]);
    const again = await Wal.open(disk.crash("lose"), options, () => undefined);
    expect([again.entries, again.bytes, again.files]).toEqual([wal.entries, wal.bytes, wal.files]);
  });

  it("makes admission wait for the index's sync, so that no start has more to read", async () => {
    const store = new CountingIndex();
    let open: () => void = () => undefined;
    store.gate = new Promise((resolve) => {
      open = resolve;
    });
    const log = await openTestLog(new MemoryDisk(), { store, ...BOUNDS });
    let done = 0;
    const submitAll = async (): Promise<void> => {
      for (; done < 40; done += 1) await log.sequencer.submit(rawProposal(texts(done * 100, 100)));
    };
    const all = submitAll();
    for (let i = 0; i < 100_000; i += 1) await Promise.resolve();
    // One batch may end above the bound, none begins there.
    expect([done, log.wal.entries]).toEqual([21, 2100]);
    open();
    await all;
    expect([log.tree.size, log.halt.fault]).toEqual([4000n, undefined]);
    await log.retire();
    expect(log.wal.entries).toBeLessThanOrEqual(BOUNDS.roomEntries);
  });
});

describe("a start", () => {
  it("tells the index again only what no sync has covered", async () => {
    const disk = new MemoryDisk();
    const store = new CountingIndex();
    const log = await openTestLog(disk, { store, ...BOUNDS });
    await log.sequencer.submit(rawProposal(texts(0, 300)));
    await log.index.flush();
    await store.sync();
    await log.sequencer.submit(rawProposal(texts(300, 100)));
    await log.index.flush();
    expect([store.durable, store.watermark]).toEqual([300n, 400n]);
    // What a power cut may leave of it: the watermark, and not all rows below.
    for (const text of texts(300, 50)) store.leaves.delete(Buffer.from(leafOf(text)).toString("hex"));
    const again = await openTestLog(disk.crash("lose"), { store, ...BOUNDS });
    expect(again.recovered).toEqual({ walEntries: 400, indexedEntries: 100 });
    expect(await again.sequencer.submit(rawProposal(["entry 310", "entry 7", "new"]))).toEqual([310n, 7n, 400n]);
    await again.index.flush();
    expect([store.leaves.size, store.watermark]).toEqual([401, 401n]);
  });

  it("behind a file that was begun and holds no batch yet retires none, and ends doing so", async () => {
    const disk = new MemoryDisk();
    const store = new MemoryIndex();
    const log = await openTestLog(disk, { ...BOUNDS, fileEntries: 256 });
    for (let i = 0; i < 3; i += 1) await log.sequencer.submit(rawProposal(texts(i * 256, 256)));
    const cut = disk.crash("lose");
    const last = cut.paths().findLast((path) => /^wal\/\d/u.test(path)) ?? "";
    cut.file(last)?.fill(0);
    const again = await openTestLog(cut, { store, ...BOUNDS, fileEntries: 256 });
    expect(again.tree.size).toBe(512n);
    await again.retire();
    expect(again.wal.entries).toBeGreaterThan(0);
    await again.sequencer.submit(rawProposal(["next"]));
    await again.retire();
    expect([again.wal.entries, again.halt.fault]).toEqual([1, undefined]);
  });

  it("reads nothing again after an orderly end", async () => {
    const disk = new MemoryDisk();
    const store = new CountingIndex();
    const log = await openTestLog(disk, { store, ...BOUNDS });
    await log.sequencer.submit(rawProposal(texts(0, 300)));
    await log.close();
    const again = await openTestLog(disk.crash("lose"), { store, ...BOUNDS });
    expect(again.recovered.indexedEntries).toBe(0);
  });

  it("leaves the row of an entry's first place alone when a later one is read again", async () => {
    const store = new MemoryIndex();
    await store.write({ leaves: [{ leaf: leafOf("a"), index: 3n }], rows: [], watermark: 4n });
    const index = new EntryIndex(store, (error) => {
      throw error;
    });
    const recovered = [
      { leaf: leafOf("a"), index: 7n },
      { leaf: leafOf("b"), index: 8n },
      { leaf: leafOf("b"), index: 9n },
    ];
    const leaves = recovered.filter((each) => index.placeRecovered(each.leaf, each.index));
    expect(leaves.map(({ index: at }) => at)).toEqual([7n, 8n]);
    index.record({ leaves, rows: [], size: 10n, isRecovered: true });
    await index.flush();
    expect(await store.findLeaves([leafOf("a"), leafOf("b")])).toEqual([3n, 8n]);
  });
});

describe("the index on disk", () => {
  it("calls durable what a sync has covered, and nothing else", async () => {
    const folder = await mkdtemp(join(tmpdir(), "countersign-index-"));
    try {
      const store = await openLevelIndex(folder);
      await store.write({ leaves: [{ leaf: leafOf("a"), index: 0n }], rows: [], watermark: 1n });
      expect(store.durable).toBe(0n);
      await store.sync();
      expect(store.durable).toBe(1n);
      await store.write({ leaves: [{ leaf: leafOf("b"), index: 1n }], rows: [], watermark: 2n });
      await store.close();
      const again = await openLevelIndex(folder);
      expect([again.watermark, again.durable]).toEqual([2n, 1n]);
      await again.clear();
      expect(again.durable).toBe(0n);
      await again.close();
      const cleared = await openLevelIndex(folder);
      expect([cleared.watermark, cleared.durable]).toEqual([0n, 0n]);
      await cleared.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
