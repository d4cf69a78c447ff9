/**
 * The minimum index of a log in its stores: the object `retention`, with the content that the file of this name has in a data folder.
 * It is replaced on the condition that it is the one that was read, so of two who raise it none takes the other one back.
 */

import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { CheckError, StoreError } from "../../kernel/errors.ts";
import { parseNote } from "../../kernel/note/signed-note.ts";
import { formatRetention, RETENTION_PATH, type Retention, readRetention } from "../storage/retention.ts";
import { openDatabase } from "./database.ts";
import { findLogNumber } from "./fsck/snapshot.ts";
import { readPublished, type StoredSourceOptions } from "./log-source.ts";
import { type ObjectHeaders, type ObjectStore, openObjectStore } from "./object-store.ts";
import { placeOf } from "./options.ts";

const HEADERS: ObjectHeaders = { contentType: "application/json", cacheControl: "no-cache" };

/** What is pruned. */
export interface StoredPruneOptions extends StoredSourceOptions {
  /** The new minimum index; at most the published size, never below the old one. */
  readonly beforeIndex: bigint;
  /** Where the published retention policy stands, or what it is called. */
  readonly policy: string;
  /** Say whether it may be done; change nothing. */
  readonly isDryRun: boolean;
}

/** The retention of a log; undefined if nothing was ever pruned. @throws {StoreError} ERR_OBJECT_STORE; ERR_RETENTION, fatal, if it is damaged */
export function readStoredRetention(store: Pick<ObjectStore, "get">): Promise<Retention | undefined> {
  return readRetention({ read: async (path) => (await store.get(path))?.bytes });
}

/**
 * Raises the minimum index; nodes that run take it over within seconds. Objects stay.
 *
 * @throws {CheckError} ERR_RETENTION: no policy, a minimum above the published size or below the old one
 * @throws {StoreError} ERR_NOT_PUBLISHED; ERR_STORE_CONFLICT if somebody else raised it meanwhile; ERR_DATABASE*, ERR_OBJECT_STORE
 */
export async function pruneStored(options: StoredPruneOptions): Promise<void> {
  const { origin, storage, secrets, beforeIndex, policy, isDryRun } = options;
  if (policy === "") throw new CheckError("ERR_RETENTION", "want a published retention policy");
  const database = openDatabase(secrets.databaseUrl);
  try {
    const store = openObjectStore(placeOf(storage), secrets.credentials, secrets.fetch);
    const object = await store.get(RETENTION_PATH);
    const note = await readPublished(database, await findLogNumber(database, origin), origin);
    const { size } = parseCheckpoint(parseNote(note).text);
    // SPEC tlog-tiles: the minimum index MUST be at most the size of the checkpoint, and MUST NOT go back.
    if (beforeIndex > size) throw new CheckError("ERR_RETENTION", `want at most the published size ${size}`);
    const old = await readStoredRetention({ get: () => Promise.resolve(object) });
    const least = BigInt(old?.minimum_index ?? 0);
    if (beforeIndex < least) throw new CheckError("ERR_RETENTION", `the minimum index is ${least} and never goes back`);
    const bytes = formatRetention({ kind: "retention", v: 1, minimum_index: Number(beforeIndex), policy });
    if (!isDryRun) await write(store, bytes, object?.etag);
  } finally {
    await database.close();
  }
}

async function write(store: ObjectStore, bytes: Uint8Array, etag: string | undefined): Promise<void> {
  const written =
    etag === undefined
      ? await store.create(RETENTION_PATH, bytes, HEADERS)
      : await store.replace(RETENTION_PATH, bytes, HEADERS, etag);
  if (written === "created" || written === "replaced") return;
  throw new StoreError("ERR_STORE_CONFLICT", `somebody else writes ${RETENTION_PATH}; look at it, and try again`);
}
