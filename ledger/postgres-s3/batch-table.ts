/** Sequenced entries in the database, in order: every one that is not in a stored full bundle, and some that are. */

import { StoreError } from "../../kernel/errors.ts";
import { parseBatch } from "./batch-bytes.ts";
import { bigintAt, bytesAt, type Sql } from "./database.ts";

/** Rows of one read. A row has at most some megabytes. */
const READ_ROWS = 8;

/** Entries with consecutive indexes. */
export interface EntryRun {
  readonly firstIndex: bigint;
  readonly entries: readonly Uint8Array[];
}

/**
 * Entries from `index` on, as far as one read goes; none if the log ends there.
 *
 * @throws {StoreError} ERR_DATABASE; ERR_BATCH_DAMAGE, fatal, if the rows leave a gap
 */
export async function readRun(sql: Sql, log: bigint, index: bigint): Promise<EntryRun | undefined> {
  const rows = await sql.query(
    `SELECT first_index, count, entries FROM countersign_batch
     WHERE log = $1 AND first_index >= (
       SELECT COALESCE(MAX(first_index), $2) FROM countersign_batch WHERE log = $1 AND first_index <= $2)
     ORDER BY first_index LIMIT ${READ_ROWS}`,
    [log, index],
  );
  const entries: Uint8Array[] = [];
  for (const row of rows) {
    const [first, count] = [bigintAt(row, "first_index"), bigintAt(row, "count")];
    if (first + count <= index) continue;
    const [from, to] = [first > index ? first : index, first + count];
    if (from !== index + BigInt(entries.length)) {
      const what = `entries from ${index + BigInt(entries.length)} up to ${from} are in no row`;
      throw new StoreError("ERR_BATCH_DAMAGE", what, { fatal: true });
    }
    entries.push(...parseBatch(bytesAt(row, "entries"), Number(count)).slice(Number(from - first), Number(to - first)));
  }
  return entries.length === 0 ? undefined : { firstIndex: index, entries };
}

/** The entry at `index`, if the database still has it. @throws {StoreError} ERR_DATABASE */
export async function readEntryRow(sql: Sql, log: bigint, index: bigint): Promise<Uint8Array | undefined> {
  const [row] = await sql.query(
    `SELECT first_index, count, entries FROM countersign_batch WHERE log = $1 AND first_index <= $2
     ORDER BY first_index DESC LIMIT 1`,
    [log, index],
  );
  if (row === undefined) return undefined;
  const [first, count] = [bigintAt(row, "first_index"), bigintAt(row, "count")];
  return index < first + count ? parseBatch(bytesAt(row, "entries"), Number(count))[Number(index - first)] : undefined;
}
