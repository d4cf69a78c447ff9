/** Whose workflow tokens are taken, and which calls want one: `auth.workflows` of the gateway's file (docs/gateway.md). */

import { FormatError } from "../../kernel/errors.ts";
import { type SealedWorkflow, workflowScopeShape } from "../../kernel/policy-artifact.ts";
import { issuerShape, scopedToolShape } from "../../kernel/receipt/identity.ts";
import { array, boolean, integer, literal, mapped, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { isIssuerUrl } from "./issuer-url.ts";
import { ACCESS_TOKEN_ALGS, type AccessTokenAlg } from "./jwk-keys.ts";

/** An issuer of workflow tokens. */
export type WorkflowIssuer = {
  /** `iss` of its tokens. */
  readonly issuer: string;
  /** Its keys, one of the two: a file that is read again, or an address. */
  readonly jwks_file?: string;
  readonly jwks_url?: string;
  readonly algs?: readonly AccessTokenAlg[];
};

/** Calls that want a workflow token. */
export type WorkflowDemand = {
  readonly all?: boolean;
  /** Paths of mounts, as `/mcp` and `/s/<server>/mcp`: each by itself. */
  readonly mounts?: readonly string[];
  /** `<server>/<tool>`, or `<server>/*`: on every mount. */
  readonly tools?: readonly string[];
};

/** Member `auth.workflows`. */
export type WorkflowConfig = {
  readonly issuers: readonly WorkflowIssuer[];
  /** What `aud` of a token must name. */
  readonly audience: string;
  /** What each workflow may use at most. With a sealed artifact those of the artifact hold instead. */
  readonly scopes?: readonly SealedWorkflow[];
  /** Default: no call. */
  readonly required?: WorkflowDemand;
  /** True: a workflow that the caller's own credential names counts as well. Default false. */
  readonly accepts_credentials?: boolean;
  /** Longest time from `iat` to `exp`. Default 3600. */
  readonly max_ttl_seconds?: number;
  /** How far clocks may differ. Default 30. */
  readonly leeway_seconds?: number;
  /** `session`: a token serves the first session that uses it; `once`: one call. Default `session`. */
  readonly reuse?: "session" | "once";
  /** True: keys may be fetched from this machine by plain HTTP. Default false. */
  readonly allow_loopback_http?: boolean;
};

const issuer: Shape<WorkflowIssuer> = mapped(
  object<WorkflowIssuer>({
    issuer: issuerShape,
    jwks_file: optional(string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" })),
    jwks_url: optional(string({ maxLength: 2048, description: "a URL" })),
    algs: optional(array(literal(...ACCESS_TOKEN_ALGS), { min: 1, max: ACCESS_TOKEN_ALGS.length })),
  }),
  (read) => {
    if ((read.jwks_file === undefined) !== (read.jwks_url === undefined)) return read;
    throw new FormatError("ERR_SHAPE", "want either jwks_file or jwks_url");
  },
);

/** Shape of an audience. */
export const audienceShape: Shape<string> = string({
  pattern: /^[!-~]{1,2048}$/u,
  maxLength: 2048,
  description: "an audience",
});

/** Shape of `auth.workflows`. */
export const workflowsShape: Shape<WorkflowConfig> = mapped(
  object<WorkflowConfig>({
    issuers: array(issuer, { min: 1, max: 16 }),
    audience: audienceShape,
    scopes: optional(array(workflowScopeShape, { min: 1, max: 256 })),
    required: optional(
      object<WorkflowDemand>({
        all: optional(boolean()),
        mounts: optional(
          array(
            string({ pattern: /^\/(?:s\/[a-z0-9][a-z0-9-]{0,23}\/)?mcp$/u, maxLength: 32, description: "a mount" }),
            {
              max: 256,
            },
          ),
        ),
        tools: optional(array(scopedToolShape, { max: 1_024 })),
      }),
    ),
    accepts_credentials: optional(boolean()),
    max_ttl_seconds: optional(integer({ min: 1, max: 86_400 })),
    leeway_seconds: optional(integer({ max: 300 })),
    reuse: optional(literal("session", "once")),
    allow_loopback_http: optional(boolean()),
  }),
  checkWhole,
);

function checkWhole(config: WorkflowConfig): WorkflowConfig {
  const { issuers, scopes = [], allow_loopback_http: mayBeHttp = false } = config;
  const [names, ids] = [issuers.map((one) => one.issuer), scopes.map(({ id }) => id)];
  if (new Set(names).size < names.length) throw new FormatError("ERR_SHAPE", "issuers: one stands twice");
  if (new Set(ids).size < ids.length) throw new FormatError("ERR_SHAPE", "scopes: one stands twice");
  for (const { jwks_url: url } of issuers) {
    if (url !== undefined && !isIssuerUrl(url, mayBeHttp)) {
      throw new FormatError("ERR_SHAPE", "issuers: want https URLs, or loopback http with allow_loopback_http");
    }
  }
  return config;
}
