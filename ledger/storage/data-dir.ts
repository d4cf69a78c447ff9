/** The folder of a ledger's data, before anything is opened in it. */

import { stat } from "node:fs/promises";
import type { Logger } from "../../kernel/service/service.ts";
import { makeFolderDurably } from "./make-folder.ts";

/** Entries, salts and the queue of witnesses are for the ledger's own user. A folder that others can read is used all the same. */
export async function makeDataFolder(dataDir: string, logger: Logger): Promise<void> {
  await makeFolderDurably(dataDir, 0o700);
  const mode = (await stat(dataDir)).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  logger.warn({ data_dir: dataDir, mode: mode.toString(8) }, "other users can enter the data folder: want mode 700");
}
