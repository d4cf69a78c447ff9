/**
 * Keeps a node's books of statements at what is durable in the database, though other nodes have the log say things too.
 *
 * There are two: `settled` has what is durable and nothing else, and says who signs; `book` has what a turn under way decided
 * beside it, and is what turns decide on. Whether a turn whose commit hangs is durable nobody knows: another node may have
 * given its index to another entry since, and a checkpoint of that size is signed as if nothing had been said.
 *
 * Inside a turn the lock of the sequence row makes both exact: whatever another node has said is known before anything is
 * decided. Outside of turns they are brought up to the rows that are there. A statement is in the same transaction as its
 * entry, so whoever has read an entry finds the rows of all statements before it.
 */

import { signersAt } from "../../kernel/lifecycle/log-state.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { isStatementRow, STATEMENT_ROWS, StatementBook } from "../lifecycle/statement-book.ts";
import type { IndexRow } from "../sequence/index-store.ts";
import type { Sql } from "./database.ts";
import { rowsBetween } from "./sequence-table.ts";

const [FIRST, END] = STATEMENT_ROWS;

/** What the books are kept with. */
export interface StatementSyncParts {
  readonly sql: Sql;
  readonly log: bigint;
  /** What turns decide on. */
  readonly book: StatementBook;
  /** Told of every change of what is settled. */
  readonly onChange: () => void;
}

/** The statements of one log at one node. */
export class StatementSync {
  /** What is durable in the database, as far as this node has read it. */
  readonly settled: StatementBook = new StatementBook();
  readonly #parts: StatementSyncParts;
  /** Name of the newest row that is settled. */
  #last = "";
  /** Rows that a turn under way decided about. */
  #decided: readonly IndexRow[] = [];
  /** The book has what is not settled, of a turn that is over. */
  #isDoubtful = false;
  /** The rows of turns before the first one of this node need not be all there. */
  #isFirst = true;

  constructor(parts: StatementSyncParts) {
    this.#parts = parts;
  }

  /** Who signs a checkpoint of this size, by what is settled; the older pair first. Requires a genesis entry. */
  signersAt(size: bigint): readonly VerifierKey[] {
    return signersAt(this.settled.state, size);
  }

  /** Brings the books to the state that this turn decides on. @param rows  of statements, written since the last turn of this node */
  async takeOver(sql: Sql, rows: readonly IndexRow[]): Promise<void> {
    this.fail();
    const fresh = this.#isFirst || this.#isDoubtful ? await this.#readFresh(sql) : rows;
    this.#isFirst = false;
    this.#take(fresh);
  }

  /** Remembers that a turn decides about a statement, until `settle` or `fail`. */
  noteDecided(rows: readonly IndexRow[]): void {
    this.#decided = rows.filter(isStatementRow);
  }

  /** The turn is durable. */
  settle(): void {
    const rows = this.#decided;
    this.#decided = [];
    this.#take(rows);
  }

  /** The turn failed, or nobody knows. */
  fail(): void {
    this.#isDoubtful ||= this.#decided.length > 0;
    this.#decided = [];
  }

  /** Takes over the rows that are there; call outside of turns. @throws {StoreError} ERR_DATABASE */
  async refresh(): Promise<void> {
    this.#take(await this.#readFresh(this.#parts.sql));
  }

  #readFresh(sql: Sql): Promise<readonly IndexRow[]> {
    return rowsBetween(sql, this.#parts.log, this.#last === "" ? FIRST : `${this.#last}\0`, END);
  }

  /** Settles rows that are durable; an answer of the database that is older than what is settled adds nothing. */
  #take(rows: readonly IndexRow[]): void {
    const fresh = rows.filter(({ key }) => key > this.#last).toSorted((a, b) => (a.key < b.key ? -1 : 1));
    for (const row of fresh) {
      this.settled.replay(row.value, indexOf(row));
      this.#last = row.key;
    }
    // What a turn is deciding stays as it is until the turn is over.
    if (this.#decided.length === 0) this.#follow();
    // Once, behind all of them: of the states in between a node need not have the keys.
    if (fresh.length > 0) this.#parts.onChange();
  }

  /** Brings the book to what is settled. */
  #follow(): void {
    const { book } = this.#parts;
    if (this.#isDoubtful) book.clear();
    this.#isDoubtful = false;
    if (!this.settled.hasGenesis) return;
    book.replay(this.settled.genesis, 0n);
    const known = book.statements.at(-1)?.index ?? 0n;
    for (const { index, bytes } of this.settled.statements) if (index > known) book.replay(bytes, index);
  }
}

function indexOf({ key }: IndexRow): bigint {
  return BigInt(key.slice(FIRST.length));
}
