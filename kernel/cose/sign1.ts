/**
 * COSE_Sign1, tagged (RFC 9052 §4.2):
 *
 *     18([protected: bstr .cbor map, unprotected: map, payload: bstr / null, signature: bstr])
 *     signed bytes = CBOR ["Signature1", protected, h'', payload]          §4.4, no external data
 *
 * The protected header is kept as the bytes that were signed. Verdicts depend on nothing in the unprotected one.
 */

import { formatCbor } from "../cbor/encode.ts";
import { parseCbor } from "../cbor/parse.ts";
import { type CborMap, isCborArray, isCborBytes, isCborMap } from "../cbor/value.ts";
import { toLowS } from "../crypto/key-encoding.ts";
import { CheckError, FormatError } from "../errors.ts";
import type { PublicKey } from "../signature/public-key.ts";
import type { EnvelopeSigner } from "../signature/signer.ts";
import { createVerifier } from "../signature/verifier.ts";
import { checkAlgorithm, coseAlgorithmOf } from "./algorithm.ts";
import { HEADER, parseProtectedHeader, readInteger } from "./header.ts";

/** Tag of COSE_Sign1. */
const TAG = 18n;
/** First byte of every tagged COSE_Sign1: tag 18 in its shortest form. */
export const SIGN1_FIRST_BYTE = 0xd2;
const CONTEXT = "Signature1";
const NOTHING = new Uint8Array(0);

/** A COSE_Sign1 in parts, nothing verified. */
export interface Sign1 {
  /** Content of the protected header's byte string, as signed. */
  readonly protectedBytes: Uint8Array;
  /** The same, read. */
  readonly protectedHeader: CborMap;
  readonly unprotectedHeader: CborMap;
  /** null if it is detached. */
  readonly payload: Uint8Array | null;
  readonly signature: Uint8Array;
}

/**
 * Reads a tagged COSE_Sign1.
 *
 * @throws {FormatError} ERR_CBOR_*, ERR_COSE_STRUCTURE, ERR_COSE_HEADER (also: a label in both headers)
 */
export function parseSign1(bytes: Uint8Array): Sign1 {
  const item = parseCbor(bytes, { order: "kept" });
  const isTagged = typeof item === "object" && item !== null && "tag" in item && item.tag === TAG;
  if (!isTagged || !isCborArray(item.value)) throw structure("want a tagged COSE_Sign1: 18([...])");
  const [protectedBytes, unprotectedHeader, payload, signature, ...rest] = item.value;
  if (rest.length > 0 || !isCborBytes(protectedBytes) || !isCborMap(unprotectedHeader) || !isCborBytes(signature)) {
    throw structure("want [protected, unprotected, payload, signature]");
  }
  if (payload !== null && !isCborBytes(payload)) throw structure("payload: want a byte string or null");
  const protectedHeader = parseProtectedHeader(protectedBytes);
  checkDisjoint(protectedHeader, unprotectedHeader);
  return { protectedBytes, protectedHeader, unprotectedHeader, payload, signature };
}

/** Bytes of a COSE_Sign1; the unprotected header's keys are sorted. */
export function formatSign1({
  protectedBytes,
  unprotectedHeader,
  payload,
  signature,
}: Omit<Sign1, "protectedHeader">): Uint8Array {
  return formatCbor({ tag: TAG, value: [protectedBytes, unprotectedHeader, payload, signature] });
}

/** What `signSign1` signs. */
export interface Sign1Content {
  /** Without `alg`, which the signer adds. */
  readonly protectedHeader: CborMap;
  readonly unprotectedHeader?: CborMap;
  readonly payload: Uint8Array;
  /** Signs over the payload and leaves it out. */
  readonly isDetached?: boolean;
}

/**
 * A signed COSE_Sign1.
 *
 * @throws {CheckError} ERR_COSE_ALG if the signer's algorithm has no COSE number
 */
export function signSign1(content: Sign1Content, { publicKey, sign }: EnvelopeSigner): Uint8Array {
  const { protectedHeader, unprotectedHeader = new Map(), payload, isDetached = false } = content;
  const protectedBytes = formatCbor(new Map([[HEADER.alg, coseAlgorithmOf(publicKey.alg)], ...protectedHeader]));
  const signature = sign(signedBytes(protectedBytes, payload));
  return formatSign1({ protectedBytes, unprotectedHeader, payload: isDetached ? null : payload, signature });
}

/**
 * Checks that `key` signed the protected header and `payload`.
 *
 * @param payload  what was signed: the attached payload, or what the verifier derived for a detached one
 * @throws {FormatError} ERR_COSE_HEADER (no `alg` in the protected header)
 * @throws {CheckError} ERR_COSE_ALG, ERR_COSE_SIGNATURE
 */
export function checkSign1(
  { protectedHeader, protectedBytes, signature }: Sign1,
  payload: Uint8Array,
  key: PublicKey,
): void {
  checkAlgorithm(readAlgorithm(protectedHeader), key);
  if (createVerifier(key)(signedBytes(protectedBytes, payload), inOneForm(signature, key))) return;
  throw new CheckError("ERR_COSE_SIGNATURE", "the signature does not hold under the key");
}

/**
 * The algorithm number of a protected header.
 *
 * @throws {FormatError} ERR_COSE_HEADER if it is missing or not an integer
 */
export function readAlgorithm(protectedHeader: CborMap): bigint {
  const alg = readInteger(protectedHeader, HEADER.alg, "alg (1)");
  if (alg !== undefined) return alg;
  throw new FormatError("ERR_COSE_HEADER", "alg (1): want it in the protected header");
}

/**
 * RFC 9053 §2.1 knows no low-S rule, and half of what other programs sign has the larger s. We write low-S only; here both
 * forms count as the one signature that they are. Nothing identifies a statement or a receipt by its signature.
 */
function inOneForm(signature: Uint8Array, { alg }: PublicKey): Uint8Array {
  return alg === "es256" && signature.length === 64 ? toLowS(signature) : signature;
}

function signedBytes(protectedBytes: Uint8Array, payload: Uint8Array): Uint8Array {
  return formatCbor([CONTEXT, protectedBytes, NOTHING, payload]);
}

/** SPEC RFC 9052 §3: labels MUST NOT occur in both headers. */
function checkDisjoint(a: CborMap, b: CborMap): void {
  for (const label of a.keys()) {
    if (b.has(label)) throw new FormatError("ERR_COSE_HEADER", `label ${label}: want it in one header only`);
  }
}

function structure(message: string): FormatError {
  return new FormatError("ERR_COSE_STRUCTURE", message);
}
