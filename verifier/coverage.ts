/**
 * Obligation `stream.coverage`: the stream spoke as often as it declared. A living gateway writes a heartbeat before
 * `heartbeat_seconds` of silence are over, so a longer silence is time for which nobody says that the gateway ran: it
 * was stopped, or its clock jumped. That is not shown to be false, and not shown to be covered either.
 */

import type { ReceiptOf } from "../kernel/receipt/receipt.ts";
import { timestampMs } from "../kernel/time.ts";
import { type PlacedReceipt, receiptSubject } from "./read-entries.ts";
import type { Stream } from "./streams.ts";
import { doubt, type Finding, type Judgement, judge } from "./verdict.ts";
import { unwindowed, type WindowReceipts, windowsOf } from "./windows.ts";

/** Judges every declared window. */
export function judgeCoverage(streams: readonly Stream[]): Judgement {
  const windows = windowsOf(streams);
  if (streams.length === 0) return doubt("window.none", "bundle", "the bundle holds no stream");
  const longest = Math.max(0, ...windows.map(({ receipts }) => longestSilence(receipts)));
  return judge([...unwindowed(streams), ...windows.flatMap(checkWindow)], `silent for ${longest / 1000} s at most`);
}

function checkWindow({ stream, receipts }: WindowReceipts): readonly Finding[] {
  const { open } = stream;
  if (open === undefined) return [doubt("stream.heartbeat-unknown", stream.stream, "no stream-open receipt")];
  return receipts.flatMap((placed, i) => checkSilence(receipts[i - 1], placed, open));
}

function checkSilence(
  before: PlacedReceipt | undefined,
  { receipt }: PlacedReceipt,
  open: ReceiptOf<"stream-open">,
): readonly Finding[] {
  const silentMs = silence(before, receipt.time);
  if (silentMs <= open.heartbeat_seconds * 1000) return [];
  const detail = `${silentMs / 1000} s of silence in front of it, and the stream declares ${open.heartbeat_seconds} s at most`;
  return [doubt("stream.silent", receiptSubject(receipt), detail)];
}

function longestSilence(receipts: readonly PlacedReceipt[]): number {
  return receipts.reduce((most, { receipt }, i) => Math.max(most, silence(receipts[i - 1], receipt.time)), 0);
}

/** Milliseconds from one receipt to the next, or back where the clock was set back. */
function silence(before: PlacedReceipt | undefined, time: PlacedReceipt["receipt"]["time"]): number {
  return before === undefined ? 0 : Math.abs(timestampMs(time) - timestampMs(before.receipt.time));
}
