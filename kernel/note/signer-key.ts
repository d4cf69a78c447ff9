/**
 * Private note keys, as golang.org/x/mod spells them: `PRIVATE+KEY+<name>+<hex key id>+<base64(type ‖ 32-byte seed)>`.
 *
 * The seed is that of RFC 8032 (types 0x01 and 0x04) or of FIPS 204 (type 0x06).
 */

import { ed25519, mlDsa44 } from "#crypto";
import { formatBase64, parseBase64 } from "../base64.ts";
import { concat, formatUint32 } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { formatHex } from "../hex.ts";
import { isKeyType, type KeyType, makeVerifierKey, type VerifierKey } from "./verifier-key.ts";

/** A private note key with its public half. */
export interface SignerKey {
  readonly name: string;
  readonly type: KeyType;
  /** 32 bytes, secret. */
  readonly seed: Uint8Array;
  readonly verifierKey: VerifierKey;
}

const PREFIX = "PRIVATE+KEY+";
const SEED_BYTES = 32;
const MAX_CHARACTERS = 1024;

/**
 * The key of `name` with this seed.
 *
 * @param seed  32 bytes
 * @throws {FormatError} ERR_KEY_NAME, ERR_SIGNER_KEY
 */
export function makeSignerKey(name: string, type: KeyType, seed: Uint8Array): SignerKey {
  if (seed.length !== SEED_BYTES)
    throw new FormatError("ERR_SIGNER_KEY", `want a seed of 32 bytes, got ${seed.length}`);
  const algorithm = type === 0x06 ? mlDsa44 : ed25519;
  return { name, type, seed, verifierKey: makeVerifierKey(name, type, algorithm.publicKey(seed)) };
}

/** The one spelling of a private key; it holds the secret. */
export function formatSignerKey({ name, type, seed, verifierKey }: SignerKey): string {
  const id = formatHex(formatUint32(verifierKey.keyId));
  return `${PREFIX}${name}+${id}+${formatBase64(concat(Uint8Array.of(type), seed))}`;
}

/**
 * The private key that `text` spells; one line without its LF.
 *
 * @throws {FormatError} ERR_SIGNER_KEY (form, length, an id of another key), ERR_VKEY_TYPE, ERR_BASE64, ERR_KEY_NAME
 */
export function parseSignerKey(text: string): SignerKey {
  const rest = text.length <= MAX_CHARACTERS && text.startsWith(PREFIX) ? text.slice(PREFIX.length) : "";
  const [, name, , base64] = /^([^+]+)\+([^+]*)\+(.*)$/su.exec(rest) ?? [];
  if (name === undefined || base64 === undefined) throw malformed("want PRIVATE+KEY+name+id+base64");
  const [type, ...seed] = parseBase64(base64);
  if (!isKeyType(type)) throw new FormatError("ERR_VKEY_TYPE", "want a private key of type 1, 4 or 6");
  const key = makeSignerKey(name, type, Uint8Array.from(seed));
  // Written back it must be the same text: the id belongs to this key, and no part has a second spelling.
  if (formatSignerKey(key) !== text) throw malformed("the key id is not that of this name and key");
  return key;
}

function malformed(what: string): FormatError {
  return new FormatError("ERR_SIGNER_KEY", what);
}
