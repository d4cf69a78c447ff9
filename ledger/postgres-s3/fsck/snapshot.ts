/**
 * What the database says of a log at one moment: how far the sequence is, the head row, and the tips of streams. A check is of
 * the log up to there, whatever nodes add meanwhile.
 */

import { formatUint64, formatUtf8 } from "../../../kernel/bytes.ts";
import { StoreError } from "../../../kernel/errors.ts";
import type { IndexReader } from "../../sequence/level-index.ts";
import { bigintAt, type Database, hasValue, type Sql, sqlStateOf } from "../database.ts";
import { type HeadRow, readHeadRow } from "../head-table.ts";
import { type LogHalt, readHalt } from "../log-halt.ts";
import { isHalted, requireKnownLevel } from "../log-level.ts";
import { indexRowOf, nameBytes, rowsNamed } from "../sequence-table.ts";

/** Rows of one read. */
const PAGE_ROWS = 10_000;
/** As rows of an index on disk: level-index.ts. */
const [SIZE_FORMAT, ROW_PREFIX] = [2, "r"];
/** SQLSTATE of a table that is not there. */
const NO_TABLE = "42P01";

/** The log at one moment. */
export interface LogSnapshot {
  /** Number of the log in the tables. */
  readonly log: bigint;
  /** Entries that have an index. */
  readonly next: bigint;
  /** The last turn whose rows count. */
  readonly turn: bigint;
  readonly head: HeadRow;
  /** Undefined unless the log is halted. */
  readonly halt: LogHalt | undefined;
  /** Rows `s/…` and `t/…`, which change from turn to turn: some 1 KiB a stream, as a node has them in memory. */
  readonly streamRows: ReadonlyMap<string, Uint8Array>;
}

/**
 * Reads the snapshot of the log of `origin`; changes nothing, and makes no tables.
 *
 * @throws {StoreError} ERR_DATABASE; ERR_GENESIS_MISMATCH if the database has no such log; ERR_HEAD_DAMAGE;
 *   ERR_DATABASE_SCHEMA if a newer version of the program has written to it
 */
export async function readSnapshot(database: Database, origin: string): Promise<LogSnapshot> {
  return database.transaction(async (sql) => {
    await sql.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    const log = await findLogNumber(sql, origin);
    const [row] = await sql.query("SELECT * FROM countersign_sequence WHERE log = $1", [log]);
    // Tables of before the levels have none.
    const level = row !== undefined && hasValue(row, "level") ? bigintAt(row, "level") : 1n;
    requireKnownLevel(level);
    const halt = isHalted(level) ? await readHalt(sql, log) : undefined;
    const head = await readHeadRow(sql, log);
    const streamRows = new Map<string, Uint8Array>();
    for await (const { key, value } of pages(sql, { log, from: "s/", to: "u", turn: bigintAt(row, "turn") }))
      streamRows.set(key, value);
    return { log, next: bigintAt(row, "next_index"), turn: bigintAt(row, "turn"), head, halt, streamRows };
  });
}

/** Number of the log of `origin` in the tables. @throws {StoreError} ERR_DATABASE; ERR_GENESIS_MISMATCH if there is none */
export async function findLogNumber(sql: Sql, origin: string): Promise<bigint> {
  const missing = new StoreError("ERR_GENESIS_MISMATCH", `the database has no log of origin ${origin}`);
  try {
    const [row] = await sql.query("SELECT id FROM countersign_log WHERE origin = $1", [origin]);
    if (row === undefined) throw missing;
    return bigintAt(row, "id");
  } catch (error) {
    throw error instanceof StoreError && sqlStateOf(error.cause) === NO_TABLE ? missing : error;
  }
}

interface Range {
  readonly log: bigint;
  /** Names from here, up to and without `to`. */
  readonly from: string;
  readonly to: string;
  readonly turn: bigint;
}

type NamedRow = ReturnType<typeof indexRowOf>;

async function* pages(sql: Sql, { log, from, to, turn }: Range): AsyncGenerator<NamedRow, void, undefined> {
  let [start, isAfter] = [from, false];
  for (;;) {
    const rows = await sql.query(
      `SELECT name, value FROM countersign_row
       WHERE log = $1 AND name ${isAfter ? ">" : ">="} $2 AND name < $3 AND turn <= $4 ORDER BY name LIMIT ${PAGE_ROWS}`,
      [log, nameBytes(start), nameBytes(to), turn],
    );
    const page = rows.map(indexRowOf);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE_ROWS) return;
    [start, isAfter] = [last.key, true];
  }
}

/** The rows of a snapshot in the form of an index on disk that covers the whole of it. */
export function indexReaderOf(sql: Sql, { log, next, turn, streamRows }: LogSnapshot): IndexReader {
  const size = Uint8Array.of(...formatUint64(next), SIZE_FORMAT);
  const keyOf = (name: string): Uint8Array => formatUtf8(`${ROW_PREFIX}${name}`);
  async function* all(): AsyncGenerator<readonly [Uint8Array, Uint8Array], void, undefined> {
    for (const [name, value] of streamRows) yield [keyOf(name), value];
    for (const [from, to] of [
      ["", "s/"],
      ["u", "\u{10ffff}"],
    ] as const)
      for await (const { key, value } of pages(sql, { log, from, to, turn })) yield [keyOf(key), value];
  }
  return {
    watermark: size,
    durable: size,
    rows: async (names) => {
      const others = names.filter((name) => !/^[st]\//u.test(name));
      const found = new Map((await rowsNamed(sql, log, others)).map(({ key, value }) => [key, value]));
      return names.map((name) => found.get(name) ?? streamRows.get(name));
    },
    all,
    close: () => Promise.resolve(),
  };
}
