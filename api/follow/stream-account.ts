/**
 * The account of one stream: every receipt is checked for its signature and for its place, by the same step that the
 * ledger, the gateway and the verifier use. What does not hold is said, and the stream is followed on behind it.
 */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { receiptHash } from "../../kernel/receipt/receipt.ts";
import { parseKid } from "../../kernel/signature/public-key.ts";
import { checkerOf, checkSigners, type StreamKeys } from "../../kernel/stream/stream-keys.ts";
import {
  checkStreamOpen,
  nextStreamState,
  type StreamState,
  type StreamTip,
  streamTip,
} from "../../kernel/stream/stream-state.ts";
import type { Check, Gap, StreamDeclaration, StreamRow } from "../index/row-shapes.ts";
import type { KeyMemory } from "./key-memory.ts";

/** What one receipt did to its stream. */
export interface StreamStep {
  readonly row: StreamRow;
  readonly signature: Check;
  readonly continuity: Check;
  /** True if the receipt is signed and the stream went on to it, perhaps over a gap. */
  readonly isTaken: boolean;
}

/** Gaps that are kept one by one. */
const MAX_GAPS = 64;

/** The row of a stream that is met for the first time. */
export function newStreamRow(id: string, index: number): StreamRow {
  return { id, first_index: index, last_index: index, receipts: 0, faults: 0, gaps: [], more_gaps: 0 };
}

/** The stream after one more receipt of the log. */
export function stepStream(
  memory: KeyMemory,
  row: StreamRow,
  index: number,
  receipt: StreamReceipt,
  bytes: Uint8Array,
): StreamStep {
  const keys = keysOf(memory, row, receipt);
  const signature = judge(() => checkSignature(row, keys, receipt));
  const at = { ...row, last_index: index, last_time: receipt.time };
  if (keys === undefined || signature.verdict !== "pass") {
    const continuity: Check = { verdict: "not_established", code: signature.code ?? "ERR_STREAM_UNKNOWN" };
    const state: Check = keys === undefined ? { verdict: "not_established", code: "ERR_STREAM_UNKNOWN" } : signature;
    return { row: { ...at, faults: row.faults + 1 }, signature: state, continuity, isTaken: false };
  }
  return { ...placeReceipt(memory, at, keys, receipt, bytes), signature };
}

/** The checks of a receipt that came late, behind others of its stream; `before` is the receipt in front of it. */
export function checkLate(
  memory: KeyMemory,
  row: StreamRow,
  receipt: StreamReceipt,
  before: Uint8Array | undefined,
): Pick<StreamStep, "signature" | "continuity"> {
  const keys = keysOf(memory, row, receipt);
  const signature: Check =
    keys === undefined
      ? { verdict: "not_established", code: "ERR_STREAM_UNKNOWN" }
      : judge(() => checkSignature(row, keys, receipt));
  if (signature.verdict !== "pass")
    return { signature, continuity: { verdict: "not_established", code: "ERR_STREAM_GAP" } };
  if (before === undefined && receipt.seq > 0) {
    return { signature, continuity: { verdict: "not_established", code: "ERR_STREAM_GAP" } };
  }
  const want = before === undefined ? undefined : formatHex(receiptHash(before));
  const isNext = receipt.prev === want;
  return { signature, continuity: isNext ? { verdict: "pass" } : { verdict: "fail", code: "ERR_STREAM_PREV" } };
}

/** The stream with a late receipt counted, and its gap closed at that place. */
export function fillGap(row: StreamRow, seq: number): StreamRow {
  const gaps = row.gaps.flatMap((gap): readonly Gap[] => {
    if (seq < gap.from || seq > gap.to) return [gap];
    const parts: readonly Gap[] = [
      { from: gap.from, to: seq - 1 },
      { from: seq + 1, to: gap.to },
    ];
    return parts.filter(({ from, to }) => from <= to);
  });
  return { ...row, receipts: row.receipts + 1, gaps };
}

function placeReceipt(
  memory: KeyMemory,
  row: StreamRow,
  keys: StreamKeys,
  receipt: StreamReceipt,
  bytes: Uint8Array,
): Omit<StreamStep, "signature"> {
  const state = row.tip === undefined ? undefined : stateOf(memory, row.id, row.tip);
  try {
    const next = nextStreamState(state, receipt, bytes);
    const taken = { ...row, receipts: row.receipts + 1, tip: streamTip(next), ...declarationOf(receipt) };
    return { row: taken, continuity: { verdict: "pass" }, isTaken: true };
  } catch (error) {
    if (!isCodedError(error)) throw error;
    const continuity: Check = { verdict: "fail", code: error.code };
    const faulty = { ...row, faults: row.faults + 1 };
    if (!isBreak(error.code)) return { row: faulty, continuity, isTaken: false };
    const next = stateBehind(state, keys, receipt, bytes);
    const gap = gapBefore(state?.nextSeq ?? 0, receipt.seq);
    return { row: withGap({ ...faulty, tip: streamTip(next) }, gap), continuity, isTaken: true };
  }
}

/** `restoreStream` with keys that are remembered. */
function stateOf(memory: KeyMemory, id: string, tip: StreamTip): StreamState {
  const { log, next_seq: nextSeq, last, closed } = tip;
  return { stream: parseKid(id), log, keys: memory.read(tip), nextSeq, last: parseHex(last, 32), closed };
}

/** A gap or a broken link is said once; what follows it is checked from there on. */
function isBreak(code: ErrorCode): boolean {
  return code === "ERR_STREAM_GAP" || code === "ERR_STREAM_PREV";
}

function stateBehind(
  state: StreamState | undefined,
  keys: StreamKeys,
  receipt: StreamReceipt,
  bytes: Uint8Array,
): StreamState {
  return {
    stream: keys.instance.kid,
    log: state?.log ?? "",
    keys,
    nextSeq: receipt.seq + 1,
    last: receiptHash(bytes),
    closed: receipt.kind === "stream-close",
  };
}

function gapBefore(nextSeq: number, seq: number): Gap | undefined {
  return seq > nextSeq ? { from: nextSeq, to: seq - 1 } : undefined;
}

function withGap(row: StreamRow, gap: Gap | undefined): StreamRow {
  if (gap === undefined) return row;
  if (row.gaps.length >= MAX_GAPS) return { ...row, more_gaps: row.more_gaps + 1 };
  return { ...row, gaps: [...row.gaps, gap] };
}

function declarationOf(receipt: StreamReceipt): { readonly declared?: StreamDeclaration } {
  if (receipt.kind !== "stream-open") return {};
  const { key_protection, heartbeat_seconds, session_ttl_seconds, software, predecessor } = receipt;
  return {
    declared: {
      key_protection,
      heartbeat_seconds,
      session_ttl_seconds,
      software: `${software.name} ${software.version}`,
      ...(predecessor === undefined ? {} : { predecessor: predecessor.stream }),
    },
  };
}

/** The keys that may sign: those that were registered, else those that the stream opened with. */
function keysOf(memory: KeyMemory, row: StreamRow, receipt: StreamReceipt): StreamKeys | undefined {
  const named = row.registration ?? row.tip;
  if (named !== undefined) return memory.read(named);
  return receipt.kind === "stream-open" ? memory.read(receipt) : undefined;
}

function checkSignature(row: StreamRow, keys: StreamKeys | undefined, receipt: StreamReceipt): void {
  if (keys === undefined) return;
  if (receipt.kind === "stream-open") {
    checkStreamOpen(receipt);
    // The open receipt may name its own receipt key, but only the registered one was admitted.
    if (row.registration !== undefined) checkSigners(receipt.signatures, [keys.instance, keys.receipt]);
    return;
  }
  checkSigners(receipt.signatures, [keys.receipt]);
  checkerOf(keys.receipt)(receipt);
}

function judge(check: () => void): Check {
  try {
    check();
    return { verdict: "pass" };
  } catch (error) {
    if (!isCodedError(error)) throw error;
    return { verdict: "fail", code: error.code };
  }
}
