/** What the log's rows and leaf hashes in the database answer to the rest of the ledger: always the durable state. */

import type { LeafHash } from "../../kernel/merkle/hash.ts";
import type { Known, LeafIndex } from "../sequence/entry-index.ts";
import type { IndexRow, RowReader } from "../sequence/index-store.ts";
import { LeafWindow } from "../sequence/leaf-window.ts";
import type { Database } from "./database.ts";
import { findLeaves, indexRowOf, nameBytes } from "./sequence-table.ts";

const PAGE_ROWS = 10_000;

/** Rows of the admission of one log. */
export function makeRowReader(database: Database, log: bigint): RowReader {
  return {
    lastRow: async (from, to) => {
      const [row] = await database.query(
        `SELECT name, value FROM countersign_row WHERE log = $1 AND name >= $2 AND name <= $3
         ORDER BY name DESC LIMIT 1`,
        [log, nameBytes(from), nameBytes(to)],
      );
      return row === undefined ? undefined : indexRowOf(row);
    },
    rows: (from, to) => readRows(database, log, from, to),
  };
}

async function* readRows(database: Database, log: bigint, from: string, to: string): AsyncIterable<IndexRow> {
  let [start, isAfter] = [from, false];
  for (;;) {
    const rows = await database.query(
      `SELECT name, value FROM countersign_row WHERE log = $1 AND name ${isAfter ? ">" : ">="} $2 AND name <= $3
       ORDER BY name LIMIT ${PAGE_ROWS}`,
      [log, nameBytes(start), nameBytes(to)],
    );
    const page = rows.map(indexRowOf);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE_ROWS) return;
    [start, isAfter] = [last.key, true];
  }
}

/** The leaf hashes of one log. */
export class RowLeafIndex implements LeafIndex {
  readonly #database: Database;
  readonly #log: bigint;
  readonly #onIndex: (index: bigint) => void;

  /** @param onIndex  told of every index that was found: the log is at least that large */
  constructor(database: Database, log: bigint, onIndex: (index: bigint) => void) {
    this.#database = database;
    this.#log = log;
    this.#onIndex = onIndex;
  }

  /** Rows become visible with the entries that they are of. */
  get watermark(): bigint {
    return 0n;
  }

  async find(leaves: readonly LeafHash[]): Promise<Known> {
    const window = new LeafWindow();
    for (const { leaf, index } of await findLeaves(this.#database, this.#log, leaves)) {
      window.add(leaf, index);
      this.#onIndex(index);
    }
    return (some, i) => window.find(some, i);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }
}
