/** A ledger in a process of its own that stops where the crash suite wants it. Small write-ahead files, quick rounds. */

import { startLedger } from "../../ledger/start.ts";
import { ledgerOptions } from "../support/ledger-service.ts";
import { endOnTerm, logger, makeStall, report, startOptions } from "./child-side.ts";
import { stallingDisk, stallingFetch, stallingIndex } from "./stall.ts";
import { measureStart } from "./start-cost.ts";
import type { LogKind, Plan } from "./steps.ts";

/** What the process is started with. */
export interface LedgerStart {
  readonly dataDir: string;
  readonly port: number;
  readonly kind: LogKind;
  readonly policy: string;
  readonly plan?: Plan;
}

const endOfStart = measureStart();
const { dataDir, port, kind, policy, plan } = startOptions<LedgerStart>();
const stall = makeStall(plan);
const config = {
  listen: { port },
  log_kind: kind,
  witness_policy: policy,
  checkpoint_ms: 40,
  witness_ms: 60,
} as const;
const service = await startLedger({
  ...ledgerOptions(dataDir, logger, { config, signing: "worker", fetch: stallingFetch(stall) }),
  wrapDisk: (disk) => stallingDisk(disk, stall),
  wrapIndex: (store) => stallingIndex(store, stall),
  walFileBytes: 65_536,
});
await report({ kind: "started", url: service.url, cost: endOfStart() });
endOnTerm(service.close);
