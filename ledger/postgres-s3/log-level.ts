/**
 * What a program must know to run a node of a log, so that nodes of two versions never decide about one log by different rules:
 *
 *     1   entries, and streams of receipts
 *     2   what the log says of itself, and names of TRACE records, are rows that each node obeys
 *
 * A new log has the newest level. One that an earlier version made stays at its level until a turn first uses what a higher
 * one brought; that turn raises it, in its own transaction, and takes the lease away. From its commit on a node that knows less
 * neither sequences nor integrates: one that knows of levels finds the higher one in the row that it locks, and halts; one
 * of before them leaves `fence` behind, and the database refuses its statements (`CHECK (level = 1 OR fence = turn)`).
 *
 * While a log is halted (log-halt.ts) both rows have the level and `HALTED` more.
 */

import { StoreError } from "../../kernel/errors.ts";
import { GENESIS_ROW, isStatementRow, STATEMENT_ROWS } from "../lifecycle/statement-book.ts";
import type { IndexRow } from "../sequence/index-store.ts";
import type { Sql } from "./database.ts";
import { isNameRow, NAME_ROWS } from "./name-watch.ts";
import { nameBytes } from "./sequence-table.ts";

/** The highest level that this program knows: what it needs, and what it can serve. */
export const LOG_LEVEL = 2n;

/** What the level of a halted log has more: above every level that there will be. */
export const HALTED = 1_000_000n;

/** Whether a row of the log says that it is halted. */
export function isHalted(level: bigint): boolean {
  return level >= HALTED;
}

/** @throws {StoreError} ERR_DATABASE_SCHEMA, fatal, if the log, halted or not, has a level that this program does not know */
export function requireKnownLevel(level: bigint): void {
  if (level % HALTED <= LOG_LEVEL) return;
  const what = `the log is of level ${level}, this program knows ${LOG_LEVEL}: a newer version has written to it`;
  throw new StoreError("ERR_DATABASE_SCHEMA", what, { fatal: true });
}

/** Raises the level of one log where it must; for the turns of one node. */
export class LevelFence {
  readonly #log: bigint;
  /** No row of before this node's turns needs a higher level. */
  #isLooked = false;

  constructor(log: bigint) {
    this.#log = log;
  }

  /** @param level  of the log, in the lock of a turn @param rows  that the turn writes */
  async keep(sql: Sql, level: bigint, rows: readonly IndexRow[]): Promise<void> {
    if (level >= LOG_LEVEL) return;
    if (rows.some(needsLevel) || (!this.#isLooked && (await this.#hasRows(sql)))) await raiseLevel(sql, this.#log);
    else this.#isLooked = true;
  }

  async #hasRows(sql: Sql): Promise<boolean> {
    for (const [from, to] of [[GENESIS_ROW, STATEMENT_ROWS[1]], ...NAME_ROWS] as const) {
      const found = await sql.query(
        "SELECT name FROM countersign_row WHERE log = $1 AND name > $2 AND name < $3 LIMIT 1",
        [this.#log, nameBytes(from), nameBytes(to)],
      );
      if (found.length > 0) return true;
    }
    return false;
  }
}

/** Nodes of before wrote no row of these, and read none. */
function needsLevel(row: IndexRow): boolean {
  return isNameRow(row) || (isStatementRow(row) && row.key !== GENESIS_ROW);
}

/** Within a turn. Whoever integrates loses the lease with it, and takes it anew if it may. */
async function raiseLevel(sql: Sql, log: bigint): Promise<void> {
  await sql.query("UPDATE countersign_sequence SET level = $2 WHERE log = $1", [log, LOG_LEVEL]);
  await sql.query(
    `UPDATE countersign_head SET level = $2, token = token + 1, holder = '', lease_until = now(),
       change = change + 1, fence = change + 1 WHERE log = $1`,
    [log, LOG_LEVEL],
  );
}
