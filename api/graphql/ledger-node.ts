/** Ledgers, their checkpoints and alarms as the schema has them. */

import type { FollowedLedger } from "../follow/open-ledger.ts";
import { type AlarmRow, alarmCountShape } from "../index/alarms.ts";
import { countRowShape } from "../index/count-row.ts";
import { ALARM_COUNT_KEY, countKey } from "../index/keys.ts";
import { readRow } from "../index/rows.ts";
import { enumName, timeOrNull } from "./nodes.ts";

/** A ledger that this node follows. */
export function ledgerNode(ledger: FollowedLedger): object {
  const { name, url, origin, book, watch, source, rows } = ledger;
  const state = watch.state();
  const alarms = readRow(rows, ALARM_COUNT_KEY, alarmCountShape);
  return {
    name,
    url,
    origin,
    kind: enumName(book.head.log_kind),
    state: enumName(book.head.forked ? "forked" : state.kind),
    since: state.kind === "starting" ? null : timeOrNull(state.sinceMs),
    lastContact: timeOrNull(watch.lastContactMs()),
    indexed: book.head.indexed,
    receipts: async () => (await readRow(rows, countKey("all", ""), countRowShape))?.count ?? 0,
    alarms: async () => (await alarms)?.stored ?? 0,
    alarmsDropped: async () => (await alarms)?.dropped ?? 0,
    checkpoint: () => checkpointNode(ledger),
    witnesses: witnessNodes(ledger),
    quorum: source.witness_policy.quorum,
  };
}

/** The newest witnessed checkpoint that this node recomputed, or null. */
export function checkpointNode({ name, origin, book }: FollowedLedger): object | null {
  const { verified } = book.head;
  if (verified === null) return null;
  const { size, root, note } = verified;
  const cosignatures = verified.cosignatures.map(({ witness, seconds }) => ({ witness, time: secondsToTime(seconds) }));
  return { ledger: name, origin, size, root, note, cosignatures };
}

/** An alarm of a ledger. */
export function alarmNode({ name }: FollowedLedger, row: AlarmRow): object {
  const { number, kind, code, message, index, stream, seq, evidence, count } = row;
  const times = { firstSeen: row.first_seen, lastSeen: row.last_seen };
  const { resolved = null } = row;
  const facts = { number, kind: enumName(kind), code, message, index, stream, seq, evidence, count, resolved };
  return { ledger: name, ...facts, ...times };
}

function witnessNodes({ book, source }: FollowedLedger): readonly object[] {
  return source.witness_policy.witnesses.map(({ name, key }) => {
    const seen = book.witnesses.find((row) => row.name === name);
    return {
      name,
      keyName: key.name,
      lastCosigned: seen === undefined ? null : secondsToTime(seen.seconds),
      lastSize: seen?.size,
    };
  });
}

/** A witness may claim any time below 2^63 seconds; what a date cannot show is cut to the last one that it can. */
function secondsToTime(seconds: number): string {
  return new Date(Math.min(seconds * 1000, Date.UTC(9999, 11, 31, 23, 59, 59))).toISOString();
}
