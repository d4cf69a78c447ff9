/** Whose requests a gateway takes: `auth` of its file (docs/gateway.md). */

import { FormatError } from "../../kernel/errors.ts";
import { array, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { type MandateConfig, mandatesShape } from "./mandate-config.ts";
import {
  type CertificatePrincipal,
  certificatesShape,
  type OauthConfig,
  oauthShape,
  type SpiffeDomain,
  spiffeShape,
} from "./oauth-config.ts";
import type { ClaimMembers } from "./request-claims.ts";
import type { AgentListen } from "./tls-config.ts";
import { type WorkflowConfig, workflowsShape } from "./workflow-config.ts";

/** An agent's bearer token. */
export type AgentToken = {
  /** Name of the principal; policies see `Agent::"local|<principal>"`. */
  readonly principal: string;
  readonly token_file: string;
  /** What policies may ask for by `principal in`. Default none. */
  readonly groups?: readonly string[];
  readonly roles?: readonly string[];
  /** The workflow that the token is for; the sealed artifact has its scope. */
  readonly workflow?: string;
};

/** Whose requests are taken. */
export type AgentAuth = {
  readonly tokens: readonly AgentToken[];
  /** Access tokens of OAuth issuers. */
  readonly oauth?: OauthConfig;
  /** Client certificates by their subject; they go back to `listen.tls.client_ca_file`. */
  readonly certificates?: readonly CertificatePrincipal[];
  /** Client certificates that are SPIFFE SVIDs. */
  readonly spiffe?: readonly SpiffeDomain[];
  /** Whose mandates are taken (docs/formats/mandate.md). */
  readonly mandates?: MandateConfig;
  /** Whose workflow tokens are taken, and which calls want one (docs/formats/workflow-token.md). */
  readonly workflows?: WorkflowConfig;
  /** Members of `_meta` in which a request names actor and subject. */
  readonly identity_claims?: ClaimMembers;
};

const memberName: Shape<string> = string({
  pattern: /^[^\p{Cc}\p{Cs}]{1,255}$/u,
  maxLength: 255,
  description: "a name",
});

const tokenShape: Shape<AgentToken> = object<AgentToken>({
  principal: string({
    pattern: /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/u,
    maxLength: 64,
    description: "a principal: 1 to 64 of A-Z, a-z, 0-9, '.', '_', '@', '-'",
  }),
  token_file: string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" }),
  groups: optional(array(memberName, { max: 64 })),
  roles: optional(array(memberName, { max: 64 })),
  workflow: optional(string({ pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u, maxLength: 64 })),
});

const metaMember: Shape<string> = string({
  pattern: /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/u,
  maxLength: 128,
  description: "a member of _meta",
});

/** Shape of `auth`. */
export const agentAuthShape: Shape<AgentAuth> = object<AgentAuth>({
  tokens: array(tokenShape, { max: 1024 }),
  oauth: optional(oauthShape),
  certificates: optional(certificatesShape),
  spiffe: optional(spiffeShape),
  mandates: optional(mandatesShape),
  workflows: optional(workflowsShape),
  identity_claims: optional(object<ClaimMembers>({ subject: optional(metaMember), actor: optional(metaMember) })),
});

/**
 * Checks the two together: certificates that no handshake asks for would never be seen.
 *
 * @throws {FormatError} ERR_CONFIG
 */
export function checkAgentAuth(listen: AgentListen | undefined, auth: AgentAuth): void {
  const tls = listen?.tls;
  const isAsked = tls !== undefined && (tls.client_auth ?? "none") !== "none";
  if ((auth.certificates !== undefined || auth.spiffe !== undefined) && !isAsked) {
    throw contradiction("config.auth: certificates and spiffe need listen.tls with client_auth request or require");
  }
  if (auth.certificates !== undefined && tls?.client_ca_file === undefined) {
    throw contradiction("config.auth.certificates: want listen.tls.client_ca_file");
  }
  const domains = (auth.spiffe ?? []).map(({ trust_domain: domain }) => domain);
  if (new Set(domains).size !== domains.length) throw contradiction("config.auth.spiffe: a trust domain stands twice");
}

function contradiction(message: string): FormatError {
  return new FormatError("ERR_CONFIG", message);
}
