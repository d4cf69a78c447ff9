/** Rows in `level`, one database a ledger. The database's lock admits one process; it falls with the process. */

import { mkdir } from "node:fs/promises";
import { Level } from "level";
import { StoreError } from "../../kernel/errors.ts";
import type { KeyRange, Row, RowStore } from "./rows.ts";

const CACHE_BYTES = 16 * 1024 * 1024;

type Database = Level<string, Uint8Array>;

/**
 * Opens the rows in `folder`, which is made if there is none.
 *
 * @throws {StoreError} ERR_FOLDER_LOCKED if another process runs on it, ERR_STORE_WRITE if it cannot be opened
 */
export async function openLevelRows(folder: string): Promise<RowStore> {
  await mkdir(folder, { recursive: true });
  const database: Database = new Level<string, Uint8Array>(folder, {
    keyEncoding: "utf8",
    valueEncoding: "view",
    cacheSize: CACHE_BYTES,
  });
  try {
    await database.open();
  } catch (cause) {
    const isLocked = /LOCK/u.test(describeCause(cause));
    if (isLocked) throw new StoreError("ERR_FOLDER_LOCKED", `another process runs on ${folder}`, { cause });
    throw new StoreError("ERR_STORE_WRITE", `cannot open ${folder}`, { cause });
  }
  return makeRows(database);
}

function makeRows(database: Database): RowStore {
  return {
    getMany: async (keys) => {
      const values = keys.length === 0 ? [] : await database.getMany([...keys]);
      return values.map((value) => (value === undefined ? undefined : plainBytes(value)));
    },
    range: (range) => iterate(database, range),
    write: async (rows) => {
      try {
        await database.batch(
          rows.map(({ key, value }) => (value === undefined ? { type: "del", key } : { type: "put", key, value })),
          { sync: true },
        );
      } catch (cause) {
        throw new StoreError("ERR_STORE_WRITE", "the index cannot be written", { cause, fatal: true });
      }
    },
    close: () => database.close(),
  };
}

async function* iterate(database: Database, range: KeyRange): AsyncIterable<Row> {
  const { after, before, reverse = false, limit = -1 } = range;
  for await (const [key, value] of database.iterator({ gt: after, lt: before, reverse, limit }))
    yield { key, value: plainBytes(value) };
}

/** The database gives Buffers, whose `slice` shares memory. */
function plainBytes(value: Uint8Array): Uint8Array {
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const inner = "cause" in cause ? describeCause(cause.cause) : "";
  const code = "code" in cause ? String(cause.code) : "";
  return `${cause.message} ${code} ${inner}`;
}
