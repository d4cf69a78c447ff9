/**
 * The two keys of a stream: the instance key names it, and certifies the receipt key by signing the same objects
 * (registration, stream-open receipt) beside it.
 */

import { equalBytes } from "../bytes.ts";
import { CheckError } from "../errors.ts";
import type { JsonObject } from "../json/value.ts";
import { checkSignedBy, type EnvelopeChecker, makeEnvelopeChecker, type Signature } from "../signature/envelope.ts";
import { type PublicKey, type PublicKeyJson, publicKeyShape } from "../signature/public-key.ts";

/** The keys of a stream, as its open receipt and its registration name them. */
export interface StreamKeys {
  /** Its kid is the stream's id. */
  readonly instance: PublicKey;
  /** Signs every receipt and segment. */
  readonly receipt: PublicKey;
}

/** What is signed by both keys. */
interface Certificate {
  readonly instance_key: PublicKeyJson;
  readonly receipt_key: PublicKeyJson;
  readonly signatures: readonly Signature[];
}

const ED25519_KEY_BYTES = 32;

const checkers = new WeakMap<PublicKey, EnvelopeChecker>();

/**
 * Checks that the two keys that an object names differ, and that they and no others signed it.
 *
 * @param envelope  the object as a whole, signatures included
 * @throws {CheckError} ERR_STREAM_KEY, ERR_SIGNATURE_INVALID
 */
export function checkCertificate(envelope: Certificate & JsonObject): StreamKeys {
  const keys = readStreamKeys(envelope);
  if (keys.instance.kid === keys.receipt.kid) {
    throw new CheckError("ERR_STREAM_KEY", "the instance key and the receipt key must differ");
  }
  checkUnshared(keys);
  checkSigners(envelope.signatures, [keys.instance, keys.receipt]);
  checkSignedBy(envelope, keys.instance);
  checkSignedBy(envelope, keys.receipt);
  return keys;
}

/**
 * The Ed25519 key inside a composite key is used nowhere else: a signature by it alone would otherwise be half of a
 * composite one.
 */
function checkUnshared({ instance, receipt }: StreamKeys): void {
  const hasComposite = [instance, receipt].some(({ alg }) => alg === "mldsa65-ed25519");
  if (!hasComposite || !equalBytes(lastBytes(instance), lastBytes(receipt))) return;
  throw new CheckError("ERR_STREAM_KEY", "the instance key and the receipt key share their Ed25519 key");
}

/** Where an Ed25519 key has its bytes, alone or at the end of a composite. */
function lastBytes({ bytes }: PublicKey): Uint8Array {
  return bytes.subarray(-ED25519_KEY_BYTES);
}

/** The keys that an object names; nothing is checked about who signed it. */
export function readStreamKeys(named: Pick<Certificate, "instance_key" | "receipt_key">): StreamKeys {
  const read = (key: PublicKeyJson): PublicKey => publicKeyShape.read(key, "key");
  return { instance: read(named.instance_key), receipt: read(named.receipt_key) };
}

/**
 * Checks that signatures of exactly these keys are there: one that nobody checks has no place in a receipt.
 *
 * @throws {CheckError} ERR_STREAM_KEY
 */
export function checkSigners(signatures: readonly Signature[], keys: readonly PublicKey[]): void {
  const holds =
    signatures.length === keys.length && keys.every(({ kid }) => signatures.some((signature) => signature.kid === kid));
  if (!holds) throw new CheckError("ERR_STREAM_KEY", "want signatures of the stream's keys and of no others");
}

/** A checker of envelopes signed by `key`; the key is imported once and remembered with the object. */
export function checkerOf(key: PublicKey): EnvelopeChecker {
  const known = checkers.get(key);
  if (known !== undefined) return known;
  const checker = makeEnvelopeChecker(key);
  checkers.set(key, checker);
  return checker;
}
