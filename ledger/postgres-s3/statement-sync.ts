/**
 * Keeps a node's book of statements at what is durable in the database, though other nodes have the log say things too.
 *
 * Inside a turn the lock of the sequence row makes it exact: whatever another node has said is known before anything is decided.
 * Outside of turns it is brought up to the rows that are there. A statement is in the same transaction as its entry, so whoever
 * has read an entry finds the rows of all statements before it.
 */

import { invariant } from "../../kernel/errors.ts";
import { signersNow } from "../../kernel/lifecycle/log-state.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { isStatementRow, STATEMENT_ROWS, type StatementBook } from "../lifecycle/statement-book.ts";
import type { IndexRow } from "../sequence/index-store.ts";
import type { Sql } from "./database.ts";
import { rowsBetween } from "./sequence-table.ts";

const [FIRST, END] = STATEMENT_ROWS;

/** What the book is kept with. */
export interface StatementSyncParts {
  readonly sql: Sql;
  readonly log: bigint;
  readonly book: StatementBook;
  /** Told of every change. */
  readonly onChange: () => void;
}

/** Who signs checkpoints from a size on. */
interface Signing {
  readonly fromSize: bigint;
  readonly keys: readonly VerifierKey[];
}

/** The statements of one log at one node. */
export class StatementSync {
  readonly #parts: StatementSyncParts;
  #signings: Signing[] = [];
  /** Name of the newest row that the book has. */
  #last = "";
  /** A turn that decided about a statement is under way. */
  #isUnsettled = false;
  /** Such a turn failed: what the book has of it may be durable or not. */
  #isDoubtful = true;
  #reloads = 0;

  constructor(parts: StatementSyncParts) {
    this.#parts = parts;
  }

  /** Who signs a checkpoint of this size, as far as the book goes; the older pair first. */
  signersAt(size: bigint): readonly VerifierKey[] {
    const signing = this.#signings.findLast(({ fromSize }) => fromSize <= size);
    invariant(signing !== undefined, "a node knows the genesis entry before it signs");
    return signing.keys;
  }

  /** Brings the book to the state that this turn decides on. @param rows  of statements, written since the last turn of this node */
  async takeOver(sql: Sql, rows: readonly IndexRow[]): Promise<void> {
    if (!this.#isUnsettled && !this.#isDoubtful) return this.#take(rows);
    this.#isUnsettled = false;
    this.#reload(await rowsBetween(sql, this.#parts.log, FIRST, END));
  }

  /** Remembers that a turn decides about a statement, until `settle` or `fail`. */
  noteDecided(rows: readonly IndexRow[]): void {
    const own = rows.filter(isStatementRow);
    if (own.length === 0) return;
    this.#isUnsettled = true;
    this.#note(own);
    this.#parts.onChange();
  }

  /** The turn is durable. */
  settle(): void {
    this.#isUnsettled = false;
  }

  /** The turn failed, or nobody knows. */
  fail(): void {
    this.#isDoubtful ||= this.#isUnsettled;
    this.#isUnsettled = false;
  }

  /** Takes over the rows that are there; call outside of turns. @throws {StoreError} ERR_DATABASE */
  async refresh(): Promise<void> {
    const { sql, log } = this.#parts;
    const [isWhole, reloads] = [this.#isDoubtful, this.#reloads];
    const rows = await rowsBetween(sql, log, isWhole ? FIRST : `${this.#last || FIRST}\0`, END);
    // A turn may have read all of them meanwhile, and may have decided more.
    if (this.#reloads !== reloads) return;
    if (!isWhole) this.#take(rows);
    else if (this.#isDoubtful) this.#reload(rows);
  }

  #reload(rows: readonly IndexRow[]): void {
    [this.#signings, this.#last, this.#isDoubtful] = [[], "", false];
    this.#reloads += 1;
    this.#parts.book.clear();
    this.#take(rows);
  }

  #take(rows: readonly IndexRow[]): void {
    const fresh = rows.filter(({ key }) => key > this.#last).toSorted((a, b) => (a.key < b.key ? -1 : 1));
    for (const row of fresh) {
      this.#parts.book.replay(row.value, indexOf(row));
      this.#note([row]);
    }
    // Once, behind all of them: of the states in between a node need not have the keys.
    if (fresh.length > 0) this.#parts.onChange();
  }

  #note(rows: readonly IndexRow[]): void {
    for (const row of rows) {
      this.#last = row.key;
      this.#signings.push({ fromSize: indexOf(row) + 1n, keys: signersNow(this.#parts.book.state) });
    }
  }
}

function indexOf({ key }: IndexRow): bigint {
  return BigInt(key.slice(FIRST.length));
}
