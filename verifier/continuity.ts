/**
 * Obligation `stream.continuity`: what a bundle declares to be whole is whole. The step from one receipt to the next is
 * the kernel's, the same that admits receipts to a ledger.
 */

import type { StreamWindow } from "../kernel/bundle.ts";
import { parseHex } from "../kernel/hex.ts";
import type { StreamReceipt } from "../kernel/receipt/receipt.ts";
import { parseKid } from "../kernel/signature/public-key.ts";
import type { StreamKeys } from "../kernel/stream/stream-keys.ts";
import { nextStreamState, openedStream, type StreamState } from "../kernel/stream/stream-state.ts";
import { type PlacedReceipt, receiptSubject } from "./read-entries.ts";
import type { Stream } from "./streams.ts";
import { doubt, type Finding, fault, findingsOf, type Judgement, judge } from "./verdict.ts";

/** Kinds that stand in front of a window because the window depends on them. */
const CONTEXT: ReadonlySet<string> = new Set(["stream-open", "policy-load", "catalog-load"]);

/** Judges every stream of the bundle. */
export function judgeContinuity(streams: readonly Stream[]): Judgement {
  const windows = streams.flatMap((stream) => stream.windows);
  if (streams.length === 0) return doubt("window.none", "bundle", "the bundle holds no stream");
  return judge(streams.flatMap(checkStream), windows.map(describeWindow).join(", "));
}

function describeWindow({ stream, first_seq, last_seq }: StreamWindow): string {
  return `${stream.slice(0, 12)}… ${first_seq} to ${last_seq}`;
}

function checkStream(stream: Stream): readonly Finding[] {
  const { stream: id, windows, keys, open, receipts } = stream;
  if (windows.length === 0) return [doubt("window.none", id, "no window of the stream is declared")];
  if (receipts.length === 0) return [fault("ERR_STREAM_GAP", id, "the bundle holds no receipt of the declared window")];
  if (keys === undefined) return [doubt("stream.keys-unknown", id, "no certified receipt key")];
  const broken = walk(stream, keys);
  if (broken.length > 0) return broken;
  if (open === undefined) return [doubt("stream.open-absent", id, "its stream-open receipt is not in the bundle")];
  const foreign = receipts.find(({ at }) => at.origin !== open.log);
  if (foreign === undefined) return [];
  return [doubt("stream.foreign-log", receiptSubject(foreign.receipt), "another log than the stream's home")];
}

/** Takes the receipts in the order of the log; the first thing that is wrong ends the walk. */
function walk({ receipts, windows, open }: Stream, keys: StreamKeys): readonly Finding[] {
  let state: StreamState | undefined;
  for (const placed of receipts) {
    const stray = findStray(placed, windows) ?? findSkip(placed, state?.nextSeq ?? 0, windows);
    if (stray !== undefined) return [stray];
    const from = resume(state, placed.receipt, keys, open?.log ?? placed.at.origin);
    const findings = findingsOf(receiptSubject(placed.receipt), () => {
      // The certificate in the open receipt was checked when the stream's keys were taken from it.
      const isOpening = from === undefined && placed.receipt === open;
      state = isOpening
        ? openedStream(open, keys, placed.at.bytes)
        : nextStreamState(from, placed.receipt, placed.at.bytes);
    });
    if (findings.length > 0) return findings;
  }
  const reached = state?.nextSeq ?? 0;
  const short = windows.find(({ last_seq: last }) => last >= reached);
  if (short === undefined) return [];
  const subject = `${short.stream}/${reached}`;
  const detail = `the window is declared up to ${short.last_seq}, and the bundle ends in front of this one`;
  return [fault("ERR_STREAM_TAIL", subject, detail)];
}

function findStray({ receipt }: PlacedReceipt, windows: readonly StreamWindow[]): Finding | undefined {
  const isInside = windows.some(({ first_seq, last_seq }) => receipt.seq >= first_seq && receipt.seq <= last_seq);
  const isContext = CONTEXT.has(receipt.kind) && windows.some(({ first_seq }) => receipt.seq < first_seq);
  if (isInside || isContext) return undefined;
  return fault("ERR_STREAM_STRAY", receiptSubject(receipt), "outside every declared window of its stream");
}

/** Receipts may be left out between windows, not inside one. */
function findSkip({ receipt }: PlacedReceipt, nextSeq: number, windows: readonly StreamWindow[]): Finding | undefined {
  if (receipt.seq <= nextSeq) return undefined;
  const cut = windows.find(({ first_seq, last_seq }) => first_seq < receipt.seq && last_seq >= nextSeq);
  if (cut === undefined) return undefined;
  const missing = Math.max(nextSeq, cut.first_seq);
  return fault("ERR_STREAM_GAP", `${receipt.stream}/${missing}`, "missing inside a declared window");
}

/** The state in front of `receipt`. Behind a gap between windows its `prev` is taken as it stands: nothing there to compare. */
function resume(
  state: StreamState | undefined,
  receipt: StreamReceipt,
  keys: StreamKeys,
  log: string,
): StreamState | undefined {
  const { seq, prev } = receipt;
  if (prev === undefined || seq <= (state?.nextSeq ?? 0)) return state;
  const closed = state?.closed ?? false;
  return { stream: parseKid(receipt.stream), log, keys, nextSeq: seq, last: parseHex(prev, 32), closed };
}
