/** A follower over an audited log, stepped by the test. */

import { Follower } from "../../api/follow/follower.ts";
import { LedgerBook } from "../../api/follow/ledger-book.ts";
import { makeLedgerReader } from "../../api/follow/ledger-reader.ts";
import { type AlarmRow, alarmRowShape } from "../../api/index/alarms.ts";
import { rangeUnder } from "../../api/index/keys.ts";
import { parseRow, type RowStore } from "../../api/index/rows.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { type AuditedLog, READER_TOKEN } from "./audited-log.ts";
import { policyText } from "./log-keys.ts";
import { MemoryRows } from "./memory-rows.ts";

/** A follower and what it left. */
export interface Following {
  readonly follower: Follower;
  readonly book: LedgerBook;
  readonly alarms: () => Promise<readonly AlarmRow[]>;
  /** Kinds and codes of the alarms, in order. */
  readonly alarmCodes: () => Promise<readonly string[]>;
}

/** Follows `log` into `rows`. */
export async function followLog(
  log: Pick<AuditedLog, "fetch">,
  rows: RowStore = new MemoryRows(),
  options: {
    readonly token?: string;
    readonly staleWitnessSeconds?: number;
    readonly staleCheckpointSeconds?: number;
    readonly policy?: string;
    readonly nowMs?: () => number;
  } = {},
): Promise<Following> {
  const book = await LedgerBook.open(rows, { nowMs: options.nowMs ?? (() => 1_700_000_100_000) }, () => undefined);
  const { signal } = new AbortController();
  const reader = makeLedgerReader({
    url: "http://log.test",
    token: options.token ?? READER_TOKEN,
    fetch: log.fetch,
    timeoutMs: 1000,
    signal,
  });
  const follower = new Follower({
    book,
    reader,
    policy: parseWitnessPolicy(options.policy ?? policyText(2)),
    staleWitnessSeconds: options.staleWitnessSeconds ?? 300,
    staleCheckpointSeconds: options.staleCheckpointSeconds ?? 31_536_000,
    onProgress: () => undefined,
    signal,
  });
  const alarms = async (): Promise<readonly AlarmRow[]> => {
    const found: AlarmRow[] = [];
    for await (const { value } of rows.range(rangeUnder("a"))) found.push(parseRow(value, alarmRowShape));
    return found;
  };
  return {
    follower,
    book,
    alarms,
    alarmCodes: async () => (await alarms()).map(({ kind, code }) => `${kind} ${code}`),
  };
}
