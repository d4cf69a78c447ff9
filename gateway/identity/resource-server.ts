/** The gateway as an OAuth 2.1 resource: its issuers, its canonical URLs, the scopes it wants, the challenges it makes. */

import type { JsonObject } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type { Caller } from "../pipeline/call.ts";
import type { TokenRules, TrustedIssuer } from "./access-token.ts";
import { type DpopNonces, makeDpopNonces } from "./dpop-nonces.ts";
import type { ProofRules } from "./dpop-proof.ts";
import { Introspection } from "./introspection.ts";
import { ACCESS_TOKEN_ALGS } from "./jwk-keys.ts";
import { fetchJwks, KeySource } from "./key-source.ts";
import { type IssuerConfig, leewayMsOf, type OauthConfig } from "./oauth-config.ts";
import { type ReplayBounds, ReplayCache } from "./replay-cache.ts";
import { type Challenge, formatChallenge, METADATA_PATH, resourceMetadata } from "./resource-metadata.ts";
import { throughFetch } from "./runtime-fetch.ts";
import { SignedTokens } from "./signed-tokens.ts";

/** What a resource server is made of. */
export interface ResourceServerOptions {
  readonly config: OauthConfig;
  /** Where agents reach the gateway, without a path: used if the configuration does not say. */
  readonly origin: string;
  /** True if clients can show certificates. */
  readonly hasCertificates: boolean;
  readonly readFile: (path: string) => Uint8Array;
  readonly fetch: typeof fetch;
  readonly nowMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly logger: Logger;
}

const FLOOR_SECONDS = 30;
const MAX_AGE_SECONDS = 600;
const WINDOW_SECONDS = 60;
/** Proofs that are remembered: at 150 bytes each some 30 MB. */
const MAX_PROOFS: ReplayBounds = { total: 200_000, own: 25_000 };

/** The OAuth side of the agents' listener. */
export class ResourceServer {
  readonly #options: ResourceServerOptions;
  readonly #issuers: ReadonlyMap<string, TrustedIssuer>;
  readonly #origin: string;
  readonly #nonces: DpopNonces | undefined;
  readonly #replays = new ReplayCache(MAX_PROOFS);
  readonly #signed = new SignedTokens();

  constructor(options: ResourceServerOptions) {
    const { config, origin, randomBytes } = options;
    this.#options = options;
    this.#origin = config.resource ?? origin;
    this.#issuers = new Map(config.issuers.map((issuer) => [issuer.issuer, trustedIssuer(options, issuer)]));
    this.#nonces = config.dpop?.nonce === true ? makeDpopNonces(randomBytes(32)) : undefined;
  }

  /** True if a token that is bound to nothing is refused. */
  get isBindingRequired(): boolean {
    return this.#options.config.dpop?.required === true;
  }

  /** True if an issuer is asked about tokens that say nothing of themselves. */
  get takesOpaque(): boolean {
    return this.#options.config.issuers.some(({ introspection }) => introspection !== undefined);
  }

  /** Canonical URL of a mount: the only audience that it takes. */
  urlOf(path: string): string {
    return `${this.#origin}${path}`;
  }

  /** Metadata of a mount. */
  metadata(path: string): JsonObject {
    return resourceMetadata(this.#options.config, this.#origin, path, this.#options.hasCertificates);
  }

  tokenRules(audience: string): TokenRules {
    const { config, nowMs } = this.#options;
    const leewayMs = leewayMsOf(config);
    return { issuers: this.#issuers, signed: this.#signed, audience, nowMs: nowMs(), leewayMs };
  }

  proofRules(rules: Pick<ProofRules, "httpMethod" | "url" | "accessToken" | "thumbprint" | "owner">): ProofRules {
    const { config, nowMs } = this.#options;
    const windowMs = (config.dpop?.window_seconds ?? WINDOW_SECONDS) * 1000;
    return { ...rules, nowMs: nowMs(), windowMs, nonces: this.#nonces, replays: this.#replays };
  }

  /** True if a scope is missing that every request needs. */
  lacksScopes(caller: Caller): boolean {
    return isMissing(this.#options.config.scopes ?? [], caller);
  }

  /**
   * The scopes that a call needs, if one of them is missing: all of them, so that a client asks for them at once. Callers
   * that came without an access token have no scopes, and need none.
   */
  missingScopes(caller: Caller, serverId: string, name: string): readonly string[] | undefined {
    if (!this.#issuers.has(caller.issuer)) return undefined;
    const { scopes = [], tool_scopes: byTool = {} } = this.#options.config;
    const wanted = [
      ...new Set([...scopes, ...(byTool[`${serverId}/*`] ?? []), ...(byTool[`${serverId}/${name}`] ?? [])]),
    ];
    return isMissing(wanted, caller) ? wanted : undefined;
  }

  /** Headers of a refusal. */
  challenge(path: string, reason: ReasonCode, scopes?: readonly string[]): Readonly<Record<string, string>> {
    const { config, nowMs } = this.#options;
    const error = errorOf(reason);
    const value = formatChallenge({
      metadataUrl: `${this.#origin}${METADATA_PATH}${path}`,
      scopes: scopes ?? config.scopes ?? [],
      ...(error === undefined ? {} : { error }),
    });
    const nonce = this.#nonces === undefined ? {} : { "DPoP-Nonce": this.#nonces.current(nowMs()) };
    return { "WWW-Authenticate": value, ...nonce };
  }
}

function isMissing(wanted: readonly string[], { facts }: Caller): boolean {
  return !wanted.every((scope) => facts?.scopes.includes(scope) === true);
}

/** Errors of RFC 6750 §3.1 and RFC 9449 §7.1; what is not here is an invalid token. */
const ERRORS: Partial<Record<ReasonCode, Challenge["error"]>> = {
  "auth.dpop": "invalid_dpop_proof",
  "auth.nonce": "use_dpop_nonce",
  "auth.replay": "invalid_dpop_proof",
  "auth.scope": "insufficient_scope",
};

function errorOf(reason: ReasonCode): Challenge["error"] {
  return reason === "auth.missing" ? undefined : (ERRORS[reason] ?? "invalid_token");
}

function trustedIssuer(options: ResourceServerOptions, config: IssuerConfig): TrustedIssuer {
  const { jwks_floor_seconds: floor, jwks_max_age_seconds: maxAge } = options.config;
  const { jwks_file: file, jwks_url: url = "" } = config;
  const hasKeys = file !== undefined || config.jwks_url !== undefined;
  const asked = config.introspection;
  const fetcher = throughFetch(options.fetch);
  const introspection =
    asked === undefined
      ? undefined
      : new Introspection({ ...options, fetch: fetcher, issuer: config.issuer, config: asked });
  const keys = new KeySource({
    issuer: config.issuer,
    algs: config.algs ?? ACCESS_TOKEN_ALGS,
    load: () =>
      file === undefined ? fetchJwks(options.fetch, url) : Promise.resolve().then(() => options.readFile(file)),
    nowMs: options.nowMs,
    floorMs: (floor ?? FLOOR_SECONDS) * 1000,
    maxAgeMs: (maxAge ?? MAX_AGE_SECONDS) * 1000,
    logger: options.logger,
  });
  return { config, ...(introspection === undefined ? {} : { introspection }), ...(hasKeys ? { keys } : {}) };
}
