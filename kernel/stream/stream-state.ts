/**
 * The state of one stream and its one step: from the receipts so far to the next one (docs/formats/stream.md).
 *
 * The same step decides in the gateway's recovery, in the ledger, in the auditor node and in the verifier. It checks
 * place and keys; the signature of each receipt after the first is checked by `checkReceiptSignature`, because a
 * ledger that holds a signed segment may do that later.
 */

import { CheckError } from "../errors.ts";
import { formatHex, isHexOf, parseHex } from "../hex.ts";
import { receiptHash, type StreamReceipt } from "../receipt/receipt.ts";
import type { StreamOpenBody } from "../receipt/stream-open.ts";
import type { Signed } from "../signature/envelope.ts";
import { formatPublicKey, type Kid, type PublicKeyJson } from "../signature/public-key.ts";
import { checkCertificate, checkerOf, checkSigners, readStreamKeys, type StreamKeys } from "./stream-keys.ts";

/** A stream after `nextSeq` receipts. */
export interface StreamState {
  readonly stream: Kid;
  /** Origin of the home log. */
  readonly log: string;
  readonly keys: StreamKeys;
  readonly nextSeq: number;
  /** Receipt hash of the last receipt, 32 bytes. */
  readonly last: Uint8Array;
  /** True after a stream-close receipt: nothing may follow. */
  readonly closed: boolean;
}

/** What is kept of a state between processes; the inverse of `restoreStream`. */
export type StreamTip = {
  readonly log: string;
  readonly instance_key: PublicKeyJson;
  readonly receipt_key: PublicKeyJson;
  readonly next_seq: number;
  /** Receipt hash of the last receipt, in hexadecimal. */
  readonly last: string;
  readonly closed: boolean;
};

/**
 * The state after one more receipt.
 *
 * For the first receipt (`state` undefined) both signatures are checked: the instance key's certifies the receipt key.
 *
 * @param bytes  the receipt's entry bytes
 * @throws {CheckError} ERR_STREAM_CLOSED (anything after a close), ERR_STREAM_KEY (another stream, or signatures of
 *   other keys than the stream's), ERR_STREAM_GAP (`seq` above the next), ERR_STREAM_FORK (`seq` below the next),
 *   ERR_STREAM_PREV (`prev` is not the hash of the receipt before); for a first receipt also ERR_SIGNATURE_INVALID
 */
export function nextStreamState(
  state: StreamState | undefined,
  receipt: StreamReceipt,
  bytes: Uint8Array,
): StreamState {
  if (state === undefined) return openStream(receipt, bytes);
  const next = followStream(state, receipt, receiptHash(bytes));
  checkSigners(receipt.signatures, [state.keys.receipt]);
  return next;
}

/** Where a receipt says it stands. */
export type StreamLink = Pick<StreamReceipt, "kind" | "stream" | "seq"> & { readonly prev?: string | undefined };

/**
 * The state after one more receipt whose signatures were checked, by its place alone.
 *
 * @param hash  the receipt's hash
 * @throws {CheckError} as `nextStreamState` for a receipt after the first, signatures apart
 */
export function followStream(state: StreamState, link: StreamLink, hash: Uint8Array): StreamState {
  if (link.stream !== state.stream) throw new CheckError("ERR_STREAM_KEY", "the receipt is of another stream");
  checkPlace(state, link);
  return { ...state, nextSeq: state.nextSeq + 1, last: hash, closed: link.kind === "stream-close" };
}

/**
 * Checks the one signature of a receipt after the first.
 *
 * @param bodyHash  SHA-256(JCS(body)) if it is known; it saves encoding the body
 * @throws {CheckError} ERR_SIGNATURE_MISSING, ERR_SIGNATURE_INVALID
 */
export function checkReceiptSignature(keys: StreamKeys, receipt: StreamReceipt, bodyHash?: Uint8Array): void {
  checkerOf(keys.receipt)(receipt, bodyHash);
}

/**
 * Checks that a stream-open receipt is what its keys say: the stream's id is the instance key's, the two keys differ,
 * and exactly these two signed.
 *
 * @throws {CheckError} ERR_STREAM_KEY, ERR_SIGNATURE_INVALID
 */
export function checkStreamOpen(receipt: Signed<StreamOpenBody>): StreamKeys {
  const keys = checkCertificate(receipt);
  if (keys.instance.kid === receipt.stream) return keys;
  throw new CheckError("ERR_STREAM_KEY", "the stream's id is not the id of its instance key");
}

/** The state after a stream-open receipt with the keys that `checkStreamOpen` gave for it. */
export function openedStream(receipt: Signed<StreamOpenBody>, keys: StreamKeys, bytes: Uint8Array): StreamState {
  return { stream: keys.instance.kid, log: receipt.log, keys, nextSeq: 1, last: receiptHash(bytes), closed: false };
}

/** What to keep of a state. */
export function streamTip(state: StreamState): StreamTip {
  return {
    log: state.log,
    instance_key: formatPublicKey(state.keys.instance),
    receipt_key: formatPublicKey(state.keys.receipt),
    next_seq: state.nextSeq,
    last: formatHex(state.last),
    closed: state.closed,
  };
}

/** The state that a tip was made from; the tip is trusted. */
export function restoreStream(tip: StreamTip): StreamState {
  const keys = readStreamKeys(tip);
  const { log, next_seq: nextSeq, closed } = tip;
  return { stream: keys.instance.kid, log, keys, nextSeq, last: parseHex(tip.last, 32), closed };
}

function openStream(receipt: StreamReceipt, bytes: Uint8Array): StreamState {
  if (receipt.kind !== "stream-open") {
    throw new CheckError("ERR_STREAM_GAP", `the stream starts at seq 0, got ${receipt.seq}`);
  }
  return openedStream(receipt, checkStreamOpen(receipt), bytes);
}

function checkPlace(state: StreamState, { seq, prev }: StreamLink): void {
  if (seq < state.nextSeq) throw new CheckError("ERR_STREAM_FORK", `want seq ${state.nextSeq}, got ${seq} again`);
  if (state.closed) throw new CheckError("ERR_STREAM_CLOSED", "the stream is closed");
  if (seq > state.nextSeq) throw new CheckError("ERR_STREAM_GAP", `want seq ${state.nextSeq}, got ${seq}`);
  if (!isHexOf(prev, state.last)) {
    throw new CheckError("ERR_STREAM_PREV", `seq ${seq}: prev is not the hash of the receipt before it`);
  }
}
