/**
 * Access tokens as JWTs (RFC 9068, RFC 8725): issuer, key, signature, audience, time, in this order, each with a reason of
 * its own. Whatever is wrong with a token, nothing of it is believed.
 */

import { type CryptoKey, compactVerify } from "jose";
import { parseBase64url } from "../../kernel/base64url.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Introspection } from "./introspection.ts";
import type { AccessTokenAlg, IssuerKey } from "./jwk-keys.ts";
import type { KeySource } from "./key-source.ts";
import type { IssuerConfig } from "./oauth-config.ts";
import type { SignedToken, SignedTokens } from "./signed-tokens.ts";

/** An issuer that tokens are taken from. */
export interface TrustedIssuer {
  readonly config: IssuerConfig;
  /** Undefined if the issuer is only asked. */
  readonly keys?: KeySource;
  readonly introspection?: Introspection;
}

/** What a token is checked against. */
export interface TokenRules {
  /** By `iss`. */
  readonly issuers: ReadonlyMap<string, TrustedIssuer>;
  /** Those that these issuers have signed. */
  readonly signed: SignedTokens;
  /** Canonical URL of the mount. */
  readonly audience: string;
  readonly nowMs: number;
  readonly leewayMs: number;
}

/** A token whose every check passed. */
export interface VerifiedToken {
  readonly type: "verified";
  readonly issuer: IssuerConfig;
  readonly claims: JsonObject;
}

/** Why a token is refused, and what it says of itself if its issuer is known, so that the receipt can say whose it was. */
export interface RefusedToken {
  readonly type: "refused";
  readonly reason: ReasonCode;
  readonly named?: { readonly issuer: IssuerConfig; readonly claims: JsonObject };
}

/** Longest token that is read. */
export const MAX_TOKEN_CHARACTERS = 8_192;
const TYPES: ReadonlySet<string> = new Set(["at+jwt", "application/at+jwt"]);

/** Spellings of an algorithm in a header; `Ed25519` is RFC 9864's name for what `EdDSA` meant. */
const HEADER_ALGS: Readonly<Record<AccessTokenAlg, readonly string[]>> = {
  ES256: ["ES256"],
  EdDSA: ["EdDSA", "Ed25519"],
  RS256: ["RS256"],
  PS256: ["PS256"],
};

/** Checks a token. */
export async function checkAccessToken(token: string, rules: TokenRules): Promise<VerifiedToken | RefusedToken> {
  const known = rules.signed.find(token);
  const parts = known ?? readParts(token);
  if (parts === undefined) return checkOpaque(token, rules);
  const { header, claims } = parts;
  const { iss } = claims;
  const { typ } = header;
  const issuer = typeof iss === "string" ? rules.issuers.get(iss) : undefined;
  if (issuer === undefined) return refused("auth.issuer");
  if (!isType(typ, issuer.config) || header["crit"] !== undefined) return refused("auth.invalid");
  if (issuer.keys === undefined) return checkOpaque(token, rules);
  const named = { issuer: issuer.config, claims };
  const reason =
    (await signatureFault(token, { header, claims, key: known?.key }, issuer.keys, rules.signed)) ??
    claimFault(claims, rules) ??
    (await revocationFault(token, issuer));
  return reason === undefined ? { type: "verified", ...named } : { type: "refused", reason, named };
}

/** A token that says nothing of itself: what its issuer says of it is checked as claims are. */
async function checkOpaque(token: string, rules: TokenRules): Promise<VerifiedToken | RefusedToken> {
  const issuer = [...rules.issuers.values()].find(({ introspection }) => introspection !== undefined);
  if (issuer?.introspection === undefined || token.length > MAX_TOKEN_CHARACTERS) return refused("auth.invalid");
  const asked = await issuer.introspection.ask(token);
  if (asked.type === "unavailable") return refused("auth.introspection");
  if (asked.type === "inactive") return refused("auth.inactive");
  const { claims } = asked;
  const named = { issuer: issuer.config, claims };
  const { iss } = claims;
  if (iss !== undefined && iss !== issuer.config.issuer) return refused("auth.issuer");
  const reason = claimFault(claims, rules);
  return reason === undefined ? { type: "verified", ...named } : { type: "refused", reason, named };
}

/** What a signature cannot say: that the issuer has taken the token back. */
async function revocationFault(token: string, { introspection }: TrustedIssuer): Promise<ReasonCode | undefined> {
  const asked = await introspection?.ask(token);
  if (asked?.type === "unavailable") return "auth.introspection";
  return asked?.type === "inactive" ? "auth.inactive" : undefined;
}

/** @param read  with the key under which the token has held before, if it has */
async function signatureFault(
  token: string,
  read: Omit<SignedToken, "key"> & { readonly key: IssuerKey | undefined },
  keys: KeySource,
  signed: SignedTokens,
): Promise<ReasonCode | undefined> {
  const { header, claims } = read;
  const { kid } = header;
  const found = await keys.find(typeof kid === "string" ? kid : undefined);
  if (found.type === "unavailable") return "auth.keys-unavailable";
  if (found.keys.length === 0) return "identity.unknown-key";
  // Keys that are loaded anew are new ones: a token holds under one of them or not at all.
  if (read.key !== undefined && found.keys.includes(read.key)) return undefined;
  const key = await signerOf(token, found.keys);
  if (key === undefined) return "identity.bad-signature";
  signed.keep(token, { header, claims, key });
  return undefined;
}

/** Header and claims of a compact JWS; undefined for anything else, duplicate members included. */
export function readParts(token: string): { readonly header: JsonObject; readonly claims: JsonObject } | undefined {
  const [header, payload, signature, ...rest] = token.split(".");
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return undefined;
  if (token.length > MAX_TOKEN_CHARACTERS) return undefined;
  const read = { header: readPart(header), claims: readPart(payload) };
  if (read.header === undefined || read.claims === undefined) return undefined;
  return { header: read.header, claims: read.claims };
}

/**
 * True if a JWS holds under the key, for the algorithm that the key serves. Its signature has one spelling: whoever tells
 * tokens apart by their text must not be shown one token as several.
 */
export async function holdsUnder(token: string, key: CryptoKey, alg: AccessTokenAlg): Promise<boolean> {
  if (!isBase64url(token.slice(token.lastIndexOf(".") + 1))) return false;
  try {
    await compactVerify(token, key, { algorithms: [...HEADER_ALGS[alg]] });
    return true;
  } catch {
    return false;
  }
}

async function signerOf(token: string, keys: readonly IssuerKey[]): Promise<IssuerKey | undefined> {
  for (const one of keys) if (await holdsUnder(token, one.key, one.alg)) return one;
  return undefined;
}

function isType(typ: JsonObject[string] | undefined, { require_at_jwt: isStrict = false }: IssuerConfig): boolean {
  if (typ === undefined) return !isStrict;
  if (typeof typ !== "string") return false;
  const type = typ.toLowerCase();
  return TYPES.has(type) || (!isStrict && type === "jwt");
}

function claimFault(claims: JsonObject, { audience, nowMs, leewayMs }: TokenRules): ReasonCode | undefined {
  const { aud, exp, nbf, iat, sub } = claims;
  if (typeof sub !== "string" || sub === "" || sub.length > 255 || !isSeconds(exp)) return "auth.invalid";
  if ((nbf !== undefined && !isSeconds(nbf)) || (iat !== undefined && !isSeconds(iat))) return "auth.invalid";
  const audiences = typeof aud === "string" ? [aud] : Array.isArray(aud) ? aud : [];
  if (!audiences.includes(audience)) return "auth.audience";
  if (nowMs >= exp * 1000 + leewayMs) return "auth.expired";
  const from = Math.max(nbf ?? 0, iat ?? 0);
  return nowMs < from * 1000 - leewayMs ? "auth.not-yet-valid" : undefined;
}

function isSeconds(value: JsonObject[string] | undefined): value is number {
  return typeof value === "number" && value >= 0 && value <= 253_402_300_799;
}

function isBase64url(text: string): boolean {
  try {
    parseBase64url(text);
    return true;
  } catch (error) {
    if (isCodedError(error)) return false;
    throw error;
  }
}

function readPart(part: string): JsonObject | undefined {
  try {
    const value = parseJson(parseBase64url(part), { maxBytes: MAX_TOKEN_CHARACTERS });
    return isJsonObject(value) ? value : undefined;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

function refused(reason: ReasonCode): RefusedToken {
  return { type: "refused", reason };
}
