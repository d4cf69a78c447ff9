/**
 * All receipts of a stream: the closed union of kinds, and their bytes.
 *
 * Entry bytes = JCS(envelope with `signatures`): exactly these are stored, leaf-hashed and named by `prev`.
 */

import { sha256 } from "#crypto";
import { formatUtf8, parseUtf8 } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { canonicalBytes, parseCanonical } from "../json/canonical.ts";
import type { JsonValue } from "../json/value.ts";
import { mapped, readShape, type Shape, tagged, takeShape } from "../shape.ts";
import { draftEnvelope, type EnvelopeDraft, type SealedBytes, sealDraft } from "../signature/draft.ts";
import type { Signed } from "../signature/envelope.ts";
import type { PublicKey } from "../signature/public-key.ts";
import type { EnvelopeSigner } from "../signature/signer.ts";
import { type AdmissionBody, admissionShape } from "./admission.ts";
import { type CatalogLoadBody, catalogLoadShape } from "./catalog-load.ts";
import { type DecisionBody, decisionShape } from "./decision.ts";
import { type DriftBody, driftShape } from "./drift.ts";
import { type HeartbeatBody, heartbeatShape } from "./heartbeat.ts";
import { type OperatorActionBody, operatorActionShape } from "./operator-action.ts";
import { type OutcomeBody, outcomeShape } from "./outcome.ts";
import { type PolicyLoadBody, policyLoadShape } from "./policy-load.ts";
import { type RefusalsBody, refusalsShape } from "./refusals.ts";
import { type SessionOpenBody, sessionOpenShape } from "./session-open.ts";
import { type SessionSealBody, sessionSealShape } from "./session-seal.ts";
import { type StreamCloseBody, streamCloseShape } from "./stream-close.ts";
import { type StreamOpenBody, streamOpenShape } from "./stream-open.ts";

/** Most bytes of a receipt: one entry of a log. */
export const MAX_RECEIPT_BYTES = 65_535;
/** Most bytes of one UTF-16 unit. */
const MAX_UTF8_BYTES = 3;

/** Body of any receipt of a stream, before signing. */
export type ReceiptBody =
  | StreamOpenBody
  | PolicyLoadBody
  | CatalogLoadBody
  | SessionOpenBody
  | DecisionBody
  | OutcomeBody
  | SessionSealBody
  | HeartbeatBody
  | RefusalsBody
  | DriftBody
  | OperatorActionBody
  | AdmissionBody
  | StreamCloseBody;

/** A signed receipt of a stream. */
export type StreamReceipt =
  | Signed<StreamOpenBody>
  | Signed<PolicyLoadBody>
  | Signed<CatalogLoadBody>
  | Signed<SessionOpenBody>
  | Signed<DecisionBody>
  | Signed<OutcomeBody>
  | Signed<SessionSealBody>
  | Signed<HeartbeatBody>
  | Signed<RefusalsBody>
  | Signed<DriftBody>
  | Signed<OperatorActionBody>
  | Signed<AdmissionBody>
  | Signed<StreamCloseBody>;

/** The kinds of stream receipts. */
export type ReceiptKind = ReceiptBody["kind"];

/** The signed receipt of one kind. */
export type ReceiptOf<K extends ReceiptKind> = Extract<StreamReceipt, { readonly kind: K }>;

/** A receipt with its entry bytes and its receipt hash. */
export interface SignedReceipt<T = StreamReceipt> {
  readonly receipt: T;
  readonly bytes: Uint8Array;
  /** SHA-256 of `bytes`. */
  readonly hash: Uint8Array;
}

const shapes = {
  "stream-open": streamOpenShape,
  "policy-load": policyLoadShape,
  "catalog-load": catalogLoadShape,
  "session-open": sessionOpenShape,
  decision: decisionShape,
  outcome: outcomeShape,
  "session-seal": sessionSealShape,
  heartbeat: heartbeatShape,
  refusals: refusalsShape,
  drift: driftShape,
  "operator-action": operatorActionShape,
  admission: admissionShape,
  "stream-close": streamCloseShape,
} as const satisfies { readonly [K in ReceiptKind]: Shape<ReceiptOf<K>> };

const kinds: Shape<StreamReceipt> = tagged("kind", shapes);

/** True if `kind` is that of a receipt of a stream. */
export function isReceiptKind(kind: unknown): kind is ReceiptKind {
  return typeof kind === "string" && Object.hasOwn(shapes, kind);
}

/** All kinds of stream receipts. */
export const RECEIPT_KINDS: readonly ReceiptKind[] = Object.keys(shapes).filter(isReceiptKind);

/** A stream receipt as a JSON value: `seq` 0, no `prev` and kind `stream-open` come together or not at all. */
export const receiptShape: Shape<StreamReceipt> = mapped(kinds, (receipt) => {
  const isFirst = receipt.seq === 0;
  if ((receipt.prev === undefined) === isFirst && (receipt.kind === "stream-open") === isFirst) return receipt;
  throw new FormatError("ERR_SHAPE", "want seq 0 and no prev in a stream-open receipt and in no other");
});

/**
 * The receipt that `bytes` spell. Signatures are read, not checked (kernel/stream/).
 *
 * @throws {FormatError} ERR_ENTRY_LENGTH, ERR_JSON_*, ERR_UTF8, ERR_SHAPE
 * @throws {CheckError} ERR_KEY_INVALID, ERR_KEY_WEAK (keys of a stream-open receipt)
 */
export function parseReceipt(bytes: Uint8Array): StreamReceipt {
  checkLength(bytes);
  // Nearly all receipts are taken from their text; of one that is not, the long way says what is wrong.
  const taken = takeShape(receiptShape, parseUtf8(bytes), bytes);
  return taken ?? readReceipt(parseCanonical(bytes, { maxBytes: MAX_RECEIPT_BYTES }));
}

/** Reads a receipt from a value that was parsed from canonical bytes. */
export function readReceipt(value: JsonValue): StreamReceipt {
  return readShape(receiptShape, value, "receipt");
}

/** SHA-256 of a receipt's entry bytes: what `prev` of the next receipt holds in hexadecimal. */
export function receiptHash(bytes: Uint8Array): Uint8Array {
  return sha256(bytes);
}

/** SHA-256(JCS(body without `signatures`)): equal for two signings of one body, so they are no fork. */
export function receiptBodyHash(receipt: StreamReceipt): Uint8Array {
  const { signatures: _, ...body } = receipt;
  return sha256(canonicalBytes(body));
}

/** A receipt whose text is checked; link and signatures are left out of it. */
export type ReceiptDraft = EnvelopeDraft;

/** A body without its link. */
export type UnlinkedBody<B = ReceiptBody> = B extends ReceiptBody ? Omit<B, "prev"> : never;

/**
 * Checks that the body becomes a receipt that every reader takes, whatever its link will be.
 *
 * @param keys  that will sign: the receipt key; for stream-open the instance key and the receipt key, in this order
 * @throws {FormatError} ERR_SHAPE, ERR_ENTRY_LENGTH
 */
export function draftReceipt(body: UnlinkedBody, keys: readonly PublicKey[]): ReceiptDraft {
  const { draft, text } = draftEnvelope(receiptShape, body, body.seq !== 0, keys, "receipt");
  if (text.length * MAX_UTF8_BYTES > MAX_RECEIPT_BYTES) checkLength(formatUtf8(text));
  return draft;
}

/**
 * The receipt of a draft: linked, signed, hashed.
 *
 * @param prev  hash of the receipt before, hexadecimal; undefined for the first
 * @throws {FormatError} ERR_SHAPE if `prev` is not what the draft has a place for
 */
export function sealReceipt(
  draft: ReceiptDraft,
  prev: string | undefined,
  signers: readonly EnvelopeSigner[],
): Omit<SignedReceipt, "receipt"> & Pick<SealedBytes, "signatures"> {
  const { bytes, signatures } = sealDraft(draft, prev, signers);
  return { bytes, signatures, hash: receiptHash(bytes) };
}

/**
 * Signs a body and checks that the result is a receipt that every reader takes.
 *
 * @param signers  the receipt key; for stream-open the instance key and the receipt key, in this order
 * @throws {FormatError} ERR_SHAPE, ERR_ENTRY_LENGTH
 */
export function signReceipt<B extends ReceiptBody>(
  body: B,
  signers: readonly EnvelopeSigner[],
): SignedReceipt<Signed<B>> {
  const { prev, ...unlinked } = body;
  const keys = signers.map(({ publicKey }) => publicKey);
  const { bytes, hash, signatures } = sealReceipt(draftReceipt(unlinked as UnlinkedBody, keys), prev, signers);
  return { receipt: { ...body, signatures }, bytes, hash };
}

function checkLength(bytes: Uint8Array): void {
  if (bytes.length <= MAX_RECEIPT_BYTES) return;
  throw new FormatError(
    "ERR_ENTRY_LENGTH",
    `want a receipt of at most ${MAX_RECEIPT_BYTES} bytes, got ${bytes.length}`,
  );
}
