/**
 * Files of secret envelope keys: `{"alg": …, "kind": "secret-key", "secret": base64, "v": 1}`, canonical JSON, with or
 * without one LF at the end. Note keys have another form (kernel/note/signer-key.ts), so neither is taken for the other.
 */

import { formatBase64 } from "../base64.ts";
import { FormatError } from "../errors.ts";
import { formatCanonical, parseCanonical } from "../json/canonical.ts";
import { base64Bytes, literal, object, readShape, type Shape } from "../shape.ts";
import type { Alg } from "./public-key.ts";
import { SECRET_BYTES } from "./signer.ts";

/** A secret and the one algorithm that it serves: what `createSigner` takes. */
export interface SecretKey {
  readonly alg: Alg;
  /** ed25519, es256: 32 bytes. mldsa65-ed25519: 64 bytes. */
  readonly secret: Uint8Array;
}

type SecretKeyFile = SecretKey & { readonly kind: "secret-key"; readonly v: 1 };

const MAX_BYTES = 1024;
const LF = 0x0a;

const fileShape: Shape<SecretKeyFile> = object<SecretKeyFile>({
  kind: literal("secret-key"),
  v: literal(1),
  alg: literal("ed25519", "es256", "mldsa65-ed25519"),
  secret: base64Bytes(),
});

/** The text of a key file, without a line end. It holds the secret. */
export function formatSecretKey({ alg, secret }: SecretKey): string {
  return formatCanonical({ kind: "secret-key", v: 1, alg, secret: formatBase64(secret) });
}

/**
 * The secret key in a file.
 *
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE, ERR_BYTES_LENGTH (a secret of another length than the algorithm's)
 */
export function parseSecretKey(bytes: Uint8Array): SecretKey {
  const text = bytes.at(-1) === LF ? bytes.subarray(0, -1) : bytes;
  const { alg, secret } = readShape(fileShape, parseCanonical(text, { maxBytes: MAX_BYTES }), "secret key");
  if (secret.length === SECRET_BYTES[alg]) return { alg, secret };
  throw new FormatError("ERR_BYTES_LENGTH", `${alg} secret: want ${SECRET_BYTES[alg]} bytes, got ${secret.length}`);
}
