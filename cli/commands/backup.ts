/** `countersign backup`: a copy of a ledger's data folder. */

import { backUp } from "../../ledger/backup/backup.ts";
import { type Command, EXIT, readArguments, UsageError } from "../command.ts";
import type { Io } from "../io.ts";
import { makeProgress } from "../progress.ts";

const BACKUP_HELP = `countersign backup <data folder> --to <folder>

Copies a ledger's data folder, also while the ledger runs. The copy is a whole log of its own as of one moment: tiles
first, then the recorded head, then a write-ahead log that reaches it. The index is not copied. Keys are not in it.

  --to <folder>  the copy; it must not exist, or be empty

Exit: 0 done; 3 the folder cannot be copied.
`;

async function runBackup(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, { to: { type: "string" } }, 1);
  const [dataDir] = given.positionals;
  if (dataDir === undefined) throw new UsageError("name the data folder");
  const progress = makeProgress("copying", io, () => performance.now());
  const { size, headSize } = await backUp({ dataDir, to: given.required("to"), onProgress: progress.update }).finally(
    progress.end,
  );
  io.out(`copied ${size} entries; the recorded head has size ${headSize}\n`);
  return EXIT.ok;
}

/** Copies a data folder. */
export const backupCommand: Command = {
  name: "backup",
  summary: "copy a ledger's data folder while it runs",
  help: BACKUP_HELP,
  run: runBackup,
};
