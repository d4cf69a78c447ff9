/**
 * Proofs of possession (RFC 9449 §4.3): a JWT by the key that the access token is bound to, made for this method, this
 * address, this token and this moment, and used once.
 */

import { type CryptoKey, calculateJwkThumbprint } from "jose";
import { sha256 } from "#crypto";
import { formatBase64url } from "../../kernel/base64url.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { holdsUnder, readParts } from "./access-token.ts";
import type { DpopNonces } from "./dpop-nonces.ts";
import { type AccessTokenAlg, algOf, importPublicJwk, isPrivateJwk } from "./jwk-keys.ts";
import type { ReplayCache, Used } from "./replay-cache.ts";

/** What a proof must be made for. */
export interface ProofRules {
  readonly httpMethod: string;
  /** Canonical URL of the mount. */
  readonly url: string;
  readonly accessToken: string;
  /** RFC 7638 thumbprint that the token is bound to. */
  readonly thumbprint: string;
  /** Whose token it is. */
  readonly owner: string;
  readonly nowMs: number;
  /** How far `iat` may be away. */
  readonly windowMs: number;
  /** Undefined if no nonce is asked for. */
  readonly nonces: DpopNonces | undefined;
  readonly replays: ReplayCache;
}

const MAX_JTI = 256;

/** Why a proof is refused; undefined if it holds, and then it is used up. */
export async function proofFault(proof: string, rules: ProofRules): Promise<ReasonCode | undefined> {
  const parts = readParts(proof);
  if (parts === undefined) return "auth.dpop";
  const { header, claims } = parts;
  const jwk = isJsonObject(header["jwk"]) ? header["jwk"] : undefined;
  if (header["typ"] !== "dpop+jwt" || jwk === undefined || isPrivateJwk(jwk)) return "auth.dpop";
  const alg = algOf(jwk);
  if (alg === undefined || header["crit"] !== undefined) return "auth.dpop";
  const key = await keyOf(jwk, alg);
  if (key === undefined || !(await holdsUnder(proof, key.key, alg))) return "auth.dpop";
  if (key.thumbprint !== rules.thumbprint) return "auth.binding";
  return claimsFault(claims, rules);
}

function claimsFault(claims: JsonObject, rules: ProofRules): ReasonCode | undefined {
  const { htm, htu, iat, jti, ath, nonce } = claims;
  if (htm !== rules.httpMethod || typeof htu !== "string" || !isSameUrl(htu, rules.url)) return "auth.dpop";
  if (ath !== tokenHash(rules.accessToken)) return "auth.dpop";
  if (typeof jti !== "string" || jti === "" || jti.length > MAX_JTI) return "auth.dpop";
  if (typeof iat !== "number" || Math.abs(iat * 1000 - rules.nowMs) > rules.windowMs) return "auth.dpop";
  if (rules.nonces !== undefined && !rules.nonces.isOurs(nonce, rules.nowMs)) return "auth.nonce";
  const id = `${rules.thumbprint} ${formatBase64url(sha256(formatUtf8(jti)))}`;
  const used = rules.replays.use(rules.owner, id, rules.nowMs, rules.nowMs + 2 * rules.windowMs);
  return used === "fresh" ? undefined : USED[used];
}

const USED: Readonly<Record<Exclude<Used, "fresh">, ReasonCode>> = {
  replayed: "auth.replay",
  full: "limit.total",
  "own-full": "limit.per-principal",
};

/** `ath`: base64url of the SHA-256 of the token's characters. */
export function tokenHash(token: string): string {
  return formatBase64url(sha256(formatUtf8(token)));
}

async function keyOf(
  jwk: JsonObject,
  alg: AccessTokenAlg,
): Promise<{ readonly key: CryptoKey; readonly thumbprint: string } | undefined> {
  try {
    const key = await importPublicJwk(jwk, alg);
    const members = Object.fromEntries(
      ["kty", "crv", "x", "y", "n", "e"].flatMap((name): readonly (readonly [string, string])[] => {
        const value = jwk[name];
        return typeof value === "string" ? [[name, value]] : [];
      }),
    );
    return { key, thumbprint: await calculateJwkThumbprint(members, "sha256") };
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

/** SPEC RFC 9449 §4.3: `htu` is compared without query and fragment, after normalization (RFC 3986 §6.2.2, §6.2.3). */
function isSameUrl(htu: string, url: string): boolean {
  if (!URL.canParse(htu)) return false;
  const given = new URL(htu);
  return `${given.origin}${given.pathname}` === url && given.username === "" && given.password === "";
}
