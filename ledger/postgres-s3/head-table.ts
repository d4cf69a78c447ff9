/**
 * The row of countersign_head: who integrates, how far the tree is, which checkpoints were made of it.
 *
 * The token rises with every change of hands. Each statement that moves the row names the token of the one who moves it, so
 * that an integrator which was replaced, however late it wakes, changes nothing any more. The clock of the database decides
 * when a lease is over; a wrong clock can make integrators take turns, never make two of them move the row.
 */

import { StoreError } from "../../kernel/errors.ts";
import { parseRootHash } from "../../kernel/merkle/hash.ts";
import type { TreeHead } from "../storage/head-store.ts";
import { bigintAt, bytesAt, type Database, hasValue, type Sql, type SqlRow, textAt } from "./database.ts";
import { type LogHalt, readHalt } from "./log-halt.ts";
import { isHalted, LOG_LEVEL, requireKnownLevel } from "./log-level.ts";

/** Counts a change; nodes that know of no levels do not move the fence along: log-level.ts. */
const STEP = "change = change + 1, fence = change + 1";

/** The row as it was read. */
export interface HeadRow extends TreeHead {
  readonly token: bigint;
  readonly holder: string;
  readonly change: bigint;
  /** The right edge of the tree: edge-bytes.ts. */
  readonly edge: Uint8Array;
  /** Notes: signed by the log; published with a quorum; published without one. */
  readonly logged: string | undefined;
  readonly published: string | undefined;
  readonly unwitnessed: string | undefined;
  /** POSIX seconds at which the quorum of `published` was met. */
  readonly publishedMet: bigint | undefined;
}

/** What a look at the log shows. */
export interface SeenHead {
  readonly next: bigint;
  /** Undefined if it is as it was. */
  readonly row: HeadRow | undefined;
  readonly halt: LogHalt | undefined;
}

/** The row of one log, moved by whoever holds its lease. */
export class HeadTable {
  readonly #database: Database;
  readonly #log: bigint;

  constructor(database: Database, log: bigint) {
    this.#database = database;
    this.#log = log;
  }

  /**
   * Takes the lease if nobody holds it, the log is not halted, and this program knows its level.
   *
   * @returns the new token; undefined while another one holds it
   */
  async acquire(holder: string, leaseMs: number): Promise<bigint | undefined> {
    const [row] = await this.#database.query(
      `UPDATE countersign_head SET token = token + 1, holder = $2, ${STEP},
         lease_until = now() + $3::double precision * interval '1 millisecond'
       WHERE log = $1 AND lease_until < now() AND level <= $4 RETURNING token`,
      [this.#log, holder, leaseMs, LOG_LEVEL],
    );
    return row === undefined ? undefined : bigintAt(row, "token");
  }

  /** Prolongs the lease. @throws {StoreError} ERR_LEASE_LOST */
  async renew(token: bigint, leaseMs: number): Promise<void> {
    const rows = await this.#database.query(
      `UPDATE countersign_head SET lease_until = now() + $3::double precision * interval '1 millisecond'
       WHERE log = $1 AND token = $2 RETURNING token`,
      [this.#log, token, leaseMs],
    );
    if (rows.length === 0) throw leaseLost();
  }

  /** Gives the lease back, so that another integrator need not wait for its end. */
  async release(token: bigint): Promise<void> {
    await this.#database.query(
      "UPDATE countersign_head SET lease_until = now() - interval '1 second' WHERE log = $1 AND token = $2",
      [this.#log, token],
    );
  }

  /** The row. @throws {StoreError} ERR_DATABASE, ERR_HEAD_DAMAGE */
  read(): Promise<HeadRow> {
    return readHeadRow(this.#database, this.#log);
  }

  /**
   * The row if it changed since `change`, the next index of the log, and its halt if it is halted.
   *
   * @throws {StoreError} ERR_DATABASE, ERR_HEAD_DAMAGE; ERR_DATABASE_SCHEMA, fatal
   */
  async readChanged(change: bigint): Promise<SeenHead> {
    const [row] = await this.#database.query(
      `SELECT h.*, s.next_index, s.level AS log_level FROM countersign_sequence AS s
       LEFT JOIN countersign_head AS h ON h.log = s.log AND h.change <> $2 WHERE s.log = $1`,
      [this.#log, change],
    );
    const level = bigintAt(row, "log_level");
    requireKnownLevel(level);
    const isChanged = row !== undefined && hasValue(row, "token");
    const halt = isHalted(level) ? await readHalt(this.#database, this.#log) : undefined;
    return { next: bigintAt(row, "next_index"), row: isChanged ? headRowOf(row) : undefined, halt };
  }

  /**
   * Records a larger head in place of `old`, and drops the batches that end at or below `covered`: their bundles are stored.
   *
   * @throws {StoreError} ERR_LEASE_LOST; ERR_HEAD_CONFLICT, fatal
   */
  advance(
    token: bigint,
    old: TreeHead,
    next: TreeHead & { readonly edge: Uint8Array },
    covered: bigint,
  ): Promise<void> {
    return this.#database.transaction(async (sql) => {
      const moved = await sql.query(
        `UPDATE countersign_head SET size = $5, root = $6, edge = $7, ${STEP}
         WHERE log = $1 AND token = $2 AND size = $3 AND root = $4 AND size < $5 RETURNING token`,
        [this.#log, token, old.size, old.root, next.size, next.root, next.edge],
      );
      if (moved.length === 0) await this.#refuse(sql, token);
      await sql.query("DELETE FROM countersign_batch WHERE log = $1 AND first_index + count <= $2", [
        this.#log,
        covered,
      ]);
    });
  }

  /** Records the checkpoint that the log signed of the recorded head. @throws {StoreError} ERR_LEASE_LOST */
  async recordLogged(token: bigint, size: bigint, note: string): Promise<void> {
    const rows = await this.#database.query(
      `UPDATE countersign_head SET logged = $4, ${STEP}
       WHERE log = $1 AND token = $2 AND size = $3 RETURNING token`,
      [this.#log, token, size, note],
    );
    if (rows.length === 0) throw leaseLost();
  }

  /** Records what is published from now on. @throws {StoreError} ERR_LEASE_LOST */
  async recordPublished(token: bigint, note: string, metAtSeconds: bigint): Promise<void> {
    const rows = await this.#database.query(
      `UPDATE countersign_head SET published = $3, published_met = $4, ${STEP}
       WHERE log = $1 AND token = $2 RETURNING token`,
      [this.#log, token, note, metAtSeconds],
    );
    if (rows.length === 0) throw leaseLost();
  }

  /** Records what is published without a quorum. @throws {StoreError} ERR_LEASE_LOST */
  async recordUnwitnessed(token: bigint, note: string): Promise<void> {
    const rows = await this.#database.query(
      `UPDATE countersign_head SET unwitnessed = $3, ${STEP}
       WHERE log = $1 AND token = $2 RETURNING token`,
      [this.#log, token, note],
    );
    if (rows.length === 0) throw leaseLost();
  }

  async #refuse(sql: Sql, token: bigint): Promise<never> {
    const [row] = await sql.query("SELECT token FROM countersign_head WHERE log = $1", [this.#log]);
    if (bigintAt(row, "token") !== token) throw leaseLost();
    throw new StoreError("ERR_HEAD_CONFLICT", "the recorded head is not the one that this integrator recorded", {
      fatal: true,
    });
  }
}

/** The row of a log. @throws {StoreError} ERR_DATABASE, ERR_HEAD_DAMAGE */
export async function readHeadRow(sql: Sql, log: bigint): Promise<HeadRow> {
  const [row] = await sql.query("SELECT * FROM countersign_head WHERE log = $1", [log]);
  if (row !== undefined) return headRowOf(row);
  throw new StoreError("ERR_HEAD_DAMAGE", "the log has no row in countersign_head", { fatal: true });
}

function leaseLost(): StoreError {
  return new StoreError("ERR_LEASE_LOST", "the lease of the log has another token");
}

function headRowOf(row: SqlRow): HeadRow {
  return {
    token: bigintAt(row, "token"),
    holder: textAt(row, "holder"),
    change: bigintAt(row, "change"),
    size: bigintAt(row, "size"),
    root: parseRootHash(bytesAt(row, "root")),
    edge: bytesAt(row, "edge"),
    logged: hasValue(row, "logged") ? textAt(row, "logged") : undefined,
    published: hasValue(row, "published") ? textAt(row, "published") : undefined,
    unwitnessed: hasValue(row, "unwitnessed") ? textAt(row, "unwitnessed") : undefined,
    publishedMet: hasValue(row, "published_met") ? bigintAt(row, "published_met") : undefined,
  };
}
