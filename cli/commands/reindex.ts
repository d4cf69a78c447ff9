/** `countersign reindex`: makes the index of a data folder anew. */

import { rebuildIndex } from "../../ledger/recovery/rebuild-index.ts";
import { type Command, EXIT, readArguments, UsageError } from "../command.ts";
import type { Io } from "../io.ts";
import { makeProgress } from "../progress.ts";

const HELP = `countersign reindex <data folder> [--dry-run]

Removes the index of a stopped ledger and writes it again from the write-ahead log, bundles and tiles. The index holds
no truth; what a start would do by itself when the index is missing is done here beforehand.

  --dry-run  derive the log and say what would be done; remove nothing

Exit: 0 done; 3 the log cannot be derived, or a ledger runs on the folder.
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, { "dry-run": { type: "boolean" } }, 1);
  const [dataDir] = given.positionals;
  if (dataDir === undefined) throw new UsageError("name the data folder");
  const isDryRun = given.flag("dry-run");
  const progress = makeProgress("indexing", io, () => performance.now());
  const size = await rebuildIndex({ dataDir, isDryRun, onProgress: progress.update }).finally(progress.end);
  io.out(isDryRun ? `would remove the index and write it again for ${size} entries\n` : `indexed ${size} entries\n`);
  return EXIT.ok;
}

/** Rebuilds an index. */
export const reindexCommand: Command = { name: "reindex", summary: "rebuild a ledger's index", help: HELP, run };
