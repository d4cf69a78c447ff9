/** Puts one followed ledger together: its rows, its reader, its follower, its watch. */

import { join } from "node:path";
import type { Clock, Logger } from "../../kernel/service/service.ts";
import type { LedgerSource } from "../config.ts";
import { openLevelRows } from "../index/level-rows.ts";
import type { RowReader } from "../index/rows.ts";
import { Follower } from "./follower.ts";
import { LedgerBook } from "./ledger-book.ts";
import { makeLedgerReader } from "./ledger-reader.ts";
import { type Watch, watchLedger } from "./watch.ts";

/** A ledger as the rest of the node sees it. */
export interface FollowedLedger {
  readonly name: string;
  readonly url: string;
  readonly origin: string;
  readonly source: LedgerSource;
  readonly rows: RowReader;
  readonly book: LedgerBook;
  readonly watch: Watch;
  readonly close: () => Promise<void>;
}

/** What following needs of the node. */
export interface FollowOptions {
  readonly dataDir: string;
  readonly token: string | undefined;
  readonly pollMs: number;
  readonly staleWitnessSeconds: number;
  readonly staleCheckpointSeconds: number;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onAlarm: (ledger: string, kind: string) => void;
}

/** Bound of one request to a ledger. */
const REQUEST_TIMEOUT_MS = 15_000;
/** A progress line each so many entries. */
const PROGRESS_ENTRIES = 8192;

/**
 * Opens what is known of a ledger and follows it from there.
 *
 * @throws {StoreError} ERR_FOLDER_LOCKED, ERR_STORE_WRITE
 */
export async function followLedger(source: LedgerSource, options: FollowOptions): Promise<FollowedLedger> {
  const { name, url, witness_policy: policy } = source;
  const { clock, logger, pollMs, token, staleWitnessSeconds, staleCheckpointSeconds } = options;
  const rows = await openLevelRows(join(options.dataDir, "ledgers", name));
  const book = await LedgerBook.open(rows, clock, ({ kind, code, message }) => {
    logger.error({ ledger: name, alarm: kind, code, why: message }, "alarm");
    options.onAlarm(name, kind);
  });
  const abort = new AbortController();
  const reader = makeLedgerReader({
    url,
    token,
    fetch: options.fetch,
    timeoutMs: REQUEST_TIMEOUT_MS,
    signal: abort.signal,
  });
  const onProgress = makeProgress(name, logger);
  const { signal } = abort;
  const follower = new Follower({
    book,
    reader,
    policy,
    staleWitnessSeconds,
    staleCheckpointSeconds,
    onProgress,
    signal,
  });
  await follower.recheck();
  const watch = watchLedger({ name, follower, pollMs, clock, logger, abort });
  return {
    name,
    url,
    origin: follower.origin,
    source,
    rows,
    book,
    watch,
    close: async () => {
      await watch.stop();
      await rows.close();
    },
  };
}

/** Says how far a long run of indexing is. */
function makeProgress(ledger: string, logger: Logger): (indexed: number, size: number) => void {
  let told = 0;
  return (indexed, size) => {
    if (indexed - told < PROGRESS_ENTRIES) return;
    told = indexed;
    logger.info({ ledger, indexed, size }, "entries indexed");
  };
}
