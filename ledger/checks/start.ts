/** Opens the background checks of a log: from the durable watermark on, in worker threads or on this one. */

import { availableParallelism } from "node:os";
import type { StreamBook } from "../admission/stream-book.ts";
import { LEDGER_DEFAULTS } from "../config.ts";
import { makeAdmittedPool } from "../fsck/check-pool.ts";
import type { Halt } from "../halt.ts";
import type { Log } from "../log.ts";
import type { LedgerOptions } from "../options.ts";
import type { IndexStore } from "../sequence/index-store.ts";
import { Backlog } from "./backlog.ts";
import { CHECKED_KEY, type CheckFinding } from "./check-rows.ts";
import { FindingsBook } from "./findings.ts";
import { CheckPace } from "./pace.ts";
import { ReceiptChecks } from "./receipt-checks.ts";

/** Threads that check; the others serve. */
const MAX_WORKERS = 8;
/** A bundle a job in a worker; on the serving thread, about two milliseconds. */
const [WORKER_JOB, INLINE_JOB] = [256, 16];

/** The checks of a log and what they found; a raw log has neither. */
export interface Checking {
  readonly checks: ReceiptChecks | undefined;
  readonly findings: FindingsBook | undefined;
  readonly close: () => Promise<void>;
}

/** What the checks are opened with. */
export interface CheckingInputs {
  readonly options: Pick<LedgerOptions, "config" | "signing" | "logger">;
  readonly log: Log;
  readonly store: IndexStore;
  readonly streams: StreamBook;
  readonly halt: Halt;
}

/** Opens and starts the checks. The index is caught up by then. */
export async function openChecks({ options, log, store, streams, halt }: CheckingInputs): Promise<Checking> {
  const { config, logger } = options;
  if (config.log_kind !== "receipts") {
    return { checks: undefined, findings: undefined, close: () => Promise.resolve() };
  }
  const findings = new FindingsBook(store, log.index);
  await findings.load();
  const recorded = await readChecked(store, log.tree.size);
  const workers = options.signing === "inline" ? 0 : Math.min(MAX_WORKERS, Math.max(1, availableParallelism() - 1));
  const onFinding = (finding: CheckFinding): void => {
    if (findings.add(finding)) {
      logger.error(finding, "a false receipt is in the log; all findings about its stream are at /findings");
    }
  };
  const checks = new ReceiptChecks(
    {
      ...log,
      streams,
      pool: makeAdmittedPool({ origin: config.origin }, workers),
      backlog: new Backlog(config.check_backlog ?? LEDGER_DEFAULTS.checkBacklog, recorded, log.tree.size),
      // On the serving thread the checks are what it works on; there they take little at a time.
      pace: workers === 0 ? undefined : new CheckPace(),
      jobEntries: workers === 0 ? INLINE_JOB : WORKER_JOB,
      onFinding,
      hasFinding: (stream) => findings.has(stream),
      onFatal: (error) => halt.trip(error),
    },
    recorded,
  );
  halt.onTrip(() => void checks.stop());
  await checks.start();
  const close = async (): Promise<void> => {
    await checks.stop();
    if (halt.fault === undefined) checks.record();
  };
  return { checks, findings, close };
}

/** How far an earlier run came; 0 if the index does not say. */
async function readChecked(store: IndexStore, size: bigint): Promise<bigint> {
  const row = await store.lastRow(CHECKED_KEY, CHECKED_KEY);
  if (row?.value.length !== 8) return 0n;
  const { buffer, byteOffset, byteLength } = row.value;
  const checked = new DataView(buffer, byteOffset, byteLength).getBigUint64(0);
  return checked < size ? checked : size;
}
