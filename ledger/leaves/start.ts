/** The leaf store of a ledger as its options want it. */

import type { LedgerOptions } from "../options.ts";
import { LeafTables } from "./leaf-tables.ts";
import { makeInlineTableMaker, THREAD_TABLE_MAKER } from "./table-thread.ts";

/** Tables below the data folder; made in a thread of their own unless only sources are at hand. */
export function openLeaves({
  config,
  logger,
  signing,
}: Pick<LedgerOptions, "config" | "logger" | "signing">): LeafTables {
  return new LeafTables({
    dataDir: config.data_dir,
    maker: signing === "inline" ? makeInlineTableMaker() : THREAD_TABLE_MAKER,
    onRebuild: (leaves, of) => logger.warn({ leaves, of }, "tables of leaf hashes are made from the tiles"),
  });
}
