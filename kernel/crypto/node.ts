/**
 * `#crypto` under Node: node:crypto decides every verdict that OpenSSL can decide, but for Ed25519 where libsodium is there, which
 * decides alike and faster (sodium-ed25519.ts). The one file that may name node:crypto.
 *
 * Raw keys enter OpenSSL behind the fixed DER headers below (SubjectPublicKeyInfo and PKCS#8), so that the import
 * is the same call for every algorithm and every Node. ML-DSA is native where OpenSSL has it (Node >= 24, found by
 * trying it) and @noble/post-quantum elsewhere.
 */

import {
  createECDH,
  createHmac,
  createPrivateKey,
  createPublicKey,
  hash,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
} from "node:crypto";
import { concat } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { parseHex } from "../hex.ts";
import { isLowS, requireSecretLength, toLowS } from "./key-encoding.ts";
import { nobleMlDsa44, nobleMlDsa65 } from "./noble-ml-dsa.ts";
import type { CryptoPrimitives, SignatureAlgorithm, Verifier } from "./primitives.ts";
import { loadSodiumEd25519 } from "./sodium-ed25519.ts";

const SEED_BYTES = 32;
const NATIVE = "node:crypto";

/** What OpenSSL needs to know of a signature algorithm over 32-byte seeds. */
interface NativeAlgorithm {
  readonly name: string;
  /** DER of everything before the raw key (RFC 8410 §4 and §7; RFC 9881 §4 and §6 with the seed alone). */
  readonly spkiHeader: Uint8Array;
  readonly pkcs8Header: Uint8Array;
  readonly publicKeyBytes: number;
}

const ED25519: NativeAlgorithm = {
  name: "Ed25519",
  spkiHeader: parseHex("302a300506032b6570032100"),
  pkcs8Header: parseHex("302e020100300506032b657004220420"),
  publicKeyBytes: 32,
};

const ML_DSA_44: NativeAlgorithm = {
  name: "ML-DSA-44",
  spkiHeader: parseHex("30820532300b06096086480165030403110382052100"),
  pkcs8Header: parseHex("3034020100300b060960864801650304031104228020"),
  publicKeyBytes: 1312,
};

const ML_DSA_65: NativeAlgorithm = {
  name: "ML-DSA-65",
  spkiHeader: parseHex("308207b2300b0609608648016503040312038207a100"),
  pkcs8Header: parseHex("3034020100300b060960864801650304031204228020"),
  publicKeyBytes: 1952,
};

const P256_SPKI_HEADER = parseHex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
const P256_PKCS8_HEADER = parseHex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420");
const P256_PUBLIC_KEY_BYTES = 65;
const P256_ENCODING = "ieee-p1363";

/**
 * SHA-256. OpenSSL's answer is taken as a string of 32 characters and written into an array on V8's own heap: a Buffer would
 * be memory of the C library with a finalizer, which costs three times the hash itself.
 */
export const sha256: CryptoPrimitives["sha256"] = (data) => fromLatin1(hash("sha256", data, "binary"));

/** SHA-256 into memory of the caller's: the string is all that is allocated. */
export const sha256Into: CryptoPrimitives["sha256Into"] = (data, to, at) => {
  const text = hash("sha256", data, "binary");
  for (let i = 0; i < text.length; i += 1) to[at + i] = text.charCodeAt(i);
};

/**
 * HMAC-SHA-256 (RFC 2104), of two hashes in one call each: an Hmac object costs several times as much. The key is wiped from
 * the buffer that both are put together in; nothing keeps a view of it, and hashing never yields.
 */
export const hmacSha256: CryptoPrimitives["hmacSha256"] = (key, data) => {
  if (data.length > MAX_SHORT_DATA || key.length > HMAC_BLOCK_BYTES) {
    return fromLatin1(createHmac("sha256", key).update(data).digest("binary"));
  }
  padKey(key, INNER_PAD);
  hmacInput.set(data, HMAC_BLOCK_BYTES);
  const inner = hash("sha256", hmacInput.subarray(0, HMAC_BLOCK_BYTES + data.length), "binary");
  padKey(key, OUTER_PAD);
  for (let i = 0; i < inner.length; i += 1) hmacInput[HMAC_BLOCK_BYTES + i] = inner.charCodeAt(i);
  const outer = hash("sha256", hmacInput.subarray(0, HMAC_BLOCK_BYTES + inner.length), "binary");
  hmacInput.fill(0, 0, HMAC_BLOCK_BYTES);
  return fromLatin1(outer);
};

const HMAC_BLOCK_BYTES = 64;
const MAX_SHORT_DATA = 4096;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;
const hmacInput = new Uint8Array(HMAC_BLOCK_BYTES + MAX_SHORT_DATA);

/** Writes the key, padded with zeros to a block, under a pad. */
function padKey(key: Uint8Array, pad: number): void {
  for (let i = 0; i < HMAC_BLOCK_BYTES; i += 1) hmacInput[i] = (key[i] ?? 0) ^ pad;
}

function fromLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Ed25519 as OpenSSL decides it: recomputes R and compares its bytes; S below the group order; no key guard. */
export const opensslEd25519: SignatureAlgorithm = makeNative(ED25519);

const sodiumEd25519 = loadSodiumEd25519();

/** Ed25519 by libsodium or, where it cannot be had, by OpenSSL: behind the key guard the same verdicts. */
export const ed25519: SignatureAlgorithm = sodiumEd25519 ?? opensslEd25519;

/** ECDSA over P-256 with SHA-256; signatures are r ‖ s, low-S. */
export const p256: SignatureAlgorithm = {
  publicKey: p256PublicKey,
  signer: (secret) => {
    p256PublicKey(secret);
    const key = importPrivateKey(concat(P256_PKCS8_HEADER, secret));
    return (message) => toLowS(nodeSign("sha256", message, { key, dsaEncoding: P256_ENCODING }));
  },
  verifier: (publicKey) => {
    if (publicKey.length !== P256_PUBLIC_KEY_BYTES || publicKey[0] !== 4) return refuse;
    const key = importPublicKey(concat(P256_SPKI_HEADER, publicKey));
    if (key === undefined) return refuse;
    const options = { key, dsaEncoding: P256_ENCODING } as const;
    return (message, signature) => isLowS(signature) && nodeVerify("sha256", message, options, signature);
  },
};

const nativeMlDsa44 = isAvailable(ML_DSA_44);
const nativeMlDsa65 = isAvailable(ML_DSA_65);

/** ML-DSA-44; a native signature is hedged (FIPS 204 §3.4), so two signatures of one message differ. */
export const mlDsa44: SignatureAlgorithm = nativeMlDsa44 ? makeNative(ML_DSA_44) : nobleMlDsa44;

/** ML-DSA-65, as ML-DSA-44. */
export const mlDsa65: SignatureAlgorithm = nativeMlDsa65 ? makeNative(ML_DSA_65) : nobleMlDsa65;

/** Which implementation decides each algorithm's verdict. */
export const implementations: CryptoPrimitives["implementations"] = {
  sha256: NATIVE,
  ed25519: sodiumEd25519 === undefined ? NATIVE : "sodium-native",
  p256: NATIVE,
  mlDsa44: nativeMlDsa44 ? NATIVE : "@noble/post-quantum",
  mlDsa65: nativeMlDsa65 ? NATIVE : "@noble/post-quantum",
};

function makeNative(algorithm: NativeAlgorithm): SignatureAlgorithm {
  const importSeed = (seed: Uint8Array): KeyObject =>
    importPrivateKey(concat(algorithm.pkcs8Header, requireSecretLength(seed, SEED_BYTES, `${algorithm.name} seed`)));
  return {
    publicKey: (seed) => {
      const spki = createPublicKey(importSeed(seed)).export({ format: "der", type: "spki" });
      return new Uint8Array(spki.subarray(algorithm.spkiHeader.length));
    },
    signer: (seed) => {
      const key = importSeed(seed);
      return (message) => new Uint8Array(nodeSign(null, message, key));
    },
    verifier: (publicKey) => {
      if (publicKey.length !== algorithm.publicKeyBytes) return refuse;
      const key = importPublicKey(concat(algorithm.spkiHeader, publicKey));
      return key === undefined ? refuse : (message, signature) => nodeVerify(null, message, key, signature);
    },
  };
}

/** The verifier of a key that cannot be imported. */
const refuse: Verifier = () => false;

function importPrivateKey(der: Uint8Array): KeyObject {
  return createPrivateKey({ key: viewAsBuffer(der), format: "der", type: "pkcs8" });
}

function importPublicKey(der: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: viewAsBuffer(der), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}

/** Raw 04 ‖ x ‖ y of the scalar `secret`, which must be 1 <= secret < n. */
function p256PublicKey(secret: Uint8Array): Uint8Array {
  const ecdh = createECDH("prime256v1");
  try {
    ecdh.setPrivateKey(requireSecretLength(secret, SEED_BYTES, "P-256 secret"));
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw new FormatError("ERR_KEY_INVALID", "P-256 secret: want 1 <= secret < group order");
  }
  return new Uint8Array(ecdh.getPublicKey());
}

/** True if this Node's OpenSSL can import the algorithm's keys. */
function isAvailable(algorithm: NativeAlgorithm): boolean {
  try {
    importPrivateKey(concat(algorithm.pkcs8Header, new Uint8Array(SEED_BYTES)));
    return true;
  } catch {
    return false;
  }
}

/** The key functions' types ask for a Buffer; this is the same memory. */
function viewAsBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
