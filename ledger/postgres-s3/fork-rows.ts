/** Evidence of forked streams from the database: what any node of the log refused and kept. */

import { ForkBook, type ForkEvidence } from "../admission/fork-book.ts";
import type { StreamBook } from "../admission/stream-book.ts";
import type { Disk } from "../storage/disk.ts";
import type { Tree } from "../tree/tree.ts";
import { bytesAt, type Sql } from "./database.ts";

const MAX_PER_STREAM = 256;

/** What the evidence is made from. */
export interface ForkRowsParts {
  readonly sql: Sql;
  readonly log: bigint;
  readonly tree: Tree;
  readonly streams: StreamBook;
}

/** The refused receipts of a log, read when somebody asks. */
export function makeForkRows({ sql, log, tree, streams }: ForkRowsParts): ForkEvidence {
  return {
    // It is a row already.
    add: () => undefined,
    evidence: async (stream) => {
      const rows = await sql.query(
        `SELECT content FROM countersign_beside WHERE log = $1 AND kind = 'conflict' AND stream = $2
         ORDER BY turn, id LIMIT ${MAX_PER_STREAM}`,
        [log, stream],
      );
      const found = rows.map((row) => bytesAt(row, "content"));
      return new ForkBook({ disk: NO_ARCHIVE, tree, streams, found }).evidence(stream);
    },
  };
}

/** A log in a database has no archived files. */
const NO_ARCHIVE: Pick<Disk, "list" | "read"> = {
  list: () => Promise.resolve([]),
  read: () => Promise.resolve(undefined),
};
