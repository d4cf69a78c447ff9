/** What a data folder's log is by its own statements: reads all of its entries once. */

import type { LogState } from "../../kernel/lifecycle/log-state.ts";
import type { DataFolder } from "./data-folder.ts";
import { Findings } from "./finding.ts";
import { readGenesisOf } from "./genesis-of.ts";
import { countBundles, LogWalk } from "./log-walk.ts";
import { StatementAudit } from "./statement-audit.ts";
import { WalAudit } from "./wal-audit.ts";

/** @throws {StoreError} ERR_FILE_READ if there is no genesis entry to read */
export async function readLogStateOf(folder: DataFolder): Promise<LogState | undefined> {
  const findings = new Findings();
  const audit = new StatementAudit(findings, await readGenesisOf(folder));
  const walk = new LogWalk(folder, findings, new WalAudit(folder, findings), () => undefined);
  const bundles = countBundles(await folder.list("tile"));
  for await (const group of walk.groups(bundles, 0n, bundles * 256n)) audit.take(group);
  return audit.state;
}
