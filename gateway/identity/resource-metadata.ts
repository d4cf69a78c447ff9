/** Metadata of the protected resource (RFC 9728), one document for each mount, and the challenges that name it. */

import type { JsonObject } from "../../kernel/json/value.ts";
import { ACCESS_TOKEN_ALGS } from "./jwk-keys.ts";
import type { OauthConfig } from "./oauth-config.ts";

/** Where the metadata of a mount stands: this, and the mount's path behind it. */
export const METADATA_PATH = "/.well-known/oauth-protected-resource";

/** The mount whose document also answers at the path alone, where older clients look. */
const FIRST_MOUNT = "/mcp";

/** The path of the mount that a metadata path is about; undefined for any other path. */
export function mountOfMetadata(path: string): string | undefined {
  if (path === METADATA_PATH) return FIRST_MOUNT;
  return path.startsWith(`${METADATA_PATH}/`) ? path.slice(METADATA_PATH.length) : undefined;
}

/** The document. `origin` is where agents reach the gateway, `path` the mount's. */
export function resourceMetadata(
  { issuers, scopes = [], tool_scopes: toolScopes = {}, dpop = {} }: OauthConfig,
  origin: string,
  path: string,
  hasTls: boolean,
): JsonObject {
  const all = [...new Set([...scopes, ...Object.values(toolScopes).flat()])];
  return {
    resource: `${origin}${path}`,
    authorization_servers: issuers.map(({ issuer }) => issuer),
    bearer_methods_supported: ["header"],
    ...(all.length === 0 ? {} : { scopes_supported: all }),
    dpop_signing_alg_values_supported: [...ACCESS_TOKEN_ALGS],
    dpop_bound_access_tokens_required: dpop.required === true && !hasTls,
    tls_client_certificate_bound_access_tokens: hasTls,
    resource_name: "Countersign gateway",
  };
}

/** What a challenge says. */
export interface Challenge {
  readonly metadataUrl: string;
  /** Every scope that the request needs. */
  readonly scopes: readonly string[];
  /** Undefined if no credential was given: RFC 6750 §3.1 wants no error then. */
  readonly error?: "invalid_token" | "insufficient_scope" | "invalid_dpop_proof" | "use_dpop_nonce";
}

/** The value of `WWW-Authenticate`: one challenge for each scheme. */
export function formatChallenge({ metadataUrl, scopes, error }: Challenge): string {
  const isOfProof = error === "invalid_dpop_proof" || error === "use_dpop_nonce";
  const parts = [`resource_metadata="${metadataUrl}"`, ...(scopes.length === 0 ? [] : [`scope="${scopes.join(" ")}"`])];
  const bearer = [...(error === undefined || isOfProof ? [] : [`error="${error}"`]), ...parts].join(", ");
  const proof = isOfProof ? `error="${error}", ` : "";
  return `Bearer ${bearer}, DPoP ${proof}algs="${ACCESS_TOKEN_ALGS.join(" ")}"`;
}
