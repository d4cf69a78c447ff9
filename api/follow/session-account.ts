/** The account of sessions: their calls are counted from the receipts, and compared with what the seal says. */

import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import type { Status } from "../../kernel/receipt/vocabulary.ts";
import { object, type Shape, string } from "../../kernel/shape.ts";
import { outcomeKey, sessionKey, sessionOrderKey, unsealedKey } from "../index/keys.ts";
import { type CallCounts, type ReceiptRow, type SessionRow, sessionRowShape } from "../index/row-shapes.ts";
import type { Draft } from "../index/rows.ts";

const NO_CALLS: CallCounts = { total: 0, allowed: 0, denied: 0, faulted: 0, open: 0 };

/** Statuses that count as faults (kernel/receipt/session-seal.ts). */
const FAULTS: ReadonlySet<string> = new Set<Status>(["cancelled", "timeout", "upstream_error", "unknown"]);

type StatusRow = { readonly status: string };
const statusRowShape: Shape<StatusRow> = object<StatusRow>({ status: string({ maxLength: 32 }) });

/** A session's id and stream, under the order of sessions. */
export type SessionName = { readonly id: string; readonly stream: string };
/** Shape of `SessionName`. */
export const sessionNameShape: Shape<SessionName> = object<SessionName>({
  id: string({ maxLength: 64 }),
  stream: string({ maxLength: 64 }),
});

/** What a receipt does that its session forbids: a seal that counts otherwise, an opening of what was opened before. */
export interface SessionFault {
  readonly type: "seal-mismatch" | "session-repeat";
  readonly id: string;
}

/**
 * Enters one receipt of a stream, already checked, into the session that it belongs to.
 *
 * @param decision  of an outcome: the row of its decision
 * @returns what is wrong with it, if anything
 */
export async function enterSession(
  draft: Draft,
  row: ReceiptRow,
  receipt: StreamReceipt,
  decision: ReceiptRow | undefined,
): Promise<SessionFault | undefined> {
  if (receipt.kind === "session-open") return openSession(draft, row, receipt);
  if (row.session === undefined) return undefined;
  const key = sessionKey(row.session, row.stream);
  const session = await draft.read(key, sessionRowShape);
  if (session === undefined) return undefined;
  const calls = await countCall(draft, session.calls, row, decision);
  // A receipt that came late does not set the session back.
  const last = row.index > session.last_index ? { last_index: row.index, last_time: row.time } : {};
  const next = { ...session, calls, ...last };
  if (receipt.kind !== "session-seal") {
    draft.putJson(key, next);
    return undefined;
  }
  const seal = { index: row.index, time: row.time, reason: receipt.reason, calls: receipt.calls };
  const sealed: SessionRow = { ...next, seal };
  draft.putJson(key, sealed);
  draft.remove(unsealedKey(row.stream, session.id));
  return sealMatches(sealed) === false ? { type: "seal-mismatch", id: session.id } : undefined;
}

/** Whether the seal says the counts of the receipts; undefined without a seal. */
export function sealMatches({ seal, calls }: SessionRow): boolean | undefined {
  if (seal === undefined) return undefined;
  return (["total", "allowed", "denied", "faulted", "open"] as const).every((name) => seal.calls[name] === calls[name]);
}

/** The first opening stays: a second one must not wipe the calls, or the seal, of the session that has the name. */
async function openSession(
  draft: Draft,
  row: ReceiptRow,
  receipt: Extract<StreamReceipt, { kind: "session-open" }>,
): Promise<SessionFault | undefined> {
  const { id, source, trust } = receipt.session;
  if ((await draft.read(sessionKey(id, row.stream), sessionRowShape)) !== undefined)
    return { type: "session-repeat", id };
  const session: SessionRow = {
    id,
    stream: row.stream,
    open_index: row.index,
    opened: row.time,
    source,
    trust,
    last_index: row.index,
    last_time: row.time,
    calls: NO_CALLS,
  };
  draft.putJson(sessionKey(id, row.stream), session);
  draft.putJson(sessionOrderKey(row.index), { id, stream: row.stream });
  draft.put(unsealedKey(row.stream, id));
  return undefined;
}

async function countCall(
  draft: Draft,
  calls: CallCounts,
  row: ReceiptRow,
  decision: ReceiptRow | undefined,
): Promise<CallCounts> {
  if (row.kind === "decision") {
    // Outcomes are only kept of decisions that the log held before them.
    draft.assumeMissing(outcomeKey(row.stream, row.seq));
    return countDecision(calls, row.action === "forward");
  }
  const { status, decision_seq: seq } = row;
  if (status === undefined || seq === undefined || decision?.action !== "forward") return calls;
  const key = outcomeKey(row.stream, seq);
  const before = await draft.read(key, statusRowShape);
  draft.putJson(key, { status });
  const wasFault = before !== undefined && FAULTS.has(before.status);
  return {
    ...calls,
    open: calls.open - (before === undefined ? 1 : 0),
    faulted: calls.faulted + (FAULTS.has(status) ? 1 : 0) - (wasFault ? 1 : 0),
  };
}

function countDecision(calls: CallCounts, isAllowed: boolean): CallCounts {
  const total = calls.total + 1;
  return isAllowed
    ? { ...calls, total, allowed: calls.allowed + 1, open: calls.open + 1 }
    : { ...calls, total, denied: calls.denied + 1 };
}
