/** What signatures of envelopes are over, and how they are made of a body's hash. */

import { formatBase64 } from "../base64.ts";
import { concat, formatUtf8 } from "../bytes.ts";
import { invariant } from "../errors.ts";
import { constant } from "../json/constant.ts";
import { COMPOSITE_SIGNATURE } from "./composite.ts";
import type { Signature } from "./envelope.ts";
import type { Alg, Kid, PublicKey } from "./public-key.ts";
import type { EnvelopeSigner } from "./signer.ts";

/** Most signatures of an envelope. */
export const MAX_SIGNATURES = 4;

const KIND = /^[a-z][a-z0-9-]{0,63}$/;

/** Bytes of a signature. */
export const SIGNATURE_BYTES: Readonly<Record<Alg, number>> = {
  ed25519: 64,
  es256: 64,
  "mldsa65-ed25519": 8 + COMPOSITE_SIGNATURE.mlDsa + COMPOSITE_SIGNATURE.ed25519,
};

/** The bytes that `alg` signs for a body of `kind`. @param bodyHash  SHA-256(JCS(body)) */
export function signedInput(kind: string, alg: Alg, bodyHash: Uint8Array): Uint8Array {
  return concat(contextOf(kind, alg), bodyHash);
}

function contextOf(kind: string, alg: Alg): Uint8Array {
  const known = contexts[alg].get(kind);
  if (known !== undefined) return known;
  invariant(isKind(kind), "signingInput: kind");
  if (contexts[alg].size >= MAX_CONTEXTS) contexts[alg].clear();
  const made = formatUtf8(`countersign/${kind}/v1\n${alg}\n`);
  contexts[alg].set(kind, made);
  return made;
}

/** What stands in front of the hash, by kind: there are few kinds, and many of each. */
const contexts: Readonly<Record<Alg, Map<string, Uint8Array>>> = {
  ed25519: new Map(),
  es256: new Map(),
  "mldsa65-ed25519": new Map(),
};
const MAX_CONTEXTS = 64;

/** Signatures over a body's hash. @param digest  SHA-256(JCS(body)) */
export function signDigest(kind: string, digest: Uint8Array, signers: readonly EnvelopeSigner[]): readonly Signature[] {
  const { length } = signers;
  const areDistinct = areOfDistinctKeys(signers.map(({ publicKey }) => publicKey));
  invariant(areDistinct && length >= 1 && length <= MAX_SIGNATURES, "signEnvelope: signers");
  return signers.map(({ publicKey: { alg, kid }, sign }): Signature => {
    return { alg, kid, sig: formatBase64(sign(signedInput(kind, alg, digest))) };
  });
}

/** Whether no two have the same key id. */
export function areOfDistinctKeys(keys: readonly { readonly kid: Kid }[]): boolean {
  return keys.length < 2 || new Set(keys.map(({ kid }) => kid)).size === keys.length;
}

/** What stands for a signature until it is made: another value of its length. */
export function placeholderOf(key: PublicKey): Signature {
  const known = placeholders.get(key);
  if (known !== undefined) return known;
  const { alg, kid } = key;
  const made: Signature = constant({ alg, kid, sig: formatBase64(new Uint8Array(SIGNATURE_BYTES[alg])) });
  placeholders.set(key, made);
  return made;
}

const placeholders = new WeakMap<PublicKey, Signature>();

/** Whether a text is the kind of an object. */
export function isKind(kind: string): boolean {
  return KIND.test(kind) && !kind.endsWith("\n");
}
