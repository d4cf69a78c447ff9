/**
 * Verifier keys of signed notes (C2SP signed-note).
 *
 *     vkey   = name ‖ "+" ‖ hex8(key id) ‖ "+" ‖ b64(type ‖ public key)
 *     key id = SHA-256(name ‖ LF ‖ type ‖ public key)[0:4]
 *
 * The key id is a hint, not a commitment: collisions of four bytes are cheap. Trust comes from the configured key.
 */

import { sha256 } from "#crypto";
import { formatBase64, parseBase64 } from "../base64.ts";
import { concat, formatUint32, formatUtf8 } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { formatHex, parseHex } from "../hex.ts";
import { checkEd25519Key } from "../signature/ed25519-key-guard.ts";
import { parseKeyName } from "./key-name.ts";

/** 0x01: Ed25519 over the note text. 0x04: Ed25519 cosignature/v1. 0x06: ML-DSA-44 (sub)tree cosignature. */
export type KeyType = 0x01 | 0x04 | 0x06;

/** A public key under a name, for one type of signature. */
export interface VerifierKey {
  readonly name: string;
  /** Unsigned 32-bit integer; on the wire big-endian. */
  readonly keyId: number;
  readonly type: KeyType;
  /** Raw: 32 bytes (0x01, 0x04), 1312 bytes (0x06). */
  readonly publicKey: Uint8Array;
}

const PUBLIC_KEY_BYTES: Readonly<Record<KeyType, number>> = { 1: 32, 4: 32, 6: 1312 };
const MAX_VKEY_CHARACTERS = 4096;

/**
 * The verifier key of a raw public key.
 *
 * @param publicKey  32 bytes of Ed25519 or 1312 bytes of ML-DSA-44
 * @throws {FormatError} ERR_KEY_NAME, ERR_VKEY (length of the key)
 * @throws {CheckError} ERR_KEY_WEAK for an Ed25519 key whose verdicts implementations disagree on
 */
export function makeVerifierKey(name: string, type: KeyType, publicKey: Uint8Array): VerifierKey {
  parseKeyName(name);
  const want = PUBLIC_KEY_BYTES[type];
  if (publicKey.length !== want) {
    throw new FormatError("ERR_VKEY", `want ${want} bytes of public key for type ${type}, got ${publicKey.length}`);
  }
  if (type !== 0x06) checkEd25519Key(publicKey);
  return { name, keyId: keyIdOf(name, type, publicKey), type, publicKey };
}

/** One line of text, without LF. */
export function formatVerifierKey({ name, keyId, type, publicKey }: VerifierKey): string {
  return `${name}+${formatHex(formatUint32(keyId))}+${formatBase64(concat(Uint8Array.of(type), publicKey))}`;
}

/**
 * The key that `vkey` spells; its id is recomputed.
 *
 * @throws {FormatError} ERR_VKEY, ERR_VKEY_TYPE, ERR_VKEY_ID, ERR_KEY_NAME, ERR_HEX, ERR_BASE64
 * @throws {CheckError} ERR_KEY_WEAK
 */
export function parseVerifierKey(vkey: string): VerifierKey {
  const [, name, id, base64] = /^([^+]*)\+([^+]*)\+(.*)$/su.exec(vkey.slice(0, MAX_VKEY_CHARACTERS + 1)) ?? [];
  if (name === undefined || id === undefined || base64 === undefined || vkey.length > MAX_VKEY_CHARACTERS) {
    throw new FormatError("ERR_VKEY", "want name+id+base64");
  }
  const keyId = uint32(parseHex(id, 4));
  const [type, ...publicKey] = parseBase64(base64);
  const key = makeVerifierKey(name, parseKeyType(type), Uint8Array.from(publicKey));
  if (key.keyId !== keyId) {
    throw new FormatError(
      "ERR_VKEY_ID",
      `want id ${formatHex(formatUint32(key.keyId))} for this name and key, got ${id}`,
    );
  }
  return key;
}

/** True for the types that this code signs and verifies. */
export function isKeyType(type: number | undefined): type is KeyType {
  return type === 0x01 || type === 0x04 || type === 0x06;
}

function parseKeyType(type: number | undefined): KeyType {
  if (!isKeyType(type)) throw new FormatError("ERR_VKEY_TYPE", `want a key of type 1, 4 or 6, got ${type}`);
  return type;
}

function keyIdOf(name: string, type: KeyType, publicKey: Uint8Array): number {
  return uint32(sha256(concat(formatUtf8(`${name}\n`), Uint8Array.of(type), publicKey)));
}

function uint32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}
