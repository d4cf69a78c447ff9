/**
 * Secret envelope keys in files: canonical JSON `{"alg", "kind": "secret-key", "secret": base64, "v": 1}`, mode 0600 by
 * whoever writes them.
 */

import { formatBase64 } from "../base64.ts";
import { FormatError } from "../errors.ts";
import { formatCanonical } from "../json/canonical.ts";
import { parseJson } from "../json/parse.ts";
import { base64Bytes, literal, object, readShape, type Shape } from "../shape.ts";
import type { Alg } from "./public-key.ts";
import { SECRET_BYTES } from "./signer.ts";

/** A secret key: 32 bytes, or 64 for the composite (ML-DSA seed ‖ Ed25519 seed). */
export interface SecretKey {
  readonly alg: Alg;
  readonly secret: Uint8Array;
}

interface SecretKeyFile extends SecretKey {
  readonly kind: "secret-key";
  readonly v: 1;
}

const MAX_FILE_BYTES = 1024;

const fileShape: Shape<SecretKeyFile> = object<SecretKeyFile>({
  kind: literal("secret-key"),
  v: literal(1),
  alg: literal("ed25519", "es256", "mldsa65-ed25519"),
  secret: base64Bytes(),
});

/** The file's text, without a line end; it holds the secret. */
export function formatSecretKey({ alg, secret }: SecretKey): string {
  return formatCanonical({ kind: "secret-key", v: 1, alg, secret: formatBase64(secret) });
}

/**
 * Reads a key file.
 *
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE, ERR_KEY_INVALID if the secret has another length than its algorithm wants
 */
export function parseSecretKey(content: Uint8Array): SecretKey {
  const { alg, secret } = readShape(fileShape, parseJson(content, { maxBytes: MAX_FILE_BYTES }), "secret-key");
  if (secret.length !== SECRET_BYTES[alg]) {
    throw new FormatError(
      "ERR_KEY_INVALID",
      `want ${SECRET_BYTES[alg]} bytes of secret for ${alg}, got ${secret.length}`,
    );
  }
  return { alg, secret };
}
