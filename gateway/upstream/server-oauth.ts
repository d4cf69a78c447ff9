/**
 * The gateway as an OAuth client of one server: what its configuration says, and where a token is asked for. The issuer is
 * pinned; what server and issuer publish about themselves (RFC 9728, RFC 8414) may confirm it and can lead nowhere else.
 */

import { FormatError, StoreError } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { array, boolean, mapped, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { getFromIssuer } from "../identity/ask-issuer.ts";
import { type ClientConfig, checkClient, clientShapes, methodOf } from "../identity/client-authentication.ts";
import { isIssuerUrl } from "../identity/issuer-url.ts";
import type { SiteFetch } from "./http-client.ts";

/** The member `oauth` of a server: the gateway's own credentials there. Paths are read when a token is asked for. */
export type ServerOauth = ClientConfig & {
  /** Compared as text with what metadata say. */
  readonly issuer: string;
  /** Default: what the issuer's metadata say (RFC 8414). */
  readonly token_endpoint?: string;
  /** Default: the server's URL (RFC 8707). */
  readonly resource?: string;
  readonly scopes?: readonly string[];
  /** PEM: authorities of the issuer. Default: the public ones. */
  readonly ca_file?: string;
  /** True: the issuer may be asked by plain HTTP on this machine. Default false. */
  readonly allow_loopback_http?: boolean;
};

const MAX_SCOPES = 32;
const url: Shape<string> = string({ maxLength: 2048, description: "a URL" });
const scope: Shape<string> = string({ pattern: /^[!#-[\]-~]{1,128}$/u, maxLength: 128, description: "a scope" });

/** Shape of `oauth`. */
export const serverOauthShape: Shape<ServerOauth> = mapped(
  object<ServerOauth>({
    ...clientShapes,
    issuer: url,
    token_endpoint: optional(url),
    resource: optional(url),
    scopes: optional(array(scope, { max: MAX_SCOPES })),
    ca_file: optional(string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" })),
    allow_loopback_http: optional(boolean()),
  }),
  (config) => {
    checkClient(config);
    for (const text of [config.issuer, config.token_endpoint ?? config.issuer]) {
      if (!isIssuerUrl(text, config.allow_loopback_http === true)) {
        throw new FormatError("ERR_SHAPE", "oauth: want https URLs, or loopback http with allow_loopback_http");
      }
    }
    if (new URL(config.issuer).search !== "") throw new FormatError("ERR_SHAPE", "oauth.issuer: want no query");
    return config;
  },
);

/**
 * Where tokens for this server are asked for.
 *
 * @param askServer  over the server's own connections
 * @throws {StoreError} ERR_OAUTH_ISSUER if metadata contradict the configuration, or cannot be had
 */
export async function findTokenEndpoint(
  config: ServerOauth,
  resource: string,
  askServer: SiteFetch,
  askIssuer: SiteFetch,
): Promise<string> {
  await checkServerMetadata(config, resource, askServer);
  if (config.token_endpoint !== undefined) return config.token_endpoint;
  const metadata = await issuerMetadata(config, askIssuer);
  const { token_endpoint: endpoint } = metadata;
  // SPEC RFC 8414 §3.3: the issuer in the metadata MUST be identical to the one they were asked of.
  if (metadata["issuer"] !== config.issuer) throw contradiction("the issuer's metadata are of another issuer");
  if (typeof endpoint !== "string" || !isIssuerUrl(endpoint, config.allow_loopback_http === true)) {
    throw contradiction("the issuer names no token endpoint that may be asked");
  }
  if (!admits(metadata["token_endpoint_auth_methods_supported"], methodOf(config))) {
    throw contradiction(`the issuer does not take ${methodOf(config)}`);
  }
  if (!admits(metadata["grant_types_supported"], "client_credentials")) {
    throw contradiction("the issuer gives nothing for client credentials");
  }
  return endpoint;
}

/** A server that publishes metadata has to name itself and the pinned issuer; one that does not needs none. */
async function checkServerMetadata({ issuer }: ServerOauth, resource: string, ask: SiteFetch): Promise<void> {
  const { origin, pathname } = new URL(resource);
  const path = pathname === "/" ? "" : pathname;
  const { status, value } = await getFromIssuer(ask, `${origin}/.well-known/oauth-protected-resource${path}`);
  if (status !== 200 || value === undefined) return;
  // SPEC RFC 9728 §3.3: the resource in the metadata MUST be identical to the one they were asked of.
  if (value["resource"] !== resource) throw contradiction("the server's metadata are of another resource");
  const { authorization_servers: servers } = value;
  if (servers !== undefined && !(Array.isArray(servers) && servers.includes(issuer))) {
    throw contradiction("the server takes tokens of other issuers than the configured one");
  }
}

/** SPEC RFC 8414 §3.1: the well-known part stands between host and path; OpenID Connect has it behind the path. */
async function issuerMetadata({ issuer }: ServerOauth, ask: SiteFetch): Promise<JsonObject> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/u, "");
  const places = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
  for (const place of places) {
    const { status, value } = await getFromIssuer(ask, place);
    if (status === 200 && value !== undefined) return value;
  }
  throw contradiction("the issuer publishes no metadata");
}

/** What metadata leave out is not excluded. */
function admits(list: JsonObject[string] | undefined, wanted: string): boolean {
  return list === undefined || (Array.isArray(list) && list.includes(wanted));
}

function contradiction(message: string): StoreError {
  return new StoreError("ERR_OAUTH_ISSUER", message);
}
