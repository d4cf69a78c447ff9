/**
 * The tables of the driver, version 1. They are made at the first start; a database whose tables are of another version is
 * refused. Many logs may share a database: `log` is a number that stands for the origin.
 *
 *     countersign_schema      the version of the tables
 *     countersign_log         number of each log
 *     countersign_sequence    one row a log: the next index. Whoever sequences holds its lock until the commit
 *     countersign_batch       entries that one transaction sequenced, until their bundles are in the object store:
 *                             (u16 length ‖ entry) ..., as in an entry bundle
 *     countersign_leaf        index of the first entry with a leaf hash, for good
 *     countersign_row         rows of the admission (docs of IndexStore), with the turn that wrote them last
 *     countersign_beside      segment envelopes and refused receipts of forks, by SHA-256
 *     countersign_head        one row a log: the lease of the integrator, the recorded tree head with its right edge, and
 *                             the checkpoints made of it. `change` counts its changes
 *     countersign_halt        why a log is halted: log-halt.ts
 *
 * The rows of `countersign_sequence` and `countersign_head` have the level of the log and a fence: log-level.ts.
 */

import { StoreError } from "../../kernel/errors.ts";
import { bigintAt, type Database, type Sql, sqlStateOf } from "./database.ts";
import { requireRunning } from "./log-halt.ts";
import { LOG_LEVEL } from "./log-level.ts";

const VERSION = 1n;

const TABLES: readonly string[] = [
  "CREATE TABLE IF NOT EXISTS countersign_schema (version bigint PRIMARY KEY)",
  "CREATE TABLE IF NOT EXISTS countersign_log (id bigint PRIMARY KEY, origin text NOT NULL UNIQUE)",
  `CREATE TABLE IF NOT EXISTS countersign_sequence (
     log bigint PRIMARY KEY, next_index bigint NOT NULL, turn bigint NOT NULL, ${levelColumns("turn")})`,
  `CREATE TABLE IF NOT EXISTS countersign_batch (
     log bigint NOT NULL, first_index bigint NOT NULL, count bigint NOT NULL, entries bytea NOT NULL,
     PRIMARY KEY (log, first_index))`,
  `CREATE TABLE IF NOT EXISTS countersign_leaf (
     log bigint NOT NULL, leaf bytea NOT NULL, entry_index bigint NOT NULL, PRIMARY KEY (log, leaf))`,
  `CREATE TABLE IF NOT EXISTS countersign_row (
     log bigint NOT NULL, name bytea NOT NULL, value bytea NOT NULL, turn bigint NOT NULL, PRIMARY KEY (log, name))`,
  "CREATE INDEX IF NOT EXISTS countersign_row_turn ON countersign_row (log, turn)",
  `CREATE TABLE IF NOT EXISTS countersign_beside (
     log bigint NOT NULL, id bytea NOT NULL, kind text NOT NULL, stream text NOT NULL, content bytea NOT NULL,
     turn bigint NOT NULL, PRIMARY KEY (log, id))`,
  "CREATE INDEX IF NOT EXISTS countersign_beside_stream ON countersign_beside (log, kind, stream)",
  `CREATE TABLE IF NOT EXISTS countersign_head (
     log bigint PRIMARY KEY, token bigint NOT NULL, holder text NOT NULL, lease_until timestamptz NOT NULL,
     change bigint NOT NULL, size bigint NOT NULL, root bytea NOT NULL, edge bytea NOT NULL,
     logged text, published text, published_met bigint, unwitnessed text, ${levelColumns("change")})`,
  `CREATE TABLE IF NOT EXISTS countersign_halt (
     log bigint PRIMARY KEY, token bigint NOT NULL, holder text NOT NULL, code text NOT NULL, message text NOT NULL,
     seconds bigint NOT NULL)`,
];

/** Tables that versions of before the levels made: what their fence counts. */
const LEVELLED: readonly (readonly [table: string, count: string])[] = [
  ["countersign_sequence", "turn"],
  ["countersign_head", "change"],
];

/** States of a database in which another node makes the same tables at the same time. */
const RACES: ReadonlySet<string> = new Set(["23505", "40001", "40P01", "42701", "42P07"]);
const MAX_ATTEMPTS = 20;

/**
 * Makes what is missing and returns the number of the log of `origin`.
 *
 * @throws {StoreError} ERR_DATABASE, ERR_DATABASE_SCHEMA, ERR_DATABASE_SETTINGS; ERR_LOG_HALTED, fatal
 */
export async function prepareTables(database: Database, origin: string, emptyRoot: Uint8Array): Promise<bigint> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      for (const statement of TABLES) await database.query(statement);
      for (const [table, count] of LEVELLED) await addLevel(database, table, count);
      return await database.transaction((sql) => findLog(sql, origin, emptyRoot));
    } catch (error) {
      const state = error instanceof StoreError ? sqlStateOf(error.cause) : undefined;
      if (state === undefined || !RACES.has(state) || attempt >= MAX_ATTEMPTS) throw error;
    }
  }
}

/** A level, and the fence in front of nodes that do not move it with `count`. */
function levelColumns(count: string): string {
  return `level bigint NOT NULL DEFAULT 1, fence bigint NOT NULL DEFAULT 0, CHECK (level = 1 OR fence = ${count})`;
}

/** Only where it is missing: it waits for the lock of the whole table, and takes the right to change it. */
async function addLevel(database: Database, table: string, count: string): Promise<void> {
  const [found] = await database.query(
    `SELECT column_name FROM information_schema.columns
     WHERE table_schema = current_schema() AND table_name = $1 AND column_name = 'level'`,
    [table],
  );
  if (found !== undefined) return;
  const columns = levelColumns(count).replaceAll(/(?=\b(?:level bigint|fence bigint|CHECK))/gu, "ADD ");
  await database.query(`ALTER TABLE ${table} ${columns}`);
}

async function findLog(sql: Sql, origin: string, emptyRoot: Uint8Array): Promise<bigint> {
  await sql.query(
    "INSERT INTO countersign_schema (version) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM countersign_schema)",
    [VERSION],
  );
  for (const row of await sql.query("SELECT version FROM countersign_schema")) {
    const version = bigintAt(row, "version");
    if (version === VERSION) continue;
    const what = `the tables are of version ${version}, this program's of ${VERSION}`;
    throw new StoreError("ERR_DATABASE_SCHEMA", what, { fatal: true });
  }
  await sql.query(
    `INSERT INTO countersign_log (id, origin) SELECT COALESCE(MAX(id), 0) + 1, $1 FROM countersign_log
     HAVING NOT EXISTS (SELECT 1 FROM countersign_log WHERE origin = $1)`,
    [origin],
  );
  const [row] = await sql.query("SELECT id FROM countersign_log WHERE origin = $1", [origin]);
  const log = bigintAt(row, "id");
  await sql.query(
    "INSERT INTO countersign_sequence (log, next_index, turn, level) VALUES ($1, 0, 0, $2) ON CONFLICT DO NOTHING",
    [log, LOG_LEVEL],
  );
  await sql.query(
    `INSERT INTO countersign_head (log, token, holder, lease_until, change, size, root, edge, level)
     VALUES ($1, 0, '', now(), 0, 0, $2, $3, $4) ON CONFLICT DO NOTHING`,
    [log, emptyRoot, new Uint8Array(0), LOG_LEVEL],
  );
  const [sequence] = await sql.query("SELECT level FROM countersign_sequence WHERE log = $1", [log]);
  await requireRunning(sql, log, bigintAt(sequence, "level"));
  return log;
}
