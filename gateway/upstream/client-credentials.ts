/**
 * Access tokens of the gateway's own for one server (client credentials grant, RFC 6749 §4.4, for the server as resource,
 * RFC 8707). A token is kept until shortly before its end, asked for once for everybody who waits, and never one of an agent.
 * It stands in memory alone: no log, no receipt and no file has it.
 */

import { BugError, isCodedError, StoreError } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { postToIssuer } from "../identity/ask-issuer.ts";
import { type ProofDeps, proveClient } from "../identity/client-authentication.ts";
import type { SiteFetch, SiteRequest } from "./http-client.ts";
import { findTokenEndpoint, type ServerOauth } from "./server-oauth.ts";

/** What tokens are asked for with. */
export interface CredentialOptions extends ProofDeps {
  readonly server: string;
  readonly url: string;
  readonly config: ServerOauth;
  readonly askServer: SiteFetch;
  readonly askIssuer: SiteFetch;
  readonly logger: Logger;
}

/** A token and when another one is asked for. */
interface Held {
  readonly token: string;
  readonly untilMs: number;
}

/** Code of the error of a request for which there is no token. */
export const SERVER_CREDENTIAL = "ERR_SERVER_CREDENTIAL";

/** Lifetime of a token whose answer names none. */
const LIFETIME_SECONDS = 60;
const MAX_LIFETIME_SECONDS = 86_400;
/** A token is not used in the last part of its life: a call must not find it over on its way. */
const MARGIN_MS = 30_000;
const MARGIN_SHARE = 0.2;
/** Least time between two requests for a token, whether the first failed or the server refused what it brought. */
const FLOOR_MS = 2_000;
const TOKEN = /^[A-Za-z0-9._~+/-]{1,8192}={0,2}$/u;

/** The tokens for one server. */
export class ClientCredentials {
  readonly #options: CredentialOptions;
  #endpoint: string | undefined;
  #held: Held | undefined;
  #asking: Promise<string> | undefined;
  #asked: { readonly atMs: number; readonly error: Error | undefined } | undefined;

  constructor(options: CredentialOptions) {
    this.#options = options;
  }

  /** A token that is still good. @throws {StoreError} ERR_OAUTH_ISSUER */
  async token(): Promise<string> {
    const { nowMs } = this.#options;
    if (this.#held !== undefined && nowMs() < this.#held.untilMs) return this.#held.token;
    const last = this.#asked;
    if (last?.error !== undefined && nowMs() - last.atMs < FLOOR_MS) throw last.error;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /**
   * The server refused a token.
   *
   * @returns true if another one may be had: never twice within a moment, so a server cannot drive the issuer
   */
  refused(token: string): boolean {
    if (this.#held?.token !== token) return true;
    const isEarly = this.#asked !== undefined && this.#options.nowMs() - this.#asked.atMs < FLOOR_MS;
    if (!isEarly) this.#held = undefined;
    return !isEarly;
  }

  async #ask(): Promise<string> {
    const { nowMs, logger, server, config } = this.#options;
    const atMs = nowMs();
    try {
      const { token, seconds } = await this.#request();
      const lifetimeMs = seconds * 1000;
      this.#held = { token, untilMs: atMs + lifetimeMs - Math.min(MARGIN_MS, lifetimeMs * MARGIN_SHARE) };
      this.#asked = { atMs, error: undefined };
      return token;
    } catch (error) {
      this.#asked = { atMs, error: error instanceof Error ? error : new BugError("a request for a token failed") };
      // Where it is may have changed.
      this.#endpoint = undefined;
      const why = isCodedError(error) ? error.message : "the gateway's own credential cannot be used";
      logger.warn({ server, issuer: config.issuer, why }, "no access token for a server");
      throw error;
    }
  }

  async #request(): Promise<{ readonly token: string; readonly seconds: number }> {
    const { config, url, askServer, askIssuer } = this.#options;
    const resource = config.resource ?? url;
    this.#endpoint ??= await findTokenEndpoint(config, resource, askServer, askIssuer);
    const { headers, form } = await proveClient(config, config.issuer, this.#options);
    const { scopes } = config;
    const grant = {
      grant_type: "client_credentials",
      resource,
      ...(scopes === undefined || scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
    };
    const { status, value } = await postToIssuer(askIssuer, this.#endpoint, { ...grant, ...form }, headers);
    if (status !== 200 || value === undefined) throw refusal(status, value);
    return readToken(value);
  }
}

/** Puts the gateway's own token on each request; one that the server refuses is asked for anew, once. */
export function withCredentials(fetcher: SiteFetch, credentials: ClientCredentials): SiteFetch {
  return async (url, init) => {
    const token = await tokenOf(credentials);
    const response = await fetcher(url, authorized(init, token));
    if (response.status !== 401 || !credentials.refused(token)) return response;
    response.cancel();
    return fetcher(url, authorized(init, await tokenOf(credentials)));
  };
}

async function tokenOf(credentials: ClientCredentials): Promise<string> {
  try {
    return await credentials.token();
  } catch (cause) {
    const error = Object.assign(new Error("no access token", { cause }), { code: SERVER_CREDENTIAL });
    throw new TypeError("the request has no credential", { cause: error });
  }
}

function authorized(init: SiteRequest, token: string): SiteRequest {
  return { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } };
}

function readToken(value: JsonObject): { readonly token: string; readonly seconds: number } {
  const { access_token: token, token_type: type, expires_in: expires } = value;
  if (typeof token !== "string" || !TOKEN.test(token)) throw fault("the issuer's answer has no token");
  if (typeof type !== "string" || type.toLowerCase() !== "bearer") throw fault("the token is no bearer token");
  if (expires === undefined) return { token, seconds: LIFETIME_SECONDS };
  if (typeof expires !== "number" || !(expires > 0)) throw fault("the token is over");
  return { token, seconds: Math.min(expires, MAX_LIFETIME_SECONDS) };
}

/** The issuer's code if it is one; never its prose, which may quote what was sent. */
function refusal(status: number, value: JsonObject | undefined): StoreError {
  const error = value?.["error"];
  const code = typeof error === "string" && /^[a-z_]{1,40}$/u.test(error) ? error : "no code";
  return fault(`the issuer refuses: HTTP ${status}, ${code}`);
}

function fault(message: string): StoreError {
  return new StoreError("ERR_OAUTH_ISSUER", message);
}
