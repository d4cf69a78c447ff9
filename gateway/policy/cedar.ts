/**
 * The one file that touches `@cedar-policy/cedar-wasm`. Every answer of the engine that is not a clean success is turned
 * into a value here; nothing above it sees an exception of the engine.
 */

import {
  type AuthorizationAnswer,
  type DetailedError,
  type PolicyJson,
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  preparseSchema,
  type SchemaJson,
  type StatefulAuthorizationCall,
  statefulIsAuthorized,
  validate,
} from "@cedar-policy/cedar-wasm/nodejs";
import { FormatError } from "../../kernel/errors.ts";
import "../wasm-calls.ts";

export type {
  CedarValueJson,
  EntityJson,
  PolicyJson,
  SchemaJson,
  TypeOfAttribute,
} from "@cedar-policy/cedar-wasm/nodejs";

/** A call with its prepared set and schema. */
export type CedarCall = StatefulAuthorizationCall;

/** What the engine said of one request; `failed` if it could not evaluate the request at all. */
export type CedarAnswer =
  | {
      readonly type: "decided";
      readonly allowed: boolean;
      readonly reasons: readonly string[];
      readonly erring: readonly string[];
    }
  | { readonly type: "failed" };

/**
 * Evaluates one request against a prepared set and schema. An exception of the engine (malformed strings, deep nesting)
 * is `failed`, and so is an answer of another form.
 */
export function authorize(call: CedarCall): CedarAnswer {
  let answer: AuthorizationAnswer;
  try {
    answer = statefulIsAuthorized(call);
  } catch {
    return { type: "failed" };
  }
  if (answer.type !== "success") return { type: "failed" };
  const { decision, diagnostics } = answer.response;
  return {
    type: "decided",
    allowed: decision === "allow",
    reasons: diagnostics.reason,
    erring: diagnostics.errors.map(({ policyId }) => policyId),
  };
}

/** Prepares a set of policies under an id. @throws {FormatError} ERR_POLICY_BUNDLE */
export function preparePolicies(setId: string, policies: Readonly<Record<string, string>>): void {
  const answer = preparsePolicySet(setId, { staticPolicies: { ...policies } });
  if (answer.type !== "success") throw refused("the policies cannot be prepared", answer.errors);
}

/** Prepares a schema under a name. @throws {FormatError} ERR_POLICY_BUNDLE */
export function prepareSchema(name: string, schema: SchemaJson<string>): void {
  const answer = preparseSchema(name, schema);
  if (answer.type !== "success") throw refused("the schema cannot be prepared", answer.errors);
}

/**
 * Validates policies strictly against the schema: errors refuse, and so does any warning, because a policy that can never
 * apply looks like a control and is none.
 *
 * @throws {FormatError} ERR_POLICY_BUNDLE naming the first policy at fault
 */
export function validatePolicies(schema: SchemaJson<string>, policies: Readonly<Record<string, string>>): void {
  const answer = validate({
    schema,
    policies: { staticPolicies: { ...policies } },
    validationSettings: { mode: "strict" },
  });
  if (answer.type !== "success") throw refused("the policies cannot be validated", answer.errors);
  const [fault] = [...answer.validationErrors, ...answer.validationWarnings];
  if (fault !== undefined) throw refused(`policy "${fault.policyId}" does not fit the schema`, [fault.error]);
  if (answer.otherWarnings.length > 0) throw refused("the validator warns", answer.otherWarnings);
}

/** Splits a policy file into single static policies. @throws {FormatError} ERR_POLICY_BUNDLE */
export function splitPolicies(file: string, text: string): readonly string[] {
  const answer = policySetTextToParts(text);
  if (answer.type !== "success") throw refused(`${file} is not Cedar`, answer.errors);
  if (answer.policy_templates.length > 0) {
    throw new FormatError("ERR_POLICY_BUNDLE", `${file}: policy templates are not supported`);
  }
  return answer.policies;
}

/** The structure of one policy: effect, scope, annotations. @throws {FormatError} ERR_POLICY_BUNDLE */
export function describePolicy(file: string, text: string): PolicyJson {
  const answer = policyToJson(text);
  if (answer.type !== "success") throw refused(`${file}: a policy cannot be read`, answer.errors);
  return answer.json;
}

/** The entities that an action scope names. */
export function scopeEntities(scope: Exclude<PolicyJson["action"], { op: "All" }>): readonly { readonly id: string }[] {
  const raw = "entities" in scope ? scope.entities : "entity" in scope ? [scope.entity] : [];
  return raw.map((entity) => ("__entity" in entity ? entity.__entity : entity));
}

function refused(what: string, errors: readonly DetailedError[]): FormatError {
  const [first] = errors;
  const detail = first === undefined ? "" : `: ${first.message}${first.help === null ? "" : ` (${first.help})`}`;
  return new FormatError("ERR_POLICY_BUNDLE", `${what}${detail}`);
}
