/**
 * The SQL of one turn of sequencing. The row of countersign_sequence is locked by the first statement and stays so until the
 * commit: turns of all nodes follow each other, each sees all that the ones before made durable, and a range of indexes that
 * does not commit was never handed out.
 */

import { createHash } from "node:crypto";
import { concatAll, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { HASH_BYTES, type LeafHash, parseLeafHash } from "../../kernel/merkle/hash.ts";
import type { IndexRow } from "../sequence/index-store.ts";
import { formatBatch } from "./batch-bytes.ts";
import { bigintAt, bytesAt, type Sql, type SqlRow } from "./database.ts";

/** What the lock of a turn shows. */
export interface Turn {
  /** Counts the turns of the log, those that wrote nothing too. */
  readonly turn: bigint;
  /** Index that the next new entry gets. */
  readonly next: bigint;
  /** Size of the recorded tree head. */
  readonly integrated: bigint;
  /** What a node must know: log-level.ts. */
  readonly level: bigint;
}

/** A record that becomes durable beside entries. */
export interface BesideRecord {
  readonly kind: string;
  /** Stream of a refused receipt; empty for other records. */
  readonly stream: string;
  readonly bytes: Uint8Array;
}

/** What a turn writes. */
export interface TurnWrites {
  readonly entries: readonly { readonly bytes: Uint8Array; readonly leaf: LeafHash }[];
  readonly rows: readonly IndexRow[];
  readonly beside: readonly BesideRecord[];
}

/** Takes the lock of the log's sequence. */
export async function beginTurn(sql: Sql, log: bigint): Promise<Turn> {
  const [row] = await sql.query(
    `UPDATE countersign_sequence SET turn = turn + 1, fence = turn + 1 WHERE log = $1
     RETURNING turn, next_index, level, (SELECT size FROM countersign_head WHERE log = $1) AS integrated`,
    [log],
  );
  return {
    turn: bigintAt(row, "turn"),
    next: bigintAt(row, "next_index"),
    integrated: bigintAt(row, "integrated"),
    level: bigintAt(row, "level"),
  };
}

/**
 * Indexes of the leaves that the log has.
 *
 * @param readIndex  how the column is read; a check takes what is impossible too
 */
export async function findLeaves(
  sql: Sql,
  log: bigint,
  leaves: readonly LeafHash[],
  readIndex: (row: SqlRow, name: string) => bigint = bigintAt,
): Promise<readonly { readonly leaf: LeafHash; readonly index: bigint }[]> {
  if (leaves.length === 0) return [];
  // One look into the primary key for each leaf, whatever the planner thinks of the size of the table.
  const rows = await sql.query(
    `SELECT given.leaf, found.entry_index FROM unnest($2::bytea[]) AS given (leaf)
     CROSS JOIN LATERAL (
       SELECT entry_index FROM countersign_leaf AS known WHERE known.log = $1 AND known.leaf = given.leaf LIMIT 1
     ) AS found`,
    [log, leaves],
  );
  return rows.map((row) => ({ leaf: parseLeafHash(bytesAt(row, "leaf")), index: readIndex(row, "entry_index") }));
}

/** Names from `from` up to and without `to`. */
export type NameRange = readonly [from: string, to: string];

/** Rows of names in one of the ranges that turns after `turn` wrote. */
export async function rowsSince(
  sql: Sql,
  log: bigint,
  turn: bigint,
  ranges: readonly NameRange[],
): Promise<readonly IndexRow[]> {
  const isInRange = ranges.map((_, i) => `name >= $${2 * i + 3} AND name < $${2 * i + 4}`).join(" OR ");
  const rows = await sql.query(
    `SELECT name, value FROM countersign_row WHERE log = $1 AND turn > $2 AND (${isInRange})`,
    [log, turn, ...ranges.flat().map(nameBytes)],
  );
  return rows.map(indexRowOf);
}

/** Rows of names from `from` up to and without `to`, in their order. */
export async function rowsBetween(sql: Sql, log: bigint, from: string, to: string): Promise<readonly IndexRow[]> {
  const rows = await sql.query(
    "SELECT name, value FROM countersign_row WHERE log = $1 AND name >= $2 AND name < $3 ORDER BY name",
    [log, nameBytes(from), nameBytes(to)],
  );
  return rows.map(indexRowOf);
}

/** The rows with these names that exist. */
export async function rowsNamed(sql: Sql, log: bigint, names: readonly string[]): Promise<readonly IndexRow[]> {
  if (names.length === 0) return [];
  const rows = await sql.query("SELECT name, value FROM countersign_row WHERE log = $1 AND name = ANY($2::bytea[])", [
    log,
    names.map(nameBytes),
  ]);
  return rows.map(indexRowOf);
}

/** Writes what a turn decided: entries from index `next` on. */
export async function writeTurn(sql: Sql, log: bigint, { turn, next }: Turn, writes: TurnWrites): Promise<void> {
  const { entries, rows, beside } = writes;
  if (entries.length > 0) await writeEntries(sql, log, next, entries);
  if (rows.length > 0) await writeRows(sql, log, turn, rows);
  for (const { kind, stream, bytes } of beside) {
    await sql.query(
      `INSERT INTO countersign_beside (log, id, kind, stream, content, turn) VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (log, id) DO NOTHING`,
      [log, createHash("sha256").update(bytes).digest(), kind, stream, bytes, turn],
    );
  }
}

/** Of rows with one name the last one counts, as if they were written one after the other. */
async function writeRows(sql: Sql, log: bigint, turn: bigint, rows: readonly IndexRow[]): Promise<void> {
  const last = new Map(rows.map(({ key, value }) => [key, value]));
  await sql.query(
    `INSERT INTO countersign_row (log, name, value, turn)
     SELECT $1, name, value, $2::bigint FROM unnest($3::bytea[], $4::bytea[]) AS given (name, value)
     ON CONFLICT (log, name) DO UPDATE SET value = excluded.value, turn = excluded.turn`,
    [log, turn, [...last.keys()].map(nameBytes), [...last.values()]],
  );
}

/** Leaves come as one byte string and are cut by the database: an array of them costs both sides several times as much. */
async function writeEntries(sql: Sql, log: bigint, next: bigint, entries: TurnWrites["entries"]): Promise<void> {
  const count = entries.length;
  const bytes = formatBatch(entries.map((entry) => entry.bytes));
  const leaves = concatAll(entries.map(({ leaf }) => leaf));
  const moved = await sql.query(
    `WITH batch AS (
       INSERT INTO countersign_batch (log, first_index, count, entries) VALUES ($1, $2, $3, $4)
     ), leaves AS (
       INSERT INTO countersign_leaf (log, leaf, entry_index)
       SELECT $1, substring($5::bytea FROM (${HASH_BYTES} * i + 1)::integer FOR ${HASH_BYTES}), $2::bigint + i
       FROM generate_series(0::bigint, $3::bigint - 1) AS i
     )
     UPDATE countersign_sequence SET next_index = next_index + $3 WHERE log = $1 AND next_index = $2 RETURNING next_index`,
    [log, next, count, bytes, leaves],
  );
  if (moved.length === 1) return;
  throw new StoreError("ERR_DATABASE", "the sequence moved while its row was locked: the database does not isolate");
}

/** The name as bytes: byte strings have one order everywhere, texts have not. */
export function nameBytes(name: string): Uint8Array {
  return formatUtf8(name);
}

/** A row of countersign_row. */
export function indexRowOf(row: SqlRow): IndexRow {
  return { key: parseUtf8(bytesAt(row, "name")), value: bytesAt(row, "value") };
}
