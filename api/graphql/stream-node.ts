/** Streams, their registrations and their sessions as the schema has them. */

import { parseTimestamp, timestampMs } from "../../kernel/time.ts";
import type { FollowedLedger } from "../follow/open-ledger.ts";
import { sealMatches, sessionNameShape } from "../follow/session-account.ts";
import { join, rangeUnder, sessionKey, streamKey } from "../index/keys.ts";
import {
  type CallCounts,
  type RegistrationRow,
  type SessionRow,
  type StreamRow,
  sessionRowShape,
  streamRowShape,
} from "../index/row-shapes.ts";
import { parseRow, type Row, readRow } from "../index/rows.ts";
import type { PageArguments } from "./connection.ts";
import type { Desk, RequestContext } from "./nodes.ts";
import { receiptConnection } from "./receipt-node.ts";

const MAX_UNSEALED = 100;

/** A registration of a ledger. */
export function registrationNode(ledger: FollowedLedger, row: RegistrationRow): object {
  const { index, leaf, stream, time, label, evidence, instance_key: instanceKey, receipt_key: receiptKey } = row;
  return { ledger: ledger.name, index, leafHash: leaf, stream, time, label, evidence, instanceKey, receiptKey };
}

/** A stream of a ledger. */
export function streamNode(desk: Desk, ledger: FollowedLedger, row: StreamRow): object {
  const { tip, declared, registration } = row;
  return {
    ledger: ledger.name,
    id: row.id,
    registration: registration === undefined ? null : registrationNode(ledger, registration),
    homeLog: tip === undefined || tip.log === "" ? null : tip.log,
    keyProtection: declared?.key_protection,
    software: declared?.software,
    predecessor: declared?.predecessor,
    nextSeq: tip?.next_seq ?? 0,
    receipts: row.receipts,
    faults: row.faults,
    lastTime: row.last_time,
    closed: tip?.closed ?? false,
    heartbeatSeconds: declared?.heartbeat_seconds,
    silentSeconds: row.last_time === undefined ? null : secondsSince(desk, row.last_time),
    gaps: row.gaps,
    moreGaps: row.more_gaps,
    unsealedSessions: () => unsealedSessions(desk, ledger, row.id),
  };
}

/** A session of a stream. */
export async function sessionNode(desk: Desk, ledger: FollowedLedger, row: SessionRow): Promise<object> {
  const { id, stream, opened, open_index: openIndex, source, trust, last_time: lastTime, calls, seal } = row;
  const matches = sealMatches(row);
  return {
    ledger: ledger.name,
    id,
    stream,
    opened,
    openIndex,
    source,
    trust,
    lastTime,
    state: await sessionState(desk, ledger, row),
    calls: callsNode(calls),
    seal: seal === undefined ? null : { ...seal, calls: callsNode(seal.calls) },
    sealCounts: matches === undefined ? "NOT_ESTABLISHED" : matches ? "PASS" : "FAIL",
    receipts: (args: PageArguments, context: RequestContext) =>
      receiptConnection(desk, ledger, args, { values: { session: id, stream } }, context),
  };
}

/** Reads a session by its id; of several streams that have one, the first, unless a stream is named. */
export async function findSession(
  desk: Desk,
  ledger: FollowedLedger,
  id: string,
  stream: string | null | undefined,
): Promise<object | null> {
  const range = { ...rangeUnder("n", id, ...(stream === null || stream === undefined ? [] : [stream])), limit: 1 };
  const exact =
    typeof stream === "string" ? await readRow(ledger.rows, sessionKey(id, stream), sessionRowShape) : undefined;
  if (exact !== undefined) return sessionNode(desk, ledger, exact);
  for await (const { value } of ledger.rows.range(range)) {
    return sessionNode(desk, ledger, parseRow(value, sessionRowShape));
  }
  return null;
}

/** The session that a row of the order of sessions names. */
export async function sessionOfOrder(desk: Desk, ledger: FollowedLedger, { value }: Row): Promise<object | null> {
  const { id, stream } = parseRow(value, sessionNameShape);
  const row = await readRow(ledger.rows, sessionKey(id, stream), sessionRowShape);
  return row === undefined ? null : sessionNode(desk, ledger, row);
}

async function unsealedSessions(desk: Desk, ledger: FollowedLedger, stream: string): Promise<readonly object[]> {
  const ids: string[] = [];
  for await (const { key } of ledger.rows.range({ ...rangeUnder("nu", stream), limit: MAX_UNSEALED })) {
    ids.push(key.slice(join("nu", stream, "").length));
  }
  const values = await ledger.rows.getMany(ids.map((id) => sessionKey(id, stream)));
  return Promise.all(
    values.flatMap((value) =>
      value === undefined ? [] : [sessionNode(desk, ledger, parseRow(value, sessionRowShape))],
    ),
  );
}

/** A session without a seal is open as long as its stream allows; after that its tail may be missing. */
async function sessionState(desk: Desk, { rows }: FollowedLedger, session: SessionRow): Promise<string> {
  if (session.seal !== undefined) return "SEALED";
  const stream = await readRow(rows, streamKey(session.stream), streamRowShape);
  const ttl = stream?.declared?.session_ttl_seconds;
  return ttl !== undefined && secondsSince(desk, session.opened) > ttl ? "UNSEALED_TOO_LONG" : "OPEN";
}

function secondsSince({ clock }: Desk, time: string): number {
  return Math.max(0, Math.floor((clock.nowMs() - timestampMs(parseTimestamp(time))) / 1000));
}

function callsNode({ total, allowed, denied, faulted, open }: CallCounts): object {
  return { total, allowed, denied, faulted, open };
}
