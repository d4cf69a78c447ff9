/**
 * The index in `level`, folder `index`. It may be deleted while the ledger is stopped; one that cannot be opened, or
 * of another format, is removed and rebuilt. Damage to it never keeps the ledger from starting.
 *
 *     'r' ‖ key of a row    → value
 *     'w'                   → u64 watermark ‖ u8 format
 *     'd'                   → u64 durable ‖ u8 format, written only after a sync of what it covers
 *
 * Writes are not synced one by one. After a power cut the newest may be missing, or some between others; none that stands
 * below the size in `d`, whether or not that row itself is the newest.
 *
 * Format 1 had rows 'l' ‖ leaf hash → u64 index beside them. Whoever opens such an index removes these and keeps the others.
 */

import { rm } from "node:fs/promises";
import { Level } from "level";
import { concat, formatUint64, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { invariant } from "../../kernel/errors.ts";
import type { IndexRow, IndexStore, IndexUpdate } from "./index-store.ts";

const FORMAT = 2;
const FORMAT_WITH_LEAVES = 1;
const SIZE_ROW_BYTES = 9;
const LEAF_KEYS = { gte: formatUtf8("l"), lt: formatUtf8("m") } as const;
const ROW_PREFIX = formatUtf8("r");
const WATERMARK_KEY = formatUtf8("w");
const DURABLE_KEY = formatUtf8("d");
const NO_ROW = formatUtf8("z");
const BINARY = { keyEncoding: "view", valueEncoding: "view" } as const;
const CACHE_BYTES = 32 * 1024 * 1024;

type Database = Level<Uint8Array, Uint8Array>;

/** Opens the index in `dataDir`, empty if there is none or if it is unreadable. */
export async function openLevelIndex(dataDir: string): Promise<IndexStore> {
  const path = `${dataDir}/index`;
  const found = await tryOpen(path);
  if (found !== undefined) return found;
  await rm(path, { recursive: true, force: true });
  return new LevelIndex(await openDatabase(path), 0n, 0n);
}

async function tryOpen(path: string): Promise<LevelIndex | undefined> {
  let database: Database | undefined;
  try {
    database = await openDatabase(path);
    await removeLeaves(database);
    const [watermark, durable] = (await database.getMany([WATERMARK_KEY, DURABLE_KEY])).map(parseSizeRow);
    if (watermark !== undefined && durable !== undefined) return new LevelIndex(database, watermark, durable);
  } catch {
    // Unreadable: rebuilt from the log.
  }
  await database?.close().catch(() => undefined);
  return undefined;
}

/** Takes an index of format 1 to this one; cut off in the middle, it is of format 1 still. */
async function removeLeaves(database: Database): Promise<void> {
  const sizes = await database.getMany([WATERMARK_KEY, DURABLE_KEY]);
  if (!sizes.some((row) => row?.length === SIZE_ROW_BYTES && row[8] === FORMAT_WITH_LEAVES)) return;
  await database.clear(LEAF_KEYS);
  const rows = [WATERMARK_KEY, DURABLE_KEY].flatMap((key, i) => {
    const row = sizes[i];
    return row === undefined ? [] : [{ type: "put" as const, key, value: formatSizeRow(readUint64(row)) }];
  });
  await database.batch(rows, { sync: true });
}

/** Uncompressed: almost all of it is hashes. */
async function openDatabase(path: string): Promise<Database> {
  const database: Database = new Level<Uint8Array, Uint8Array>(path, {
    ...BINARY,
    cacheSize: CACHE_BYTES,
    compression: false,
  });
  await database.open();
  return database;
}

/** The size that a row holds, 0 if there is none; undefined if it is of another format. */
function parseSizeRow(value: Uint8Array | undefined): bigint | undefined {
  if (value === undefined) return 0n;
  return value.length === SIZE_ROW_BYTES && value[8] === FORMAT ? readUint64(value) : undefined;
}

function formatSizeRow(size: bigint): Uint8Array {
  return concat(formatUint64(size), Uint8Array.of(FORMAT));
}

class LevelIndex implements IndexStore {
  readonly watermark: bigint;
  readonly #database: Database;
  #durable: bigint;
  #written: bigint;
  /** True while something may be written that no sync has covered. */
  #isDirty = true;

  constructor(database: Database, watermark: bigint, durable: bigint) {
    [this.#database, this.watermark, this.#written] = [database, watermark, watermark];
    this.#durable = durable < watermark ? durable : watermark;
  }

  get durable(): bigint {
    return this.#durable;
  }

  async write(update: IndexUpdate): Promise<void> {
    const batch = this.#database.batch();
    for (const { key, value } of update.rows) batch.put(rowKey(key), value);
    batch.put(WATERMARK_KEY, formatSizeRow(update.watermark));
    await batch.write();
    [this.#written, this.#isDirty] = [update.watermark, true];
  }

  /** Compacting an empty range writes the memory table to a synced file; syncing one write would not reach older logs. */
  async sync(): Promise<void> {
    if (!this.#isDirty) return;
    const database = this.#database;
    invariant(canCompact(database), "level is not classic-level");
    this.#isDirty = false;
    const covered = this.#written;
    await database.compactRange(NO_ROW, NO_ROW);
    // May itself be lost: then the one before stands, which is as true.
    await database.put(DURABLE_KEY, formatSizeRow(covered));
    this.#durable = covered;
  }

  async lastRow(from: string, to: string): Promise<IndexRow | undefined> {
    for await (const row of this.#iterate(from, to, { reverse: true, limit: 1 })) return row;
    return undefined;
  }

  rows(from: string, to: string): AsyncIterable<IndexRow> {
    return this.#iterate(from, to, {});
  }

  /** What says how far it goes is removed first: cut off in the middle, it must not pass for whole. */
  async clear(): Promise<void> {
    await this.#database.batch(
      [WATERMARK_KEY, DURABLE_KEY].map((key) => ({ type: "del", key })),
      { sync: true },
    );
    [this.#written, this.#durable] = [0n, 0n];
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
  /** The same of the row of the durable size. */
  readonly durable: Uint8Array | undefined;
  /** Values of other rows by key, in order. */
  readonly rows: (keys: readonly string[]) => Promise<readonly (Uint8Array | undefined)[]>;
  /** Every row of the store, in the order of the stored keys. */
  readonly all: () => AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>;
  readonly close: () => Promise<void>;
}

/** True for an index that a start takes from the format before to this one. */
export function isOfFormerFormat({ watermark, durable }: IndexReader): boolean {
  return (watermark ?? durable)?.[SIZE_ROW_BYTES - 1] === FORMAT_WITH_LEAVES;
}

/** Opens an index that must exist; rejects if LevelDB cannot. */
export async function openIndexReader(dataDir: string): Promise<IndexReader> {
  const path = `${dataDir}/index`;
  const database: Database = new Level<Uint8Array, Uint8Array>(path, { ...BINARY, createIfMissing: false });
  await database.open();
  return {
    watermark: await database.get(WATERMARK_KEY),
    durable: await database.get(DURABLE_KEY),
    rows: (keys) => database.getMany(keys.map(rowKey)),
    all: () => database.iterator(),
    close: () => database.close(),
  };
}
