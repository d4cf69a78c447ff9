/**
 * Keeps a node's book of streams at what is durable in the database, though other nodes decide too. Only inside turns: the
 * lock of the sequence row makes the order of rows that of the turns.
 */

import { classifyEntry } from "../../kernel/entry-kind.ts";
import type { StreamBook } from "../admission/stream-book.ts";
import { isStatementRow, STATEMENT_ROWS } from "../lifecycle/statement-book.ts";
import type { IndexRow } from "../sequence/index-store.ts";
import type { WalRecord } from "../storage/wal-frame.ts";
import type { Sql } from "./database.ts";
import { isNameRow, NAME_ROWS, type NameWatch } from "./name-watch.ts";
import { type BesideRecord, type NameRange, rowsNamed, rowsSince } from "./sequence-table.ts";
import type { StatementSync } from "./statement-sync.ts";

/** Names of registrations and tips: `s/<stream>`, `t/<stream>`. */
const STREAM_ROWS = ["s/", "u"] as const;

/** What is kept at the state of the log beside its streams. */
export interface SyncedBooks {
  readonly statements: StatementSync;
  /** Undefined for a log that takes no trust records. */
  readonly names: NameWatch | undefined;
}

/** The streams, statements and names of one node. */
export class StreamSync {
  readonly #book: StreamBook;
  readonly #log: bigint;
  readonly #statements: StatementSync;
  readonly #names: NameWatch | undefined;
  readonly #ranges: readonly NameRange[];
  /** The last turn whose rows the book has. */
  #seen: bigint;
  #current: bigint;
  /** Streams that a turn without a known end decided about. */
  #unsettled = new Set<string>();

  /** @param seen  a turn that was over when the book was loaded */
  constructor(book: StreamBook, log: bigint, seen: bigint, { statements, names }: SyncedBooks) {
    this.#book = book;
    [this.#statements, this.#names] = [statements, names];
    this.#ranges = [STREAM_ROWS, STATEMENT_ROWS, ...(names === undefined ? [] : NAME_ROWS)];
    this.#log = log;
    this.#seen = seen;
    this.#current = seen;
  }

  /** Brings the book to the state that this turn decides on. */
  async takeOver(sql: Sql, turn: bigint): Promise<void> {
    this.#current = turn;
    if (this.#unsettled.size > 0) await this.#readAgain(sql);
    const all = await rowsSince(sql, this.#log, this.#seen, this.#ranges);
    await this.#statements.takeOver(sql, all.filter(isStatementRow));
    this.#names?.take(all.filter(isNameRow));
    const rows = all.filter((row) => !isStatementRow(row) && !isNameRow(row));
    const byName = new Map(rows.map(({ key, value }) => [key, value]));
    for (const stream of new Set(rows.map(({ key }) => key.slice(2)))) {
      this.#book.adopt(stream, byName.get(`s/${stream}`), byName.get(`t/${stream}`));
    }
  }

  /** Remembers which streams a turn decides about, until `settle`. @returns the records with the stream that each is of */
  noteDecided(rows: readonly IndexRow[], beside: readonly WalRecord[]): readonly BesideRecord[] {
    for (const { key } of rows) if (/^[st]\//u.test(key)) this.#unsettled.add(key.slice(2));
    this.#statements.noteDecided(rows);
    const records = beside.map(({ kind, bytes }) => ({
      kind,
      bytes,
      stream: kind === "conflict" ? streamOf(bytes) : "",
    }));
    for (const { stream } of records) if (stream !== "") this.#unsettled.add(stream);
    return records;
  }

  /** The turn failed, or nobody knows whether it is durable. */
  fail(): void {
    this.#statements.fail();
  }

  /** The turn is durable. */
  settle(): void {
    this.#statements.settle();
    this.#unsettled = new Set();
    this.#seen = this.#current;
  }

  async #readAgain(sql: Sql): Promise<void> {
    const streams = [...this.#unsettled];
    const rows = await rowsNamed(
      sql,
      this.#log,
      streams.flatMap((stream) => [`s/${stream}`, `t/${stream}`]),
    );
    const byName = new Map(rows.map(({ key, value }) => [key, value]));
    for (const stream of streams) {
      const registration = byName.get(`s/${stream}`);
      if (registration === undefined) this.#book.forget(stream);
      else this.#book.adopt(stream, registration, byName.get(`t/${stream}`));
    }
  }
}

/** Stream of a refused receipt; empty if it is none. */
function streamOf(bytes: Uint8Array): string {
  const found = classifyEntry(bytes);
  const stream = found.form === "envelope" ? found.value["stream"] : undefined;
  return typeof stream === "string" ? stream : "";
}
