/** Ed25519 signatures of receipts, verified on the thread pool of Node, with the verdict that the kernel gives. */

import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { parseBase64 } from "../../kernel/base64.ts";
import { formatBase64url } from "../../kernel/base64url.ts";
import { CheckError } from "../../kernel/errors.ts";
import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { hasIdentityR } from "../../kernel/signature/ed25519.ts";
import { signedInput } from "../../kernel/signature/envelope.ts";
import type { PublicKey } from "../../kernel/signature/public-key.ts";

const keys = new WeakMap<PublicKey, KeyObject>();

/**
 * Checks the signature of `key`, which has passed its guard, over a body.
 *
 * @param bodyHash  SHA-256(JCS(body))
 * @throws {CheckError} ERR_SIGNATURE_MISSING, ERR_SIGNATURE_INVALID
 */
export async function checkSignatureInPool(
  key: PublicKey,
  receipt: StreamReceipt,
  bodyHash: Uint8Array,
): Promise<void> {
  const signature = receipt.signatures.find(({ kid }) => kid === key.kid);
  if (signature === undefined) throw new CheckError("ERR_SIGNATURE_MISSING", `no signature by the key ${key.kid}`);
  const bytes = parseBase64(signature.sig);
  const isValid =
    signature.alg === key.alg &&
    !hasIdentityR(bytes) &&
    (await isSignedBy(keyObject(key), signedInput(receipt.kind, key.alg, bodyHash), bytes));
  if (!isValid) throw new CheckError("ERR_SIGNATURE_INVALID", `the signature by the key ${key.kid} does not hold`);
}

function isSignedBy(key: KeyObject, input: Uint8Array, signature: Uint8Array): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(null, input, key, signature, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
}

function keyObject(key: PublicKey): KeyObject {
  const known = keys.get(key);
  if (known !== undefined) return known;
  const made = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: formatBase64url(key.bytes) }, format: "jwk" });
  keys.set(key, made);
  return made;
}
