/**
 * Workflow tokens (docs/formats/workflow-token.md): JWTs by which whoever runs a workflow lets an agent call in its name. What
 * is wrong with a token has a reason of its own; nothing of a wrong one is believed.
 */

import { isCodedError } from "../../kernel/errors.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { type SealedWorkflow, workflowScopeShape } from "../../kernel/policy-artifact.ts";
import { issuerShape } from "../../kernel/receipt/identity.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { integer, object, optional, readShape, type Shape, string } from "../../kernel/shape.ts";
import type { Party } from "../pipeline/call.ts";
import { holdsUnder, readParts } from "./access-token.ts";
import type { KeySource } from "./key-source.ts";

/** What tokens are checked against. */
export interface WorkflowTokenRules {
  /** Keys by `iss`. */
  readonly issuers: ReadonlyMap<string, KeySource>;
  readonly audience: string;
  readonly maxTtlMs: number;
}

/** A token whose signature, audience and form hold. Its time, holder and scope are the call's question. */
export interface WorkflowToken {
  /** Issuer and id: the same token in other bytes has the same. */
  readonly key: string;
  readonly holder: Party;
  /** What the issuer signed about the workflow. */
  readonly scope: SealedWorkflow;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Whether the token is valid at this time. @param leewayMs  by which clocks may differ */
export function isInTime({ fromMs, untilMs }: WorkflowToken, nowMs: number, leewayMs: number): boolean {
  return nowMs >= fromMs - leewayMs && nowMs < untilMs + leewayMs;
}

const TYPES: ReadonlySet<string> = new Set(["countersign-workflow+jwt", "application/countersign-workflow+jwt"]);

/** The claims that decide, beside issuer and audience. */
export type WorkflowClaims = {
  readonly jti: string;
  readonly iat: number;
  readonly nbf?: number;
  readonly exp: number;
  readonly holder: Party;
  readonly workflow: SealedWorkflow;
};

/** NumericDate of RFC 7519 in whole seconds. */
const seconds: Shape<number> = integer({ max: 253_402_300_799 });

/** Shape of the claims that decide. */
export const workflowClaimsShape: Shape<WorkflowClaims> = object<WorkflowClaims>({
  jti: string({ pattern: /^[!-~]{1,128}$/u, maxLength: 128, description: "an id" }),
  iat: seconds,
  nbf: optional(seconds),
  exp: seconds,
  holder: object<Party>({ issuer: issuerShape, name: string({ maxLength: 255, description: "a name" }) }),
  workflow: workflowScopeShape,
});

/** Checks what does not depend on the call. */
export async function checkWorkflowToken(
  token: string,
  rules: WorkflowTokenRules,
): Promise<WorkflowToken | ReasonCode> {
  const parts = readParts(token);
  if (parts === undefined) return "workflow.invalid";
  const { header, claims } = parts;
  const { typ, crit, kid } = header;
  const { iss } = claims;
  if (typeof typ !== "string" || !TYPES.has(typ.toLowerCase()) || crit !== undefined) return "workflow.invalid";
  const keys = typeof iss === "string" ? rules.issuers.get(iss) : undefined;
  if (keys === undefined || typeof iss !== "string") return "workflow.untrusted";
  const found = await keys.find(typeof kid === "string" ? kid : undefined);
  if (found.type === "unavailable") return "auth.keys-unavailable";
  for (const { key, alg } of found.keys) {
    if (await holdsUnder(token, key, alg)) return readClaims(iss, claims, rules);
  }
  return "workflow.untrusted";
}

/** Other members than these are an issuer's own affair. */
function readClaims(
  iss: string,
  claims: JsonObject,
  { audience, maxTtlMs }: WorkflowTokenRules,
): WorkflowToken | ReasonCode {
  if (!audiencesOf(claims["aud"]).includes(audience)) return "workflow.audience";
  const { jti, iat, nbf, exp, holder, workflow } = claims;
  const given = { jti, iat, nbf, exp, holder, workflow };
  const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  try {
    const read = readShape(workflowClaimsShape, known, "claims");
    if (read.exp <= read.iat || (read.exp - read.iat) * 1000 > maxTtlMs) return "workflow.expired";
    return {
      key: JSON.stringify([iss, read.jti]),
      holder: read.holder,
      scope: read.workflow,
      fromMs: Math.max(read.iat, read.nbf ?? 0) * 1000,
      untilMs: read.exp * 1000,
    };
  } catch (error) {
    if (isCodedError(error)) return "workflow.invalid";
    throw error;
  }
}

function audiencesOf(aud: JsonValue | undefined): readonly JsonValue[] {
  const listed: readonly JsonValue[] = Array.isArray(aud) ? aud : [];
  return typeof aud === "string" ? [aud] : listed;
}
