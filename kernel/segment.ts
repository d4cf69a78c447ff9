/**
 * Segment: N consecutive receipts of one stream and one signature over their range, so that a ledger admits N receipts
 * with one check. Wire form: NDJSON, the envelope on line 1, then the exact bytes of each receipt, each line ended by LF.
 */

import { CheckError, FormatError, invariant } from "./errors.ts";
import { formatHex, isHexOf } from "./hex.ts";
import { canonicalBytes, parseCanonical } from "./json/canonical.ts";
import {
  type EntryRanges,
  entryAt,
  foldHashes,
  HASH_BYTES,
  hashLeaf,
  hashLeaves,
  joinLeaves,
  type LeafHashes,
} from "./merkle/hash.ts";
import { type Hex64, hex64Shape } from "./receipt/fields.ts";
import { MAX_RECEIPT_BYTES, receiptHash } from "./receipt/receipt.ts";
import { originShape } from "./receipt/stream-open.ts";
import { integer, literal, object, optional, readShape, type Shape } from "./shape.ts";
import { type Signed, signaturesShape, signEnvelope } from "./signature/envelope.ts";
import type { EnvelopeSigner } from "./signature/signer.ts";
import { checkerOf, checkSigners, type StreamKeys } from "./stream/stream-keys.ts";

/** Body of a segment envelope. `prev` is absent if and only if `first_seq` is 0. */
export type SegmentBody = {
  readonly kind: "segment";
  readonly v: 1;
  /** Origin of the log it is sent to. */
  readonly origin: string;
  readonly stream: Hex64;
  readonly first_seq: number;
  /** 1..1024 */
  readonly count: number;
  /** Receipt hash of the receipt before the first. */
  readonly prev?: Hex64;
  /** Receipt hash of the last receipt. */
  readonly last: Hex64;
  /** RFC 6962 root over the receipts' leaf hashes. */
  readonly root: Hex64;
};

/** A segment envelope signed by the stream's receipt key. */
export type Segment = Signed<SegmentBody>;

/** Most receipts of a segment. */
export const MAX_SEGMENT_RECEIPTS = 1024;

/** Most bytes of a segment's wire form. */
export const MAX_SEGMENT_BYTES: number = 8 * 1024 * 1024;

const MAX_ENVELOPE_BYTES = 16_384;
const LF = 0x0a;

const segmentShape: Shape<Segment> = object<Segment>({
  kind: literal("segment"),
  v: literal(1),
  origin: originShape,
  stream: hex64Shape,
  first_seq: integer(),
  count: integer({ min: 1, max: MAX_SEGMENT_RECEIPTS }),
  prev: optional(hex64Shape),
  last: hex64Shape,
  root: hex64Shape,
  signatures: signaturesShape,
});

/** A segment, and where the exact bytes of its receipts are in what was parsed. */
export interface ParsedSegment {
  readonly segment: Segment;
  readonly entries: EntryRanges;
}

/** The keys of a segment's stream: the id of the one that names it, and the one that signs. */
export type SegmentKeys = Pick<StreamKeys, "receipt"> & { readonly instance: Pick<StreamKeys["instance"], "kid"> };

/** What a segment is made of: consecutive receipts of one stream, already signed. */
export interface SegmentParts {
  readonly origin: string;
  readonly stream: Hex64;
  readonly firstSeq: number;
  /** Receipt hash of the receipt before the first; absent if and only if `firstSeq` is 0. */
  readonly prev?: Uint8Array;
  /** 1 to 1024 receipts' entry bytes. */
  readonly receipts: readonly Uint8Array[];
}

/** Signs a segment with the stream's receipt key. */
export function makeSegment(parts: SegmentParts, signer: EnvelopeSigner): Segment {
  return signEnvelope(segmentBodyOf(parts), [signer]);
}

/** What a segment says of its receipts, not signed yet. */
export function segmentBodyOf(parts: SegmentParts): SegmentBody {
  const { origin, stream, firstSeq, prev, receipts } = parts;
  const last = receipts.at(-1);
  invariant(last !== undefined && receipts.length <= MAX_SEGMENT_RECEIPTS, "makeSegment: 1 to 1024 receipts");
  invariant((prev === undefined) === (firstSeq === 0), "makeSegment: prev is absent exactly if firstSeq is 0");
  return {
    kind: "segment",
    v: 1,
    origin,
    stream,
    first_seq: firstSeq,
    count: receipts.length,
    ...(prev === undefined ? {} : { prev: formatHex(prev) }),
    last: formatHex(receiptHash(last)),
    root: rootOf(joinLeaves(receipts.map(hashLeaf))),
  };
}

/**
 * The wire form: the envelope and the receipts, one line each, every line ended by LF.
 *
 * @param memory  where it is put, if there is room: what was there before is gone
 */
export function formatSegment(
  segment: Segment,
  receipts: readonly Uint8Array[],
  memory: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const lines = [canonicalBytes(segment), ...receipts];
  const length = lines.reduce((sum, line) => sum + line.length + 1, 0);
  const wire = length <= memory.length ? memory.subarray(0, length) : new Uint8Array(length);
  let at = 0;
  for (const line of lines) {
    wire.set(line, at);
    at += line.length;
    wire[at] = LF;
    at += 1;
  }
  return wire;
}

/**
 * The envelope of a segment's wire form, by its first line: whose it claims to be. Of what is behind it only the end is looked at.
 *
 * @throws {FormatError} ERR_SEGMENT (no line, a missing LF), ERR_JSON_*, ERR_SHAPE
 */
export function parseSegmentEnvelope(bytes: Uint8Array): Segment {
  if (bytes.at(-1) !== LF) throw new FormatError("ERR_SEGMENT", "want lines that end in a newline each");
  const end = bytes.subarray(0, MAX_ENVELOPE_BYTES + 1).indexOf(LF);
  if (end === -1) throw new FormatError("ERR_SEGMENT", `want an envelope of at most ${MAX_ENVELOPE_BYTES} bytes`);
  return readEnvelope(bytes.subarray(0, end));
}

function readEnvelope(line: Uint8Array): Segment {
  const segment = readShape(segmentShape, parseCanonical(line, { maxBytes: MAX_ENVELOPE_BYTES }), "segment");
  if ((segment.prev === undefined) === (segment.first_seq === 0)) return segment;
  throw new FormatError("ERR_SHAPE", "segment.prev: want it absent exactly if first_seq is 0");
}

/**
 * The segment that `bytes` spell, nothing verified: the receipts are not even parsed.
 *
 * @throws {FormatError} ERR_SEGMENT (lines, their number or length, a missing LF), ERR_JSON_*, ERR_SHAPE
 */
export function parseSegment(bytes: Uint8Array): ParsedSegment {
  if (bytes.length > MAX_SEGMENT_BYTES || bytes.at(-1) !== LF) {
    throw new FormatError("ERR_SEGMENT", `want at most ${MAX_SEGMENT_BYTES} bytes that end in a newline`);
  }
  const first = bytes.indexOf(LF);
  const segment = readEnvelope(bytes.subarray(0, first));
  const ends = endsOfLines(bytes, first + 1);
  if (ends.length !== segment.count) {
    throw new FormatError("ERR_SEGMENT", `want ${segment.count} receipts, got ${ends.length} lines`);
  }
  const starts = ends.map((_, i) => 1 + (ends[i - 1] ?? first));
  if (ends.some((end, i) => end === starts[i] || end - (starts[i] ?? 0) > MAX_RECEIPT_BYTES)) {
    throw new FormatError("ERR_SEGMENT", `want receipts of 1 to ${MAX_RECEIPT_BYTES} bytes`);
  }
  return { segment, entries: { bytes, starts: Uint32Array.from(starts), ends: Uint32Array.from(ends) } };
}

/**
 * Checks that the segment speaks for these receipts and that the stream's receipt key signed it. That the receipts
 * follow each other and the stream's tip is checked by `nextStreamState`.
 *
 * @param origin  of the log that takes it
 * @returns the receipts' leaf hashes, in order
 * @throws {CheckError} ERR_SEGMENT_ORIGIN, ERR_STREAM_KEY, ERR_SEGMENT_ROOT (root or last hash of other receipts),
 *   ERR_SIGNATURE_INVALID
 */
export function checkSegment({ segment, entries }: ParsedSegment, keys: SegmentKeys, origin: string): LeafHashes {
  if (segment.origin !== origin) throw new CheckError("ERR_SEGMENT_ORIGIN", "the segment is for another log");
  if (segment.stream !== keys.instance.kid) throw new CheckError("ERR_STREAM_KEY", "the segment is of another stream");
  const leaves = hashLeaves(entries);
  const last = receiptHash(entryAt(entries, segment.count - 1));
  if (!isHexOf(segment.last, last) || segment.root !== rootOf(leaves)) {
    throw new CheckError("ERR_SEGMENT_ROOT", "the segment's hashes are of other receipts");
  }
  checkSigners(segment.signatures, [keys.receipt]);
  checkerOf(keys.receipt)(segment);
  return leaves;
}

function rootOf(leaves: LeafHashes): Hex64 {
  return formatHex(foldHashes(leaves, leaves.length / HASH_BYTES));
}

/** Where the lines behind `start` end, one more than a segment may have at most; `bytes` ends in an LF. */
function endsOfLines(bytes: Uint8Array, start: number): readonly number[] {
  const ends: number[] = [];
  for (let at = start; at < bytes.length && ends.length <= MAX_SEGMENT_RECEIPTS; ) {
    const end = bytes.indexOf(LF, at);
    ends.push(end);
    at = end + 1;
  }
  return ends;
}
