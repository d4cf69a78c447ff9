/**
 * Rows of sequenced entries as a check reads them: in order, as far as they are there, whole or not. An integrator may drop rows
 * meanwhile; what is gone is in a bundle that the head row, once it is read again, says to be stored.
 */

import { isCodedError } from "../../../kernel/errors.ts";
import type { Findings } from "../../fsck/finding.ts";
import { LENGTH_BYTES, parseBatch } from "../batch-bytes.ts";
import { bigintAt, bytesAt, hasValue, integerAt, type Sql, type SqlRow } from "../database.ts";

/** Rows of one read. A row has at most some megabytes. */
const READ_ROWS = 8;

/** What findings about rows of sequenced entries name, with the first index of the row. */
export const BATCH_PLACE = "database/batch";

/** What findings about the next index name. */
export const SEQUENCE_PLACE = "database/sequence";

/** A row of sequenced entries. */
export interface BatchRow {
  readonly first: bigint;
  /** As the row says, if it can have so many. */
  readonly count: bigint;
  /** Undefined if the row is damaged. */
  readonly entries: readonly Uint8Array[] | undefined;
}

/** The rows of one log, below the next index of a snapshot; mutable. */
export class SequencedRows {
  readonly #sql: Sql;
  readonly #log: bigint;
  readonly #next: bigint;
  readonly #findings: Findings;
  #kept: readonly BatchRow[] = [];

  /** @param snapshot  number of the log, and entries that have an index */
  constructor(sql: Sql, snapshot: { readonly log: bigint; readonly next: bigint }, findings: Findings) {
    [this.#sql, this.#log, this.#next, this.#findings] = [sql, snapshot.log, snapshot.next, findings];
  }

  /** Rows with entries of [start, end). Those of the read before are kept: a row may be of many bundles. */
  async rowsOf(start: bigint, end: bigint): Promise<readonly BatchRow[]> {
    const kept = this.#kept.filter((row) => row.first < end && row.first + row.count > start);
    if (isCovered(kept, start, end)) return kept;
    const found: BatchRow[] = [];
    for (let from = start; from < end; ) {
      const rows = await this.#sql.query(
        `SELECT first_index, count, entries FROM countersign_batch
         WHERE log = $1 AND first_index < $3 AND first_index >= (
           SELECT COALESCE(MAX(first_index), $2) FROM countersign_batch WHERE log = $1 AND first_index <= $2)
         ORDER BY first_index LIMIT ${READ_ROWS}`,
        [this.#log, from, end],
      );
      const parsed = rows.map((row) => this.#parse(row)).filter(({ first, count }) => first + count > from);
      found.push(...parsed);
      const last = parsed.at(-1);
      if (last === undefined || rows.length < READ_ROWS) break;
      from = last.first + last.count;
    }
    this.#kept = found;
    return found;
  }

  /** Entries of [start, end), with holes where no row gives one. */
  async entriesOf(start: bigint, end: bigint): Promise<readonly Uint8Array[]> {
    const found: Uint8Array[] = [];
    for (const { first, entries = [] } of await this.rowsOf(start, end))
      for (const [i, entry] of entries.entries()) {
        const at = Number(first + BigInt(i) - start);
        if (at >= 0 && at < Number(end - start)) found[at] = entry;
      }
    return found;
  }

  /** First index of the first row behind `index`; undefined if there is none below the next index. */
  async firstBehind(index: bigint): Promise<bigint | undefined> {
    const [row] = await this.#sql.query(
      `SELECT MIN(first_index) AS first FROM countersign_batch
       WHERE log = $1 AND first_index > $2 AND first_index < $3`,
      [this.#log, index, this.#next],
    );
    return row !== undefined && hasValue(row, "first") ? bigintAt(row, "first") : undefined;
  }

  /** All rows, in order. */
  async *all(): AsyncGenerator<BatchRow, void, undefined> {
    for (let at: bigint | null = null, isLast = false; !isLast; ) {
      const rows = await this.#sql.query(
        `SELECT first_index, count, entries FROM countersign_batch
         WHERE log = $1 AND ($2::bigint IS NULL OR first_index > $2) AND first_index < $3
         ORDER BY first_index LIMIT ${READ_ROWS}`,
        [this.#log, at, this.#next],
      );
      for (const row of rows.map((each) => this.#parse(each))) {
        at = row.first;
        yield row;
      }
      isLast = rows.length < READ_ROWS;
    }
  }

  /** Names a next index that rows go beyond: what they have would get an index a second time. Asks for both in one statement. */
  async checkNext(): Promise<void> {
    const [row] = await this.#sql.query(
      `SELECT next_index, (
         SELECT COALESCE(MAX(first_index::numeric + count), 0) FROM countersign_batch
         WHERE log = $1 AND first_index::numeric + count > next_index
       ) AS reach FROM countersign_sequence WHERE log = $1`,
      [this.#log],
    );
    const [next, reach] = [bigintAt(row, "next_index"), bigintAt(row, "reach")];
    if (reach <= next) return;
    const message = `the next index is ${next}, and rows have entries up to ${reach - 1n}`;
    this.#findings.add({ path: SEQUENCE_PLACE, code: "ERR_LOG_BEHIND", index: next, message });
  }

  #parse(row: SqlRow): BatchRow {
    const [first, count, bytes] = [integerAt(row, "first_index"), integerAt(row, "count"), bytesAt(row, "entries")];
    // Of one that says what cannot be, nothing but its first index is believed.
    if (first < 0n) return this.#damaged(first, 1n, "its first index is negative");
    if (count < 1n || count * BigInt(LENGTH_BYTES) > bytes.length)
      return this.#damaged(first, 1n, `it says ${count} entries`);
    try {
      return { first, count, entries: parseBatch(bytes, Number(count)) };
    } catch (error) {
      if (!isCodedError(error)) throw error;
      return this.#damaged(first, count, error.message);
    }
  }

  #damaged(first: bigint, count: bigint, message: string): BatchRow {
    const [path, findings] = [`${BATCH_PLACE}/${first}`, this.#findings];
    if (!findings.names(path)) findings.add({ path, code: "ERR_BATCH_DAMAGE", index: first, message });
    return { first, count, entries: undefined };
  }
}

/** Whether rows, in order, reach from `start` to `end` without a hole. */
export function isCovered(rows: readonly BatchRow[], start: bigint, end: bigint): boolean {
  let at = start;
  for (const { first, count } of rows) if (first <= at) at = first + count;
  return at >= end;
}
