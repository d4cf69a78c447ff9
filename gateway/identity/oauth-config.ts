/** Configuration of the OAuth resource server and of client certificates: `auth` of the gateway's file (docs/gateway.md). */

import { FormatError } from "../../kernel/errors.ts";
import {
  array,
  boolean,
  integer,
  literal,
  mapped,
  object,
  optional,
  record,
  type Shape,
  string,
} from "../../kernel/shape.ts";
import type { CallerKind } from "../pipeline/call.ts";
import { checkClient, clientShapes } from "./client-authentication.ts";
import type { IntrospectionConfig } from "./introspection.ts";
import { isIssuerUrl } from "./issuer-url.ts";
import { ACCESS_TOKEN_ALGS, type AccessTokenAlg } from "./jwk-keys.ts";

/** Names of claims that policy reads; a nested claim is a path with dots. */
export type ClaimNames = {
  /** Default `groups`. */
  readonly groups?: string;
  /** Default `roles`. */
  readonly roles?: string;
  /** Default `client_id`, then `azp`. */
  readonly client?: string;
  /** Default `sid`. A session of this token's is one of level 2. */
  readonly session?: string;
  /** Default `workflow`. */
  readonly workflow?: string;
};

/** One issuer of access tokens, with its keys from a file or from an address. */
export type IssuerConfig = {
  /** Compared with `iss` as text. */
  readonly issuer: string;
  readonly jwks_file?: string;
  readonly jwks_url?: string;
  /** The issuer is asked about each token (RFC 7662): about opaque ones, and whether the others still hold. */
  readonly introspection?: IntrospectionConfig;
  /** Default all. */
  readonly algs?: readonly AccessTokenAlg[];
  readonly claims?: ClaimNames;
  /** What this issuer's subjects are; default: `agent` if `sub` is the client itself, else `user`. */
  readonly kind?: CallerKind;
  /** True: `typ` must be `at+jwt` (RFC 9068). Default false: `JWT` and none are taken as well. */
  readonly require_at_jwt?: boolean;
  /** Issuers whose parties this one may name as acting (`act.iss`), beside its own. Default none. */
  readonly actor_issuers?: readonly string[];
};

/** Proofs of possession (RFC 9449). */
export type DpopConfig = {
  /** True: a token that is not bound to a key, or to a certificate, is refused. Default false. */
  readonly required?: boolean;
  /** True: a proof must carry a nonce of ours. Default false. */
  readonly nonce?: boolean;
  /** How far `iat` may be away. Default 60. */
  readonly window_seconds?: number;
};

/** The gateway as an OAuth 2.1 resource server. */
export type OauthConfig = {
  /** Where agents reach the gateway, without a path; a mount's canonical URL is this and its path. Default: the listener's. */
  readonly resource?: string;
  readonly issuers: readonly IssuerConfig[];
  /** Scopes without which no request is served. Default none. */
  readonly scopes?: readonly string[];
  /** Scopes that a tool needs beside those: `<server>/<tool>` or `<server>/*`. */
  readonly tool_scopes?: Readonly<Record<string, readonly string[]>>;
  /** Clock difference that is tolerated. Default 30. */
  readonly leeway_seconds?: number;
  /** Least time between two fetches of an issuer's keys. Default 30. */
  readonly jwks_floor_seconds?: number;
  /** Age at which keys are fetched again. Default 600. */
  readonly jwks_max_age_seconds?: number;
  /** True: keys may be fetched by plain HTTP from this machine. Default false. */
  readonly allow_loopback_http?: boolean;
  readonly dpop?: DpopConfig;
};

/** A subject of a client certificate and whom it stands for. */
export type CertificatePrincipal = {
  /** The subject's parts in the certificate's order, for example `["O=Example", "CN=agent-1"]`. */
  readonly subject: readonly string[];
  readonly principal: string;
};

/** A SPIFFE trust domain and the certificates that its SVIDs go back to. */
export type SpiffeDomain = {
  readonly trust_domain: string;
  /** PEM. */
  readonly bundle_file: string;
};

const MAX_ISSUERS = 16;
const LEEWAY_SECONDS = 30;
const MAX_SECONDS = 86_400;

const path: Shape<string> = string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" });
const scope: Shape<string> = string({ pattern: /^[!#-[\]-~]{1,128}$/u, maxLength: 128, description: "a scope" });
const scopes: Shape<readonly string[]> = array(scope, { max: 32 });
const claim: Shape<string> = string({ pattern: /^[^\s]{1,128}$/u, maxLength: 128, description: "the name of a claim" });
const seconds: Shape<number> = integer({ max: MAX_SECONDS });

/** Issuers stand in receipts, so their form is that of receipts (kernel/receipt/identity.ts). */
const issuerName: Shape<string> = string({
  pattern: /^[A-Za-z0-9][A-Za-z0-9.:/_-]{0,199}$/u,
  maxLength: 200,
  description: "an issuer",
});

const claimsShape: Shape<ClaimNames> = object<ClaimNames>({
  groups: optional(claim),
  roles: optional(claim),
  client: optional(claim),
  session: optional(claim),
  workflow: optional(claim),
});

const introspectionShape: Shape<IntrospectionConfig> = mapped(
  object<IntrospectionConfig>({
    ...clientShapes,
    endpoint: string({ maxLength: 2048, description: "a URL" }),
    max_age_seconds: optional(integer({ max: 3_600 })),
  }),
  (config) => {
    checkClient(config);
    return config;
  },
);

/** What the gateway itself checks under these names no token may speak of. */
function isOwnIssuer(issuer: string): boolean {
  return issuer === "local" || issuer === "x509" || issuer.startsWith("spiffe://");
}

const issuerShape: Shape<IssuerConfig> = mapped(
  object<IssuerConfig>({
    issuer: issuerName,
    jwks_file: optional(path),
    jwks_url: optional(string({ maxLength: 2048, description: "a URL" })),
    introspection: optional(introspectionShape),
    algs: optional(array(literal(...ACCESS_TOKEN_ALGS), { min: 1, max: ACCESS_TOKEN_ALGS.length })),
    claims: optional(claimsShape),
    kind: optional(literal("user", "agent", "workload")),
    require_at_jwt: optional(boolean()),
    actor_issuers: optional(array(issuerName, { max: MAX_ISSUERS })),
  }),
  (issuer) => {
    if ([issuer.issuer, ...(issuer.actor_issuers ?? [])].some(isOwnIssuer)) {
      throw new FormatError("ERR_SHAPE", "issuer: local, x509 and spiffe:// are the gateway's own");
    }
    const ways = [issuer.jwks_file, issuer.jwks_url].filter((way) => way !== undefined).length;
    if (ways === 1 || (ways === 0 && issuer.introspection !== undefined)) return issuer;
    throw new FormatError("ERR_SHAPE", "want either jwks_file or jwks_url, or introspection alone");
  },
);

/** Shape of `auth.oauth`. */
export const oauthShape: Shape<OauthConfig> = mapped(
  object<OauthConfig>({
    resource: optional(mapped(string({ maxLength: 2048, description: "a URL" }), checkResource)),
    issuers: array(issuerShape, { min: 1, max: MAX_ISSUERS }),
    scopes: optional(scopes),
    tool_scopes: optional(record(scopes, { max: 1024, key: /^[a-z0-9][a-z0-9-]{0,23}\/(?:\*|[^\s]{1,128})$/u })),
    leeway_seconds: optional(integer({ max: 300 })),
    jwks_floor_seconds: optional(seconds),
    jwks_max_age_seconds: optional(seconds),
    allow_loopback_http: optional(boolean()),
    dpop: optional(
      object<DpopConfig>({
        required: optional(boolean()),
        nonce: optional(boolean()),
        window_seconds: optional(integer({ min: 1, max: 600 })),
      }),
    ),
  }),
  checkIssuers,
);

/** Tolerated difference of clocks, also of a gateway without issuers of access tokens. */
export function leewayMsOf(config: Pick<OauthConfig, "leeway_seconds"> | undefined): number {
  return (config?.leeway_seconds ?? LEEWAY_SECONDS) * 1000;
}

/** Shape of `auth.certificates`. */
export const certificatesShape: Shape<readonly CertificatePrincipal[]> = array(
  object<CertificatePrincipal>({
    subject: array(string({ pattern: /^[^\n=]+=[^\n]+$/u, maxLength: 256, description: "a part of a subject" }), {
      min: 1,
      max: 32,
    }),
    principal: string({
      pattern: /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/u,
      maxLength: 64,
      description: "a principal: 1 to 64 of A-Z, a-z, 0-9, '.', '_', '@', '-'",
    }),
  }),
  { max: 1024 },
);

/** Shape of `auth.spiffe`. */
export const spiffeShape: Shape<readonly SpiffeDomain[]> = array(
  object<SpiffeDomain>({
    trust_domain: string({ pattern: /^[a-z0-9._-]{1,190}$/u, maxLength: 190, description: "a SPIFFE trust domain" }),
    bundle_file: path,
  }),
  { max: 64 },
);

function checkIssuers(config: OauthConfig): OauthConfig {
  const names = config.issuers.map(({ issuer }) => issuer);
  if (new Set(names).size !== names.length) throw new FormatError("ERR_SHAPE", "issuers: one stands twice");
  for (const { jwks_url: url, introspection } of config.issuers) {
    for (const address of [url, introspection?.endpoint]) {
      if (address !== undefined) checkAddress(address, config.allow_loopback_http === true);
    }
  }
  // An opaque token does not say whose it is, and no issuer is shown another's.
  if (config.issuers.filter(({ introspection }) => introspection !== undefined).length > 1) {
    throw new FormatError("ERR_SHAPE", "issuers: want introspection at one of them");
  }
  return config;
}

/** https, or plain HTTP to this machine where the configuration says so. */
function checkAddress(text: string, mayBeHttp: boolean): void {
  if (isIssuerUrl(text, mayBeHttp)) return;
  throw new FormatError("ERR_SHAPE", "issuers: want https URLs, or loopback http with allow_loopback_http");
}

function checkResource(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === "https:" || url?.protocol === "http:";
  if (url === undefined || !isWeb || url.origin !== text) {
    throw new FormatError("ERR_SHAPE", "want an origin: scheme, host and port without a path or a slash at the end");
  }
  return text;
}
