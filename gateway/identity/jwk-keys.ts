/**
 * A JWK set (RFC 7517) as the keys of one issuer. The algorithm comes from the key, never from the token: a key serves the
 * one algorithm that it names, or the one that its type implies.
 */

import { type CryptoKey, importJWK, type JWK } from "jose";
import { FormatError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";

/** Algorithms of access tokens. */
export const ACCESS_TOKEN_ALGS = ["ES256", "EdDSA", "RS256", "PS256"] as const;
export type AccessTokenAlg = (typeof ACCESS_TOKEN_ALGS)[number];

/** One key that tokens may be signed with. */
export interface IssuerKey {
  readonly kid: string | undefined;
  readonly alg: AccessTokenAlg;
  readonly key: CryptoKey;
}

/** Longest key set that is read. */
export const MAX_JWKS_BYTES: number = 256 * 1024;
const MAX_KEYS = 64;

/** Members of a JWK that belong to whoever signs: a set that shows one is no set of public keys. */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] as const;

/**
 * The keys of a set that serve one of `algs`; keys of other types and uses are passed over.
 *
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE (no set, too many keys, a private key), ERR_KEY_INVALID
 */
export async function parseJwks(bytes: Uint8Array, algs: readonly AccessTokenAlg[]): Promise<readonly IssuerKey[]> {
  const document = parseJson(bytes, { maxBytes: MAX_JWKS_BYTES });
  const keys = listOf(isJsonObject(document) ? document["keys"] : undefined);
  if (keys === undefined || keys.length > MAX_KEYS) {
    throw new FormatError("ERR_SHAPE", `want a JWK set of at most ${MAX_KEYS} keys`);
  }
  const found: IssuerKey[] = [];
  for (const jwk of keys) {
    const key = await importKey(jwk, algs);
    if (key !== undefined) found.push(key);
  }
  return found;
}

/** The algorithm that a public JWK serves; undefined if it serves none of ours. */
export function algOf(jwk: JsonObject): AccessTokenAlg | undefined {
  const { kty, crv, alg } = jwk;
  if (kty === "EC" && crv === "P-256") return alg === undefined || alg === "ES256" ? "ES256" : undefined;
  if (kty === "OKP" && crv === "Ed25519") {
    return alg === undefined || alg === "EdDSA" || alg === "Ed25519" ? "EdDSA" : undefined;
  }
  if (kty !== "RSA") return undefined;
  return alg === undefined || alg === "RS256" ? "RS256" : alg === "PS256" ? "PS256" : undefined;
}

/** True if a JWK holds what only its owner may have. */
export function isPrivateJwk(jwk: JsonObject): boolean {
  return PRIVATE_MEMBERS.some((member) => jwk[member] !== undefined);
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

async function importKey(jwk: JsonValue, algs: readonly AccessTokenAlg[]): Promise<IssuerKey | undefined> {
  if (!isJsonObject(jwk)) throw new FormatError("ERR_SHAPE", "want JWKs that are objects");
  if (isPrivateJwk(jwk)) throw new FormatError("ERR_SHAPE", "the JWK set holds a private or a symmetric key");
  const alg = algOf(jwk);
  if (alg === undefined || !algs.includes(alg) || !isForSignatures(jwk)) return undefined;
  const { kid } = jwk;
  const key = await importPublicJwk(jwk, alg);
  return { kid: typeof kid === "string" ? kid : undefined, alg, key };
}

/** @throws {FormatError} ERR_KEY_INVALID */
export async function importPublicJwk(jwk: JsonObject, alg: AccessTokenAlg): Promise<CryptoKey> {
  try {
    const key = await importJWK(publicMembers(jwk), alg);
    if (!(key instanceof Uint8Array)) return key;
  } catch (cause) {
    throw new FormatError("ERR_KEY_INVALID", "a JWK is no public key of its type", { cause });
  }
  throw new FormatError("ERR_KEY_INVALID", "a JWK is a symmetric key");
}

function isForSignatures({ use, key_ops: operations }: JsonObject): boolean {
  if (use !== undefined && use !== "sig") return false;
  return operations === undefined || (Array.isArray(operations) && operations.includes("verify"));
}

/** The members that make the key, and no other. */
function publicMembers(jwk: JsonObject): JWK {
  const text = (name: string): string | undefined => {
    const value = jwk[name];
    return typeof value === "string" ? value : undefined;
  };
  const members = ["kty", "crv", "x", "y", "n", "e"].map((name) => [name, text(name)] as const);
  return Object.fromEntries(members.filter(([, value]) => value !== undefined));
}
