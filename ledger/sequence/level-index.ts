/**
 * The index in `level`, folder `index`. It may be deleted while the ledger is stopped; one that cannot be opened, or
 * of another format, is removed and rebuilt. Damage to it never keeps the ledger from starting.
 *
 *     'l' ‖ leaf hash       → u64 index of the first entry with this leaf
 *     'r' ‖ key of a row    → value
 *     'w'                   → u64 watermark ‖ u8 format
 */

import { rm } from "node:fs/promises";
import { Level } from "level";
import { concat, formatUint64, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { invariant } from "../../kernel/errors.ts";
import { type LeafHash, parseLeafHash } from "../../kernel/merkle/hash.ts";
import type { IndexRow, IndexStore, IndexUpdate } from "./index-store.ts";

const FORMAT = 1;
const LEAF_PREFIX = 0x6c;
const ROW_PREFIX = formatUtf8("r");
const WATERMARK_KEY = formatUtf8("w");
const NO_ROW = formatUtf8("z");
const BINARY = { keyEncoding: "view", valueEncoding: "view" } as const;
const LEAVES_A_READ = 1000;
const CACHE_BYTES = 32 * 1024 * 1024;

type Database = Level<Uint8Array, Uint8Array>;

/** Opens the index in `dataDir`, empty if there is none or if it is unreadable. */
export async function openLevelIndex(dataDir: string): Promise<IndexStore> {
  const path = `${dataDir}/index`;
  const found = await tryOpen(path);
  if (found !== undefined) return new LevelIndex(found.database, found.watermark);
  await rm(path, { recursive: true, force: true });
  return new LevelIndex(await openDatabase(path), 0n);
}

async function tryOpen(path: string): Promise<{ database: Database; watermark: bigint } | undefined> {
  let database: Database | undefined;
  try {
    database = await openDatabase(path);
    const value = await database.get(WATERMARK_KEY);
    if (value === undefined) return { database, watermark: 0n };
    if (value.length === 9 && value[8] === FORMAT) return { database, watermark: readUint64(value) };
  } catch {
    // Unreadable: rebuilt from the log.
  }
  await database?.close().catch(() => undefined);
  return undefined;
}

async function openDatabase(path: string): Promise<Database> {
  const database: Database = new Level<Uint8Array, Uint8Array>(path, { ...BINARY, cacheSize: CACHE_BYTES });
  await database.open();
  return database;
}

class LevelIndex implements IndexStore {
  readonly #database: Database;
  readonly watermark: bigint;

  constructor(database: Database, watermark: bigint) {
    this.#database = database;
    this.watermark = watermark;
  }

  async findLeaves(leaves: readonly LeafHash[]): Promise<readonly (bigint | undefined)[]> {
    const values = await this.#database.getMany(leaves.map(leafKey));
    return values.map((value) => (value === undefined ? undefined : readUint64(value)));
  }

  async *eachLeaf(): AsyncIterable<readonly LeafHash[]> {
    const range = { gte: Uint8Array.of(LEAF_PREFIX), lt: Uint8Array.of(LEAF_PREFIX + 1), fillCache: false };
    const keys = this.#database.keys(range);
    try {
      for (;;) {
        const found = await keys.nextv(LEAVES_A_READ);
        if (found.length === 0) return;
        yield found.map((key) => parseLeafHash(key.subarray(1)));
      }
    } finally {
      await keys.close();
    }
  }

  async write(update: IndexUpdate): Promise<void> {
    const batch = this.#database.batch();
    for (const { leaf, index } of update.leaves) batch.put(leafKey(leaf), formatUint64(index));
    for (const { key, value } of update.rows) batch.put(rowKey(key), value);
    batch.put(WATERMARK_KEY, concat(formatUint64(update.watermark), Uint8Array.of(FORMAT)));
    await batch.write();
  }

  /** Compacting an empty range writes the memory table to a synced file; syncing one write would not reach older logs. */
  async sync(): Promise<void> {
    const database = this.#database;
    invariant(canCompact(database), "level is not classic-level");
    await database.compactRange(NO_ROW, NO_ROW);
  }

  async lastRow(from: string, to: string): Promise<IndexRow | undefined> {
    for await (const row of this.#iterate(from, to, { reverse: true, limit: 1 })) return row;
    return undefined;
  }

  rows(from: string, to: string): AsyncIterable<IndexRow> {
    return this.#iterate(from, to, {});
  }

  async clear(): Promise<void> {
    await this.#database.clear();
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  async *#iterate(from: string, to: string, options: { reverse?: boolean; limit?: number }): AsyncIterable<IndexRow> {
    for await (const [key, value] of this.#database.iterator({ gte: rowKey(from), lte: rowKey(to), ...options })) {
      yield { key: parseUtf8(key.subarray(1)), value };
    }
  }
}

/** What classic-level, the store behind `level` in Node, has beyond the common interface. */
interface Compacting {
  readonly compactRange: (start: Uint8Array, end: Uint8Array) => Promise<void>;
}

function canCompact(database: object): database is Compacting {
  return "compactRange" in database && typeof database.compactRange === "function";
}

function leafKey(leaf: LeafHash): Uint8Array {
  const key = new Uint8Array(leaf.length + 1);
  key[0] = LEAF_PREFIX;
  key.set(leaf, 1);
  return key;
}

function rowKey(key: string): Uint8Array {
  return concat(ROW_PREFIX, formatUtf8(key));
}

function readUint64(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0);
}

/** The index as it is, for those who check it: raw values, nothing repaired. */
export interface IndexReader {
  /** Value of the watermark row: u64 size ‖ u8 format; undefined if there is none. */
  readonly watermark: Uint8Array | undefined;
  /** Values of leaf rows, in order. */
  readonly leaves: (leaves: readonly LeafHash[]) => Promise<readonly (Uint8Array | undefined)[]>;
  /** Values of other rows by key, in order. */
  readonly rows: (keys: readonly string[]) => Promise<readonly (Uint8Array | undefined)[]>;
  /** Every row of the store, in the order of the stored keys. */
  readonly all: () => AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>;
  readonly close: () => Promise<void>;
}

/** Opens an index that must exist; rejects if LevelDB cannot. */
export async function openIndexReader(dataDir: string): Promise<IndexReader> {
  const path = `${dataDir}/index`;
  const database: Database = new Level<Uint8Array, Uint8Array>(path, { ...BINARY, createIfMissing: false });
  await database.open();
  return {
    watermark: await database.get(WATERMARK_KEY),
    leaves: (leaves) => database.getMany(leaves.map(leafKey)),
    rows: (keys) => database.getMany(keys.map(rowKey)),
    all: () => database.iterator(),
    close: () => database.close(),
  };
}
