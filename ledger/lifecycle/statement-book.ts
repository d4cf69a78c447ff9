/**
 * The statements that a log has made about itself, and what it is by them. Rebuilt from the entries and kept in the index
 * between runs:
 *
 *     l/<index>     → the entry: the genesis entry, or a statement (20 digits)
 *
 * Whoever may write to a raw log may write what only looks like a statement: what does not follow from the statements
 * before it, or is not signed as it must be, is an entry like any other.
 */

import { CheckError, FormatError, invariant, isCodedError } from "../../kernel/errors.ts";
import { parseGenesis } from "../../kernel/genesis.ts";
import { type LogState, nextLogState, startLogState } from "../../kernel/lifecycle/log-state.ts";
import { statementOf } from "../../kernel/lifecycle/log-status.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import type { EntryReplay } from "../recovery/catch-up-index.ts";
import type { IndexRow, IndexStore } from "../sequence/index-store.ts";

const INDEX_DIGITS = 20;
const BRACE = 0x7b;
/** A member that every statement has, and no receipt. */
const MARK = Buffer.from('"key_signatures":[');

/** A statement at its place. */
export interface PlacedStatement {
  readonly index: bigint;
  readonly bytes: Uint8Array;
}

/** What a log is by its own word; mutable. */
export class StatementBook implements EntryReplay {
  readonly statements: PlacedStatement[] = [];
  #genesis: Uint8Array | undefined;
  #state: LogState | undefined;

  /** The newest state; in the sequencer's turn also of what is not durable yet. Requires a genesis entry. */
  get state(): LogState {
    invariant(this.#state !== undefined, "a log that is open has a genesis entry");
    return this.#state;
  }

  /** The genesis entry. */
  get genesis(): Uint8Array {
    invariant(this.#genesis !== undefined, "a log that is open has a genesis entry");
    return this.#genesis;
  }

  /** Every key that ever signed checkpoints; none before the genesis entry. */
  get keys(): readonly VerifierKey[] {
    return this.#state?.periods.flatMap(({ keys }) => keys) ?? [];
  }

  async load(store: IndexStore): Promise<void> {
    this.clear();
    for await (const { key, value } of store.rows(...STATEMENT_ROWS)) this.replay(value, BigInt(key.slice(2)));
    // An index without the row is of an earlier version, or has lost it: it is built again from the log.
    if (store.watermark > 0n && this.#state === undefined) {
      throw new FormatError("ERR_INDEX_ROW", "want a row of the genesis entry");
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#genesis = undefined;
    this.#state = undefined;
    this.statements.length = 0;
  }

  /** True once the genesis entry is known. */
  get hasGenesis(): boolean {
    return this.#genesis !== undefined;
  }

  /** Rows that an entry adds; takes the state that it leads to. Entries come in the order of the log, some more than once. */
  replay(entry: Uint8Array, index: bigint): readonly IndexRow[] {
    if (index === 0n) return this.#start(entry);
    const known = this.statements.at(-1);
    if (known !== undefined && index <= known.index) {
      return this.statements.some((each) => each.index === index) ? [rowOf(index, entry)] : [];
    }
    return isStatementLike(entry) && this.#take(entry, index) ? [rowOf(index, entry)] : [];
  }

  #start(entry: Uint8Array): readonly IndexRow[] {
    if (this.#state === undefined) {
      try {
        this.#state = startLogState(parseGenesis(entry));
      } catch (error) {
        // What stands there is for the check of the genesis entry to tell.
        if (isCodedError(error)) return [];
        throw error;
      }
      this.#genesis = Uint8Array.from(entry);
    }
    return [rowOf(0n, entry)];
  }

  #take(entry: Uint8Array, index: bigint): boolean {
    if (this.#state === undefined) return false;
    try {
      const statement = statementOf(entry);
      if (statement === undefined) return false;
      this.#state = nextLogState(this.#state, statement, Number(index));
    } catch (error) {
      if (error instanceof CheckError || error instanceof FormatError) return false;
      throw error;
    }
    this.statements.push({ index, bytes: Uint8Array.from(entry) });
    return true;
  }
}

/** True for what may be a statement, by a look at its bytes. */
export function isStatementLike(entry: Uint8Array): boolean {
  if (entry[0] !== BRACE) return false;
  return Buffer.from(entry.buffer, entry.byteOffset, entry.length).includes(MARK);
}

/** Replays each entry into all books; its rows are those of all. */
export function replayAll(books: readonly EntryReplay[]): EntryReplay {
  return {
    load: async (store) => {
      for (const book of books) await book.load(store);
    },
    replay: (entry, index) => books.flatMap((book) => book.replay(entry, index)),
  };
}

/** Name of the row of the genesis entry, which is the first of them. */
export const GENESIS_ROW: string = rowOf(0n, new Uint8Array(0)).key;

/** Names of those rows: from the first up to and without the second. */
export const STATEMENT_ROWS = ["l/", "l0"] as const;

/** True for the row of a statement, or of the genesis entry. */
export function isStatementRow({ key }: IndexRow): boolean {
  return key.startsWith(STATEMENT_ROWS[0]);
}

/** The row of a statement. */
export function rowOf(index: bigint, bytes: Uint8Array): IndexRow {
  return { key: `l/${index.toString().padStart(INDEX_DIGITS, "0")}`, value: bytes };
}
