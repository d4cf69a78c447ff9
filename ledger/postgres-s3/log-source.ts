/**
 * A log in PostgreSQL and an S3-compatible store, to be exported. Nodes may run meanwhile: the checkpoint is the one that the
 * database recorded as published, and before it was recorded all its tiles were in the store, the partial ones too. Those go only
 * once the full one is there.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { CheckError, StoreError } from "../../kernel/errors.ts";
import { HASH_BYTES } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatEntryBundle, parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";
import { openLogCheckpoint } from "../../kernel/witness-policy.ts";
import type { LogSource } from "../archive/export-log.ts";
import { STATEMENT_ROWS, StatementBook } from "../lifecycle/statement-book.ts";
import { isPruned, prunedBelow, readRetention } from "../storage/retention.ts";
import type { PostgresS3Storage, StorageSecrets } from "./config.ts";
import { type Database, openDatabase } from "./database.ts";
import { findLogNumber } from "./fsck/snapshot.ts";
import { readHeadRow } from "./head-table.ts";
import { type ObjectStore, openObjectStore } from "./object-store.ts";
import { placeOf } from "./options.ts";
import { rowsBetween } from "./sequence-table.ts";

/** Which log, and where it is. */
export interface StoredSourceOptions {
  readonly origin: string;
  readonly storage: PostgresS3Storage;
  readonly secrets: StorageSecrets;
}

/**
 * Opens a log; nothing is changed. Bundles below its minimum index are refused, as its nodes refuse them (`ERR_PRUNED`).
 *
 * @throws {StoreError} ERR_DATABASE*; ERR_GENESIS_MISMATCH if the database has no such log; ERR_RETENTION, fatal
 */
export async function openStoredSource({ origin, storage, secrets }: StoredSourceOptions): Promise<LogSource> {
  const database = openDatabase(secrets.databaseUrl);
  try {
    const log = await findLogNumber(database, origin);
    const store = openObjectStore(placeOf(storage), secrets.credentials, secrets.fetch);
    const minimum = BigInt(
      (await readRetention({ read: async (path) => (await store.get(path))?.bytes }))?.minimum_index ?? 0,
    );
    return {
      checkpoint: () => readPublished(database, log, origin),
      read: async (ref) => {
        if (isPruned(ref, minimum)) throw prunedBelow(minimum);
        return (await readObject(store, ref)) ?? (await readPart(store, ref));
      },
      close: () => database.close(),
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** The published checkpoint. @throws {StoreError} ERR_NOT_PUBLISHED; {CheckError} ERR_ORIGIN; as `openLogCheckpoint`, with every key that the log ever had */
export async function readPublished(database: Database, log: bigint, origin: string): Promise<Uint8Array> {
  const { published } = await readHeadRow(database, log);
  if (published === undefined)
    throw new StoreError("ERR_NOT_PUBLISHED", "the log has published nothing to be exported");
  const book = new StatementBook();
  for (const { key, value } of await rowsBetween(database, log, ...STATEMENT_ROWS)) {
    book.replay(value, BigInt(key.slice(STATEMENT_ROWS[0].length)));
  }
  const note = formatUtf8(published);
  const { checkpoint } = openLogCheckpoint(note, book.keys);
  if (checkpoint.origin === origin) return note;
  throw new CheckError("ERR_ORIGIN", `the recorded checkpoint is of ${checkpoint.origin}`);
}

async function readObject(store: ObjectStore, ref: TileRef): Promise<Uint8Array | undefined> {
  return (await store.get(formatTilePath(ref)))?.bytes;
}

/** The beginning of the full tile or bundle in whose place a partial one was. */
async function readPart(store: ObjectStore, ref: TileRef): Promise<Uint8Array | undefined> {
  if (ref.width === TILE_WIDTH) return undefined;
  const full = await readObject(store, { ...ref, width: TILE_WIDTH });
  if (full === undefined) return undefined;
  if (ref.kind === "hash") return full.subarray(0, ref.width * HASH_BYTES);
  return formatEntryBundle(parseEntryBundle(full, TILE_WIDTH).slice(0, ref.width));
}
