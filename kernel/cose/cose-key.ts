/**
 * Public keys as COSE_Key (RFC 9052 §7, RFC 9053 §7) and their thumbprints (RFC 9679).
 *
 *     Ed25519  {1: 1, 2: kid, 3: -8, -1: 6, -2: x}
 *     P-256    {1: 2, 2: kid, 3: -7, -1: 1, -2: x, -3: y}
 *     thumbprint = SHA-256 of the deterministic map of 1, -1, -2 (and -3)      RFC 9679 §3, §4
 */

import { sha256 } from "#crypto";
import { concat } from "../bytes.ts";
import { formatCbor } from "../cbor/encode.ts";
import { parseCbor } from "../cbor/parse.ts";
import { type CborMap, type CborValue, isCborArray, isCborBytes, isCborMap } from "../cbor/value.ts";
import { CheckError, FormatError } from "../errors.ts";
import { makePublicKey, type PublicKey } from "../signature/public-key.ts";
import { checkAlgorithm, coseAlgorithmOf } from "./algorithm.ts";

const KTY = 1n;
const KID = 2n;
const ALG = 3n;
const KEY_OPS = 4n;
const CRV = -1n;
const X = -2n;
const Y = -3n;
const OKP = 1n;
const EC2 = 2n;
const ED25519 = 6n;
const P256 = 1n;
const VERIFY = 2n;
const COORDINATE_BYTES = 32;
const MAX_KEY_BYTES = 1024;
const MAX_KID_BYTES = 256;
const UNCOMPRESSED = Uint8Array.of(4);

/** A guarded public key and the id by which COSE objects name it. */
export interface CoseKey {
  readonly key: PublicKey;
  /** The key's own `kid`, or its thumbprint where it has none. */
  readonly kid: Uint8Array;
}

/**
 * Reads one public COSE_Key.
 *
 * @throws {FormatError} ERR_CBOR_*, ERR_COSE_KEY (type, curve, members; a private member; a compressed point)
 * @throws {CheckError} ERR_COSE_ALG (an `alg` that is not the key's), ERR_KEY_INVALID, ERR_KEY_WEAK
 */
export function parseCoseKey(bytes: Uint8Array): CoseKey {
  return readCoseKey(parseCbor(bytes, { maxBytes: MAX_KEY_BYTES, order: "kept" }));
}

/** `parseCoseKey` of an item of a COSE_KeySet. */
export function readCoseKey(item: CborValue): CoseKey {
  if (!isCborMap(item)) throw refuse("want a map");
  checkMembers(item);
  const key = readKey(item);
  const alg = item.get(ALG);
  if (alg !== undefined) {
    if (typeof alg !== "bigint") throw refuse("alg (3): want an integer");
    checkAlgorithm(alg, key);
  }
  return { key, kid: readKid(item) ?? coseThumbprint(key) };
}

/** Bytes of the key with its `alg` and, as `kid`, its thumbprint. @throws {CheckError} ERR_COSE_ALG for a composite key */
export function formatCoseKey(key: PublicKey): Uint8Array {
  return formatCbor(coseKeyOf(key));
}

/** Bytes of a COSE_KeySet (RFC 9052 §7): an array of keys. */
export function formatCoseKeySet(keys: readonly PublicKey[]): Uint8Array {
  return formatCbor(keys.map(coseKeyOf));
}

/**
 * The keys of a COSE_KeySet; one of a kind that we do not verify fails the whole set.
 *
 * @throws as `parseCoseKey`
 */
export function parseCoseKeySet(bytes: Uint8Array): readonly CoseKey[] {
  const items = parseCbor(bytes, { order: "kept" });
  if (!isCborArray(items)) throw refuse("want an array of keys");
  return items.map(readCoseKey);
}

/** RFC 9679 thumbprint with SHA-256: 32 bytes. @throws {CheckError} ERR_COSE_ALG for a composite key */
export function coseThumbprint(key: PublicKey): Uint8Array {
  return sha256(formatCbor(requiredMembers(key)));
}

function coseKeyOf(key: PublicKey): CborMap {
  return new Map<bigint, CborValue>([
    ...requiredMembers(key),
    [KID, coseThumbprint(key)],
    [ALG, coseAlgorithmOf(key.alg)],
  ]);
}

function requiredMembers({ alg, bytes }: PublicKey): ReadonlyMap<bigint, CborValue> {
  if (alg === "mldsa65-ed25519") throw new CheckError("ERR_COSE_ALG", "a composite key has no COSE_Key");
  if (alg === "ed25519") return new Map<bigint, CborValue>([[KTY, OKP], [CRV, ED25519], [X, bytes]]); // biome-ignore format: one line a key
  return new Map<bigint, CborValue>([[KTY, EC2], [CRV, P256], [X, bytes.slice(1, 33)], [Y, bytes.slice(33)]]); // biome-ignore format: as above
}

function readKey(map: CborMap): PublicKey {
  const [kty, crv] = [map.get(KTY), map.get(CRV)];
  if (kty === OKP && crv === ED25519 && !map.has(Y)) return makePublicKey("ed25519", readCoordinate(map, X));
  if (kty !== EC2 || crv !== P256) throw refuse("want an OKP key on Ed25519 or an EC2 key on P-256");
  return makePublicKey("es256", concat(UNCOMPRESSED, readCoordinate(map, X), readCoordinate(map, Y)));
}

function readCoordinate(map: CborMap, label: bigint): Uint8Array {
  const value = map.get(label);
  if (isCborBytes(value) && value.length === COORDINATE_BYTES) return value;
  throw refuse(`${label}: want a coordinate of ${COORDINATE_BYTES} bytes`);
}

function readKid(map: CborMap): Uint8Array | undefined {
  const kid = map.get(KID);
  if (kid === undefined) return undefined;
  if (isCborBytes(kid) && kid.length > 0 && kid.length <= MAX_KID_BYTES) return kid;
  throw refuse(`kid (2): want 1 to ${MAX_KID_BYTES} bytes`);
}

/** Only these members: a private one (-4) must never travel in a file of public keys. */
function checkMembers(map: CborMap): void {
  const known: ReadonlySet<bigint | string> = new Set([KTY, KID, ALG, KEY_OPS, CRV, X, Y]);
  for (const label of map.keys()) {
    if (!known.has(label)) throw refuse("want no members but 1 to 4 and -1 to -3");
  }
  const operations = map.get(KEY_OPS);
  if (operations === undefined) return;
  const allowsVerify = isCborArray(operations) && operations.includes(VERIFY);
  if (!allowsVerify) throw refuse("key_ops (4): want an array with verify (2)");
}

function refuse(message: string): FormatError {
  return new FormatError("ERR_COSE_KEY", `COSE_Key: ${message}`);
}
