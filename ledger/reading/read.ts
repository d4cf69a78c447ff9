/**
 * What has to be known of submitted receipts before they can be admitted, beside their place: that their form is right and
 * their signature holds, and their hashes. It needs the bytes and one key, so that it runs in any thread.
 */

import { CheckError, FormatError } from "../../kernel/errors.ts";
import { hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { parseReceipt, receiptHash } from "../../kernel/receipt/receipt.ts";
import { scanReceipt } from "../../kernel/receipt/scan.ts";
import { readSignedReceipt, type SignedForm } from "../../kernel/receipt/signed-form.ts";
import { checkSegment, type ParsedSegment, parseSegment } from "../../kernel/segment.ts";
import { type PublicKey, parseKid } from "../../kernel/signature/public-key.ts";
import { checkerOf, checkSigners } from "../../kernel/stream/stream-keys.ts";
import { byteText } from "../admission/scan-entry.ts";

/** Hashes of a receipt that was read. */
export interface ReadReceipt {
  readonly leaf: LeafHash;
  /** What the next receipt's `prev` names: SHA-256 of the bytes. */
  readonly hash: Uint8Array;
  /** SHA-256(JCS(body)): equal for two signings of one body. */
  readonly bodyHash: Uint8Array;
}

/** A segment whose signature holds, and whose receipts claim the places that it gives them. */
export interface ReadSegment {
  readonly leaves: readonly LeafHash[];
  /** True if the last receipt closes the stream. */
  readonly closes: boolean;
}

/** By whom a segment must be signed, and for which log. */
export interface SegmentSource {
  readonly stream: string;
  /** The stream's receipt key. */
  readonly key: PublicKey;
  readonly origin: string;
}

/**
 * Reads a receipt that is not the first of its stream, and checks that `key` alone signed it.
 *
 * @throws {FormatError | CheckError} as `parseReceipt` and `checkReceiptSignature`; ERR_STREAM_KEY
 */
export function readReceipt(bytes: Uint8Array, key: PublicKey): ReadReceipt {
  const form = readSignedReceipt(bytes);
  checkSigners(form.receipt.signatures, [key]);
  checkerOf(key)(form.receipt, form.bodyHash);
  return hashesOf(bytes, form);
}

/** The hashes of a receipt whose form is known. */
export function hashesOf(bytes: Uint8Array, { bodyHash }: SignedForm): ReadReceipt {
  return { leaf: hashLeaf(bytes), hash: receiptHash(bytes), bodyHash };
}

/**
 * Reads a segment: its signature and root, and where its receipts say they stand.
 *
 * @throws {FormatError | CheckError} as `parseSegment` and `checkSegment`; ERR_SEGMENT if a receipt is not the one that its
 *   place in the segment demands; as `parseReceipt` for one that does not even name a place; ERR_STREAM_CLOSED for one
 *   behind a close
 */
export function readSegmentBytes(bytes: Uint8Array, { stream, key, origin }: SegmentSource): ReadSegment {
  const parsed = parseSegment(bytes);
  const leaves = checkSegment(parsed, { instance: { kid: parseKid(stream) }, receipt: key }, origin);
  return { leaves, closes: checkPlaces(parsed, bytes) };
}

/** @returns true if the last receipt closes the stream */
function checkPlaces({ segment, receipts }: ParsedSegment, bytes: Uint8Array): boolean {
  const text = byteText(bytes);
  let at = bytes.indexOf(0x0a) + 1;
  let isClosed = false;
  for (const [i, receipt] of receipts.entries()) {
    const place = scanReceipt(text, at, at + receipt.length);
    at += receipt.length + 1;
    // One that claims no place is no receipt; its parser says why.
    if (place === undefined) parseReceipt(receipt);
    const isInPlace = place?.stream === segment.stream && place.seq === segment.first_seq + i;
    if (!isInPlace || (i === 0 && place.prev !== segment.prev)) {
      const want = `want seq ${segment.first_seq + i} of its stream`;
      throw new FormatError("ERR_SEGMENT", `receipt ${i} of the segment: ${want}`);
    }
    if (isClosed) throw new CheckError("ERR_STREAM_CLOSED", "the segment has receipts behind a close");
    isClosed = place.kind === "stream-close";
  }
  return isClosed;
}
