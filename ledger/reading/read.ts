/**
 * What has to be known of submitted receipts before they can be admitted, beside their place: that their form is right and
 * their signature holds, and their hashes. It needs the bytes and one key, so that it runs in any thread.
 */

import { CheckError, FormatError } from "../../kernel/errors.ts";
import { entryAt, hashLeaf, type LeafHash, type LeafHashes } from "../../kernel/merkle/hash.ts";
import { parseReceipt, receiptHash } from "../../kernel/receipt/receipt.ts";
import { scanReceipt } from "../../kernel/receipt/scan.ts";
import { readSignedReceipt, type SignedForm } from "../../kernel/receipt/signed-form.ts";
import { checkSegment, type ParsedSegment, parseSegment } from "../../kernel/segment.ts";
import { type PublicKey, parseKid } from "../../kernel/signature/public-key.ts";
import { checkerOf, checkSigners } from "../../kernel/stream/stream-keys.ts";
import type { StreamLink } from "../../kernel/stream/stream-state.ts";
import { byteText } from "../admission/scan-entry.ts";

/** Hashes of a receipt that was read. */
export interface ReceiptHashes {
  readonly leaf: LeafHash;
  /** What the next receipt's `prev` names: SHA-256 of the bytes. */
  readonly hash: Uint8Array;
  /** SHA-256(JCS(body)): equal for two signings of one body. */
  readonly bodyHash: Uint8Array;
}

/** A receipt that was read: where it stands, and its hashes. */
export interface ReadReceipt extends ReceiptHashes {
  readonly link: StreamLink;
}

/** Receipts that follow each other, each of which was read. */
export interface ReadRun {
  /** Place of the first. */
  readonly first: StreamLink;
  readonly leaves: LeafHashes;
  /** Receipt hashes, 32 bytes each. */
  readonly hashes: Uint8Array;
  /** True if the last one closes the stream. */
  readonly closes: boolean;
}

/** Receipts that were read together. */
export interface ReadReceipts {
  /** What they are together; undefined unless all were read and each follows the one before it. */
  readonly run: ReadRun | undefined;
  /** Receipt `i` by itself. @throws as `readReceipt` */
  readonly at: (i: number) => ReadReceipt | undefined;
}

/** A stream and its key, as a receipt or segment is expected to be of it. */
export interface ReceiptSource {
  readonly stream: string;
  /** The stream's receipt key. */
  readonly key: PublicKey;
}

/** A segment whose signature holds, and whose receipts claim the places that it gives them. */
export interface ReadSegment {
  readonly leaves: LeafHashes;
  /** Where each receipt begins and ends in the segment's bytes. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** True if the last receipt closes the stream. */
  readonly closes: boolean;
}

/**
 * Reads a receipt that is not the first of its stream, and checks that the stream's key alone signed it.
 *
 * @returns undefined, and nothing was verified, if it is of another stream than `stream` or opens one
 * @throws {FormatError | CheckError} as `parseReceipt` and `checkReceiptSignature`; ERR_STREAM_KEY
 */
export function readReceipt(bytes: Uint8Array, { stream, key }: ReceiptSource): ReadReceipt | undefined {
  const form = readSignedReceipt(bytes);
  const { kind, seq, prev, signatures } = form.receipt;
  if (form.receipt.stream !== stream || kind === "stream-open") return undefined;
  checkSigners(signatures, [key]);
  checkerOf(key)(form.receipt, form.bodyHash);
  return { link: { kind, stream, seq, prev }, ...hashesOf(bytes, form) };
}

/** The hashes of a receipt whose form is known. */
export function hashesOf(bytes: Uint8Array, { bodyHash }: SignedForm): ReceiptHashes {
  return { leaf: hashLeaf(bytes), hash: receiptHash(bytes), bodyHash };
}

/**
 * Reads a segment: its signature and root, and where its receipts say they stand.
 *
 * @param source  whose it must be
 * @param origin  of the log that it must be for
 * @throws {FormatError | CheckError} as `parseSegment` and `checkSegment`; ERR_SEGMENT if a receipt is not the one that its
 *   place in the segment demands; as `parseReceipt` for one that does not even name a place; ERR_STREAM_CLOSED for one
 *   behind a close
 */
export function readSegmentBytes(bytes: Uint8Array, { stream, key }: ReceiptSource, origin: string): ReadSegment {
  const parsed = parseSegment(bytes);
  const leaves = checkSegment(parsed, { instance: { kid: parseKid(stream) }, receipt: key }, origin);
  const { starts, ends } = parsed.entries;
  return { leaves, starts, ends, closes: checkPlaces(parsed) };
}

/** @returns true if the last receipt closes the stream */
function checkPlaces({ segment, entries }: ParsedSegment): boolean {
  const text = byteText(entries.bytes);
  let isClosed = false;
  for (const [i, start] of entries.starts.entries()) {
    const place = scanReceipt(text, start, entries.ends[i]);
    // One that claims no place is no receipt; its parser says why.
    if (place === undefined) parseReceipt(entryAt(entries, i));
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
