import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Level } from "level";
import { describe, expect, it } from "vitest";
import { concat, formatUint64, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { openLevelIndex } from "../../ledger/sequence/level-index.ts";
import { Wal } from "../../ledger/storage/wal.ts";
import { openTestLog, rawProposal } from "../support/ledger-log.ts";
import { MemoryDisk, MemoryIndex } from "../support/ledger-memory.ts";

const BOUNDS = { fileBytes: 1 << 20, fileEntries: 512, roomBytes: 1 << 24, roomEntries: 2048 };

function texts(from: number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `entry ${from + i}`);
}

/** An index whose syncs wait to be let go. */
class GatedIndex extends MemoryIndex {
  gate: Promise<void> = Promise.resolve();

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
    expect(wal.files.map(({ others }) => others.isEmpty)).toEqual([true, false]);
    const again = await Wal.open(disk.crash("lose"), options, () => undefined);
    expect([again.entries, again.bytes, again.files]).toEqual([wal.entries, wal.bytes, wal.files]);
  });

  it("makes admission wait for the index's sync, so that no start has more to read", async () => {
    const store = new GatedIndex();
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
    const store = new GatedIndex();
    const log = await openTestLog(disk, { store, ...BOUNDS });
    await log.sequencer.submit(rawProposal(texts(0, 300)));
    await log.index.flush();
    await store.sync();
    await log.sequencer.submit(rawProposal(texts(300, 100)));
    await log.index.flush();
    expect([store.durable, store.watermark]).toEqual([300n, 400n]);
    const again = await openTestLog(disk.crash("lose"), { store, ...BOUNDS });
    expect(again.recovered).toEqual({ walEntries: 400, indexedEntries: 100 });
    expect(await again.sequencer.submit(rawProposal(["entry 310", "entry 7", "new"]))).toEqual([310n, 7n, 400n]);
    await again.index.flush();
    expect(store.watermark).toBe(401n);
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
    const store = new GatedIndex();
    const log = await openTestLog(disk, { store, ...BOUNDS });
    await log.sequencer.submit(rawProposal(texts(0, 300)));
    await log.close();
    const again = await openTestLog(disk.crash("lose"), { store, ...BOUNDS });
    expect(again.recovered.indexedEntries).toBe(0);
  });
});

describe("the index on disk", () => {
  it("calls durable what a sync has covered, and nothing else", async () => {
    const folder = await mkdtemp(join(tmpdir(), "countersign-index-"));
    try {
      const store = await openLevelIndex(folder);
      await store.write({ rows: [], watermark: 1n });
      expect(store.durable).toBe(0n);
      await store.sync();
      expect(store.durable).toBe(1n);
      await store.write({ rows: [], watermark: 2n });
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

  it("of the format before loses its leaf hashes and keeps its rows and sizes", async () => {
    const folder = await mkdtemp(join(tmpdir(), "countersign-index-"));
    try {
      const binary = { keyEncoding: "view", valueEncoding: "view" } as const;
      const old = new Level<Uint8Array, Uint8Array>(join(folder, "index"), binary);
      const sizeRow = (size: bigint): Uint8Array => concat(formatUint64(size), Uint8Array.of(1));
      await old.put(concat(formatUtf8("l"), new Uint8Array(32)), formatUint64(7n));
      await old.put(formatUtf8("rkey"), formatUtf8("value"));
      await old.put(formatUtf8("w"), sizeRow(9n));
      await old.put(formatUtf8("d"), sizeRow(8n));
      await old.close();
      for (let i = 0; i < 2; i += 1) {
        const store = await openLevelIndex(folder);
        expect([store.watermark, store.durable]).toEqual([9n, 8n]);
        expect(parseUtf8((await store.lastRow("key", "key"))?.value ?? new Uint8Array(0))).toBe("value");
        await store.close();
      }
      const raw = new Level<Uint8Array, Uint8Array>(join(folder, "index"), binary);
      expect((await raw.keys().all()).map((key) => key.length)).toEqual([1, 4, 1]);
      await raw.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
