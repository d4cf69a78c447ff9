/** Checks the rows of leaf hashes: each entry has one, it names the entry's index, and there are no others. */

import { equalBytes } from "../../../kernel/bytes.ts";
import { formatHex } from "../../../kernel/hex.ts";
import type { LeafHash } from "../../../kernel/merkle/hash.ts";
import { HASH_BYTES, hashLeaf } from "../../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../../kernel/tile/coordinates.ts";
import { Complaints } from "../../fsck/complaints.ts";
import type { Findings } from "../../fsck/finding.ts";
import type { Group } from "../../fsck/log-walk.ts";
import { bigintAt, bytesAt, integerAt, type Sql } from "../database.ts";
import { findLeaves } from "../sequence-table.ts";

const PLACE = "database/leaf";
const WIDTH = BigInt(TILE_WIDTH);
/** Rows of one read. */
const PAGE_ROWS = 10_000;

interface LeafRow {
  readonly leaf: Uint8Array;
  readonly index: bigint;
  readonly next: bigint;
}

/** Follows the walk over the log; mutable. */
export class LeafAudit {
  readonly #sql: Sql;
  readonly #log: bigint;
  readonly #next: bigint;
  readonly #complaints: Complaints;
  /** Rows of leaf hashes that entries have and that name an index of the log, be it another entry's. */
  #found = 0n;

  /** @param snapshot  number of the log, and entries that have an index */
  constructor(sql: Sql, { log, next }: { readonly log: bigint; readonly next: bigint }, findings: Findings) {
    [this.#sql, this.#log, this.#next, this.#complaints] = [sql, log, next, new Complaints(findings, PLACE)];
  }

  /** Looks the leaves of a group up. */
  async take({ index, entries }: Group): Promise<void> {
    const wanted = new Map<string, { readonly leaf: LeafHash; readonly at: bigint }>();
    for (const [i, entry] of entries.entries()) {
      if (entry !== undefined) wanted.set(formatHex(entry.leaf), { leaf: entry.leaf, at: index * WIDTH + BigInt(i) });
    }
    const leaves = [...wanted.values()].map(({ leaf }) => leaf);
    for (const { leaf, index: named } of await findLeaves(this.#sql, this.#log, leaves, integerAt)) {
      const place = wanted.get(formatHex(leaf));
      if (place === undefined) continue;
      wanted.delete(formatHex(leaf));
      if (this.#isOfLog(named)) this.#found += 1n;
      if (place.at !== named) this.#complaints.add(`the row of its leaf hash names entry ${named}`, place.at);
    }
    for (const { at } of wanted.values())
      this.#complaints.add("no row has its leaf hash: equal bytes would be taken again", at);
  }

  /**
   * Looks at every row: one beyond the log would give equal bytes an index that they do not have. Counts those that name an index
   * of the log, and looks for the wrong one if they are more than entries have. One that was moved elsewhere counts nowhere, so it
   * hides none.
   *
   * @param entriesOf  entries of a bundle
   */
  async finish(size: bigint, entriesOf: (bundle: bigint) => Promise<readonly Uint8Array[]>): Promise<void> {
    let count = 0n;
    for await (const { leaf, index, next } of this.#rows()) {
      if (leaf.length !== HASH_BYTES) this.#complaints.add("a leaf hash of another length", index);
      else if (index < 0n) this.#complaints.add(`the row ${formatHex(leaf)} is of an entry before the first`, index);
      else if (index >= next)
        this.#complaints.add(`the row ${formatHex(leaf)} is of an entry beyond the next index ${next}`, index);
      else if (this.#isOfLog(index)) count += 1n;
    }
    if (count > this.#found) await this.#findWrong(size, entriesOf);
    this.#complaints.report();
  }

  #isOfLog(index: bigint): boolean {
    return index >= 0n && index < this.#next;
  }

  async #findWrong(size: bigint, entriesOf: (bundle: bigint) => Promise<readonly Uint8Array[]>): Promise<void> {
    for await (const { leaf, index } of this.#rows()) {
      if (index < 0n || index >= size || leaf.length !== HASH_BYTES) continue;
      const entry = (await entriesOf(index / WIDTH))[Number(index % WIDTH)];
      if (entry === undefined || equalBytes(hashLeaf(entry), leaf)) continue;
      this.#complaints.add(`the row ${formatHex(leaf)} is of no entry`, index);
    }
  }

  /** Each with the next index of the same moment: nodes that add entries meanwhile move both at once. */
  async *#rows(): AsyncGenerator<LeafRow, void, undefined> {
    let after: Uint8Array = new Uint8Array(0);
    for (;;) {
      const rows = await this.#sql.query(
        `SELECT leaf, entry_index, (SELECT next_index FROM countersign_sequence WHERE log = $1) AS next
         FROM countersign_leaf WHERE log = $1 AND leaf > $2 ORDER BY leaf LIMIT ${PAGE_ROWS}`,
        [this.#log, after],
      );
      for (const row of rows) {
        after = bytesAt(row, "leaf");
        yield { leaf: after, index: integerAt(row, "entry_index"), next: bigintAt(row, "next") };
      }
      if (rows.length < PAGE_ROWS) return;
    }
  }
}
