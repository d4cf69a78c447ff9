/**
 * The halt of a whole log. An integrator that finds what only a person may judge (another root, other bytes at an immutable key, a
 * witness that has seen more) writes it down, and no node admits, integrates or starts until somebody has checked the log and
 * cleared it:
 *
 *     countersign_halt        one row while the log is halted: the token of the term that found the fault, who held it, code,
 *                             text and time (POSIX seconds, clock of the database)
 *
 * In the same transaction the level of the log goes up by `HALTED` in both its rows (log-level.ts). That is the fence: each turn
 * locks the row of the sequence and reads the level there, so of a turn and a halt one comes first, and what is acknowledged was
 * committed before the halt. Nodes of versions that know no halt meet a level that they do not know.
 */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { isCodedError, StoreError } from "../../kernel/errors.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { bigintAt, type Database, type Sql, textAt } from "./database.ts";
import { HALTED, isHalted, requireKnownLevel } from "./log-level.ts";

/** What proves that the log must not go on. Not what a node lacks, nor what may pass. */
const HALTING: ReadonlySet<ErrorCode> = new Set([
  "ERR_BATCH_DAMAGE",
  "ERR_HEAD_CONFLICT",
  "ERR_HEAD_DAMAGE",
  "ERR_LOG_BEHIND",
  "ERR_LOG_FORKED",
  "ERR_STORE_CONFLICT",
  "ERR_TILE_MISSING",
  "ERR_WITNESS_AHEAD",
]);
/** Characters of a fault's text that are kept. */
const MAX_TEXT = 1000;

/** Why a log is halted. */
export interface LogHalt {
  /** Of the term that found the fault; a log has no two halts with one. */
  readonly token: bigint;
  readonly holder: string;
  readonly code: string;
  readonly message: string;
  /** POSIX seconds. */
  readonly seconds: bigint;
}

/** The halt as `/readyz` and fsck show it. */
export interface HaltView {
  readonly code: string;
  /** RFC 3339. */
  readonly at: string;
  /** Who found the fault: host, process. */
  readonly by: string;
}

/** The code of a fault that halts the whole log; undefined for one that is a node's own affair, or may pass. */
export function haltingCode(fault: unknown): ErrorCode | undefined {
  return isCodedError(fault) && HALTING.has(fault.code) ? fault.code : undefined;
}

/**
 * Halts a log, unless it is halted already.
 *
 * @param given  `token`: of the term that found the fault; an older one changes nothing
 * @throws {StoreError} ERR_LEASE_LOST, ERR_DATABASE
 */
export async function recordHalt(database: Database, log: bigint, given: Omit<LogHalt, "seconds">): Promise<void> {
  const { token, holder, code, message } = given;
  await database.transaction(async (sql) => {
    // The order of locks is that of a turn.
    const raised = await sql.query(
      "UPDATE countersign_sequence SET level = level + $2, fence = turn WHERE log = $1 AND level < $2 RETURNING log",
      [log, HALTED],
    );
    if (raised.length === 0) return;
    const moved = await sql.query(
      `UPDATE countersign_head SET level = level + $3, change = change + 1, fence = change + 1
       WHERE log = $1 AND token = $2 RETURNING token`,
      [log, token, HALTED],
    );
    if (moved.length === 0) throw new StoreError("ERR_LEASE_LOST", "another integrator has taken the log over");
    await sql.query(
      `INSERT INTO countersign_halt (log, token, holder, code, message, seconds)
       VALUES ($1, $2, $3, $4, $5, extract(epoch FROM now())::bigint)`,
      [log, token, holder, code, message.slice(0, MAX_TEXT)],
    );
  });
}

/**
 * Whether this program may decide for a log.
 *
 * @param level  of the row of the sequence; in a turn, of the row that it has locked
 * @throws {StoreError} fatal: ERR_DATABASE_SCHEMA if the program knows too little, ERR_LOG_HALTED
 */
export async function requireRunning(sql: Sql, log: bigint, level: bigint): Promise<void> {
  requireKnownLevel(level);
  if (isHalted(level)) throw logHalted(await readHalt(sql, log));
}

/** The halt of a log whose level says that it is halted. @throws {StoreError} ERR_DATABASE; ERR_HEAD_DAMAGE if nobody wrote down why */
export async function readHalt(sql: Sql, log: bigint): Promise<LogHalt> {
  const [row] = await sql.query("SELECT * FROM countersign_halt WHERE log = $1", [log]);
  if (row === undefined)
    throw new StoreError("ERR_HEAD_DAMAGE", "the log is halted, and has no row in countersign_halt", { fatal: true });
  return {
    token: bigintAt(row, "token"),
    holder: textAt(row, "holder"),
    code: textAt(row, "code"),
    message: textAt(row, "message"),
    seconds: bigintAt(row, "seconds"),
  };
}

/**
 * Clears a halt; nodes that halted for it stay so until they are started again.
 *
 * @param halt  the one that was judged
 * @throws {StoreError} ERR_STORE_CONFLICT if the log has another one, or none; ERR_DATABASE
 */
export async function clearHalt(database: Database, log: bigint, { token }: LogHalt): Promise<void> {
  await database.transaction(async (sql) => {
    await sql.query("UPDATE countersign_sequence SET level = level - $2, fence = turn WHERE log = $1 AND level >= $2", [
      log,
      HALTED,
    ]);
    await sql.query(
      `UPDATE countersign_head SET level = level - $2, change = change + 1, fence = change + 1
       WHERE log = $1 AND level >= $2`,
      [log, HALTED],
    );
    const gone = await sql.query("DELETE FROM countersign_halt WHERE log = $1 AND token = $2 RETURNING token", [
      log,
      token,
    ]);
    if (gone.length === 0) throw new StoreError("ERR_STORE_CONFLICT", "the log has another halt, or none any more");
  });
}

/** What a node says that does not go on. */
export function logHalted(halt: LogHalt): StoreError {
  const what = `an integrator halted the log at ${timeOf(halt)} with ${halt.code}`;
  const next = "`countersign fsck --config` names the damage, and clears the halt with --clear-halt once there is none";
  return new StoreError("ERR_LOG_HALTED", `${what}; ${next}`, { fatal: true });
}

/** What is shown of a halt. */
export function haltView(halt: LogHalt): HaltView {
  return { code: halt.code, at: timeOf(halt), by: halt.holder };
}

function timeOf({ seconds }: LogHalt): string {
  return formatTimestamp(Number(seconds) * 1000);
}
