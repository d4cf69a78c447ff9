/**
 * Who sends a request: by a configured token, an access token, or a client certificate. Asked once for each request, so a
 * credential that ends in the middle of a session ends with the next call.
 */

import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Binding, IdentityOutcome } from "../../kernel/receipt/vocabulary.ts";
import type { Caller } from "../pipeline/call.ts";
import { checkAccessToken, type RefusedToken, type VerifiedToken } from "./access-token.ts";
import {
  type CertificateRules,
  type ClientCertificate,
  callerOfCertificate,
  certificateThumbprint,
} from "./client-certificate.ts";
import { type ProofRules, proofFault } from "./dpop-proof.ts";
import type { ResourceServer } from "./resource-server.ts";
import type { ClientAuth } from "./tls-config.ts";
import { callerOfClaims } from "./token-caller.ts";

/** What a request shows. */
export interface Presented {
  readonly authorization: string | undefined;
  /** The header `DPoP`. */
  readonly dpop: string | undefined;
  readonly httpMethod: string;
  /** Path of the mount. */
  readonly path: string;
  /** Of the connection; undefined without TLS, or if the client showed none. */
  readonly certificate: ClientCertificate | undefined;
}

/** Whom a request stands for, or why nobody. */
export type Authenticated =
  | { readonly type: "caller"; readonly caller: Caller }
  | {
      readonly type: "refused";
      readonly reason: ReasonCode;
      readonly httpStatus: number;
      readonly headers: Readonly<Record<string, string>>;
      /** Whom the refused credential names. */
      readonly claimed?: Caller;
    };

/** What callers are known by. */
export interface AuthenticatorOptions {
  /** The caller of a configured bearer token. */
  readonly configured: (token: string) => Caller | undefined;
  /** Undefined if access tokens are not taken. */
  readonly server: ResourceServer | undefined;
  readonly certificates: CertificateRules;
  readonly clientAuth: ClientAuth;
  readonly nowMs: () => number;
}

/** Checks what a request shows. A credential that asks nobody, as a configured token, is known at once. */
export type Authenticate = (presented: Presented) => Authenticated | Promise<Authenticated>;

interface Refused {
  readonly reason: ReasonCode;
  readonly claimed?: Caller;
}

const SCHEMES: ReadonlySet<string> = new Set(["bearer", "dpop"]);
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/u;
const SPACE = 0x20;

/** Makes the check. */
export function makeAuthenticate(options: AuthenticatorOptions): Authenticate {
  return (presented) => {
    const found = authenticate(options, presented);
    if (!(found instanceof Promise)) return answerTo(options, presented, found);
    return found.then((late) => answerTo(options, presented, late));
  };
}

function answerTo(options: AuthenticatorOptions, presented: Presented, found: Caller | Refused): Authenticated {
  return "reason" in found ? refusalOf(options, presented, found) : { type: "caller", caller: found };
}

type Found = Caller | Refused | Promise<Caller | Refused>;

function authenticate(options: AuthenticatorOptions, presented: Presented): Found {
  const { certificate, authorization } = presented;
  const { certificates, clientAuth, nowMs } = options;
  const shown = certificate === undefined ? undefined : callerOfCertificate(certificate, certificates, nowMs());
  if (clientAuth === "require" && (shown === undefined || typeof shown === "string")) {
    return { reason: shown ?? "auth.certificate" };
  }
  // A token that is bound to a certificate which was taken back is no better than it.
  if (shown === "auth.revoked" || shown === "auth.revocation-unknown") return { reason: shown };
  if (authorization !== undefined) return byToken(options, presented, authorization);
  if (shown === undefined) return { reason: "auth.missing" };
  return typeof shown === "string" ? { reason: shown } : shown;
}

function byToken({ configured, server }: AuthenticatorOptions, presented: Presented, authorization: string): Found {
  const { scheme, token } = readCredential(authorization);
  if (!SCHEMES.has(scheme) || !TOKEN.test(token)) return { reason: "auth.invalid" };
  const isBearer = scheme === "bearer";
  const known = isBearer ? configured(token) : undefined;
  if (known !== undefined) return known;
  if (server === undefined || !(server.takesOpaque || token.includes("."))) return { reason: "auth.invalid" };
  return byAccessToken(server, presented, token, isBearer);
}

/** SPEC RFC 9110 §11.4: the scheme, in any case, then spaces, then the token. */
function readCredential(authorization: string): { readonly scheme: string; readonly token: string } {
  const end = authorization.indexOf(" ");
  let start = end + 1;
  while (authorization.charCodeAt(start) === SPACE) start += 1;
  return { scheme: authorization.slice(0, Math.max(end, 0)).toLowerCase(), token: authorization.slice(start) };
}

async function byAccessToken(
  server: ResourceServer,
  presented: Presented,
  token: string,
  isBearer: boolean,
): Promise<Caller | Refused> {
  const audience = server.urlOf(presented.path);
  const checked = await checkAccessToken(token, server.tokenRules(audience));
  if (checked.type === "refused") return refusedToken(checked);
  const bound = await bindingOf(server, presented, { token, isBearer, audience, checked });
  const { issuer, claims } = checked;
  const { reason, binding = "none" } = bound;
  const caller = callerOfClaims(issuer, claims, binding, reason === undefined ? "verified" : "unverified");
  if (caller === undefined) return { reason: "auth.invalid" };
  if (reason !== undefined) return { reason, claimed: caller };
  return server.lacksScopes(caller) ? { reason: "auth.scope", claimed: caller } : caller;
}

interface Token {
  readonly token: string;
  readonly isBearer: boolean;
  readonly audience: string;
  readonly checked: VerifiedToken;
}

interface Bound {
  readonly binding?: Binding;
  readonly reason?: ReasonCode;
}

/** To what the token is bound, checked; or why that does not hold. A kind of binding that is not known does not. */
async function bindingOf(
  server: ResourceServer,
  presented: Presented,
  { token, isBearer, audience, checked }: Token,
): Promise<Bound> {
  const { jkt, x5t, unknown } = readConfirmation(checked.claims["cnf"]);
  // A token that is bound to a key is not taken as a bearer token, nor the other way round.
  if (unknown === true || isBearer !== (jkt === undefined)) return { reason: "auth.binding" };
  if (x5t !== undefined && !isOfCertificate(presented.certificate, x5t)) return { reason: "auth.binding" };
  if (jkt !== undefined) {
    const { issuer, claims } = checked;
    const owner = JSON.stringify([issuer.issuer, claims["sub"] ?? null]);
    return provenBy(server, presented, { accessToken: token, url: audience, thumbprint: jkt, owner });
  }
  if (x5t !== undefined) return { binding: "connection" };
  return server.isBindingRequired ? { reason: "auth.binding" } : { binding: "none" };
}

async function provenBy(
  server: ResourceServer,
  { dpop, httpMethod }: Presented,
  facts: Pick<ProofRules, "accessToken" | "url" | "thumbprint" | "owner">,
): Promise<Bound> {
  if (dpop === undefined) return { reason: "auth.dpop" };
  const reason = await proofFault(dpop, server.proofRules({ httpMethod, ...facts }));
  return reason === undefined ? { binding: "request" } : { reason };
}

function isOfCertificate(certificate: ClientCertificate | undefined, thumbprint: string): boolean {
  return certificate !== undefined && certificateThumbprint(certificate) === thumbprint;
}

interface Confirmation {
  readonly jkt?: string;
  readonly x5t?: string;
  /** Anything that is none of these. */
  readonly unknown?: true;
}

function readConfirmation(cnf: JsonValue | undefined): Confirmation {
  if (cnf === undefined) return {};
  if (!isJsonObject(cnf)) return { unknown: true };
  const { jkt, "x5t#S256": x5t, ...rest } = cnf;
  const isKnown = Object.keys(rest).length === 0 && (jkt !== undefined || x5t !== undefined);
  if (!isKnown || !isTextOrNothing(jkt) || !isTextOrNothing(x5t)) return { unknown: true };
  return { ...(jkt === undefined ? {} : { jkt }), ...(x5t === undefined ? {} : { x5t }) };
}

function isTextOrNothing(value: JsonValue | undefined): value is string | undefined {
  return value === undefined || typeof value === "string";
}

const OUTCOMES: Partial<Record<ReasonCode, IdentityOutcome>> = {
  "auth.audience": "wrong-audience",
  "auth.expired": "expired",
  "identity.bad-signature": "bad-signature",
  "identity.unknown-key": "unknown-key",
};

function refusedToken({ reason, named }: RefusedToken): Refused {
  if (named === undefined) return { reason };
  const claimed = callerOfClaims(named.issuer, named.claims, "none", OUTCOMES[reason] ?? "unverified");
  return claimed === undefined ? { reason } : { reason, claimed };
}

/** What may be otherwise in a while. */
const UNAVAILABLE: ReadonlySet<ReasonCode> = new Set([
  "auth.keys-unavailable",
  "auth.introspection",
  "limit.total",
  "limit.per-principal",
]);

function refusalOf(
  { server }: AuthenticatorOptions,
  { path }: Presented,
  { reason, claimed }: Refused,
): Extract<Authenticated, { type: "refused" }> {
  const named = claimed === undefined ? {} : { claimed };
  if (UNAVAILABLE.has(reason)) {
    return { type: "refused", reason, httpStatus: 503, headers: { "Retry-After": "30" }, ...named };
  }
  const httpStatus = reason === "auth.scope" ? 403 : 401;
  const headers = server?.challenge(path, reason) ?? { "WWW-Authenticate": 'Bearer realm="countersign"' };
  return { type: "refused", reason, httpStatus, headers, ...named };
}
