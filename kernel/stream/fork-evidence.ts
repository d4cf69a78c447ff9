/**
 * Evidence that the key of a stream signed two histories (docs/formats/fork-evidence.md): two receipts of one stream with
 * one `seq` and different bodies. The registration beside them names the keys; the stream's id is that of the instance
 * key, so the evidence needs no other source.
 *
 *     {"kind":"stream-fork","logged":{receipt},"refused":{receipt},"registration":{registration},"v":1}
 */

import { equalBytes } from "../bytes.ts";
import { CheckError } from "../errors.ts";
import { canonicalBytes, parseCanonical } from "../json/canonical.ts";
import type { JsonObject } from "../json/value.ts";
import { MAX_RECEIPT_BYTES, parseReceipt, receiptBodyHash, type StreamReceipt } from "../receipt/receipt.ts";
import { readRegistration } from "../registration.ts";
import { jsonObject, literal, object, readShape, type Shape } from "../shape.ts";
import { checkSigners, type StreamKeys } from "./stream-keys.ts";
import { checkReceiptSignature, checkStreamOpen } from "./stream-state.ts";

/** The entry bytes that prove a fork of a stream. */
export interface StreamForkEvidence {
  readonly registration: Uint8Array;
  /** The receipt that the log holds. */
  readonly logged: Uint8Array;
  /** The other one, which the log refused. */
  readonly refused: Uint8Array;
}

/** A fork that is proven. */
export interface StreamFork {
  /** Kid of the instance key. */
  readonly stream: string;
  /** The place that two receipts claim. */
  readonly seq: number;
}

type Json = {
  readonly kind: "stream-fork";
  readonly logged: JsonObject;
  readonly refused: JsonObject;
  readonly registration: JsonObject;
  readonly v: 1;
};

const MAX_BYTES = 3 * MAX_RECEIPT_BYTES + 256;

const shape: Shape<Json> = object<Json>({
  kind: literal("stream-fork"),
  logged: jsonObject(),
  refused: jsonObject(),
  registration: jsonObject(),
  v: literal(1),
});

/**
 * Checks that `keys` signed two receipts of their stream that have one `seq` and say different things. Two signatures over
 * one body are no fork.
 *
 * @param a,b  entry bytes
 * @throws {FormatError} as `parseReceipt`
 * @throws {CheckError} ERR_STREAM_KEY, ERR_SIGNATURE_INVALID, ERR_FORK_EVIDENCE (another seq, or the same body)
 */
export function checkStreamFork(a: Uint8Array, b: Uint8Array, keys: StreamKeys): StreamFork {
  const [first, second] = [openReceipt(a, keys), openReceipt(b, keys)];
  if (first.seq !== second.seq) {
    throw new CheckError("ERR_FORK_EVIDENCE", `want two receipts of one seq, got ${first.seq} and ${second.seq}`);
  }
  if (equalBytes(receiptBodyHash(first), receiptBodyHash(second))) {
    throw new CheckError("ERR_FORK_EVIDENCE", "the receipts have the same body");
  }
  return { stream: keys.instance.kid, seq: first.seq };
}

/** The bytes of an evidence file: canonical JSON. Nothing but the form of the parts is checked. @throws {FormatError} */
export function formatStreamFork({ registration, logged, refused }: StreamForkEvidence): Uint8Array {
  const read = (bytes: Uint8Array): JsonObject => readShape(jsonObject(), parseCanonical(bytes), "evidence");
  return canonicalBytes({
    kind: "stream-fork",
    v: 1,
    registration: read(registration),
    logged: read(logged),
    refused: read(refused),
  });
}

/**
 * Checks that `bytes` prove a fork of a stream. The keys are those of the registration in it; who they are is what the
 * stream's id says, and the caller's to know.
 *
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE, and as `parseReceipt` and `parseRegistration`
 * @throws {CheckError} as `checkStreamFork` and `parseRegistration`
 */
export function checkStreamForkFile(bytes: Uint8Array): StreamFork {
  const evidence = readShape(shape, parseCanonical(bytes, { maxBytes: MAX_BYTES }), "evidence");
  const { keys } = readRegistration(evidence.registration);
  return checkStreamFork(canonicalBytes(evidence.logged), canonicalBytes(evidence.refused), keys);
}

/** A receipt of the stream with true signatures. A stream-open receipt names its receipt key itself. */
function openReceipt(bytes: Uint8Array, keys: StreamKeys): StreamReceipt {
  const receipt = parseReceipt(bytes);
  if (receipt.stream !== keys.instance.kid) throw new CheckError("ERR_STREAM_KEY", "the receipt is of another stream");
  if (receipt.kind === "stream-open") {
    checkStreamOpen(receipt);
    return receipt;
  }
  checkSigners(receipt.signatures, [keys.receipt]);
  checkReceiptSignature(keys, receipt);
  return receipt;
}
