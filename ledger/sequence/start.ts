/** How a ledger writes batches, as its options want it. */

import type { LogParts } from "../log.ts";
import type { LedgerOptions } from "../options.ts";
import { makeThreadCheck } from "./leaf-check.ts";

const WAL_FILE_BYTES = 16 * 1024 * 1024;

/** What is written is checked by a thread unless only sources are at hand. */
export function writingOf({
  walFileBytes = WAL_FILE_BYTES,
  signing,
}: Pick<LedgerOptions, "walFileBytes" | "signing">): Pick<LogParts, "wal" | "checkLeaves"> {
  return { wal: { fileBytes: walFileBytes }, ...(signing === "inline" ? {} : { checkLeaves: makeThreadCheck() }) };
}
