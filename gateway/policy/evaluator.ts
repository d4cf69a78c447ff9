/**
 * Decides requests by a bundle over a catalog's schema. One prepared policy set an action (a slice by action scope), one
 * prepared schema; advisory forbids in sets of their own, evaluated for the record.
 *
 * Any error of the engine denies: Cedar skips a policy that errs, so a `forbid` that reads a missing attribute would
 * drop out and the answer would be allow.
 */

import type { JsonValue } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { PolicyBundle } from "./bundle.ts";
import {
  authorize,
  type CedarAnswer,
  type CedarValueJson,
  type EntityJson,
  type PolicyJson,
  preparePolicies,
  prepareSchema,
  scopeEntities,
  validatePolicies,
} from "./cedar.ts";
import { buildSchema, listActions, NAMESPACE, type PolicyAction, type SchemaSource } from "./cedar-schema.ts";
import { NO_OBLIGATIONS, type Obligations, obligationsOf } from "./obligations.ts";
import type { MappingReport } from "./value-mapping.ts";

/** What policy is asked. */
export interface PolicyRequest {
  readonly principal: { readonly type: "Agent" | "LocalUser"; readonly id: string };
  readonly actionId: string;
  readonly serverId: string;
  readonly argument: JsonValue;
  /** Members of `context.session`. */
  readonly session: Readonly<Record<string, CedarValueJson>>;
  /** Members of `context.system`, but for those that the mapping of the arguments adds. */
  readonly system: Readonly<Record<string, CedarValueJson>>;
}

/** What policy answers, ready for a receipt. */
export interface PolicyAnswer extends Obligations {
  readonly allowed: boolean;
  readonly reason: ReasonCode;
  /** Ids of the determining policies, sorted. */
  readonly policies: readonly string[];
  readonly erring: readonly string[];
  /** Advisory forbids that matched. */
  readonly advisory: readonly string[];
  readonly controls: readonly string[];
  /** The `@reason` of the first determining policy that has one. */
  readonly message: string | undefined;
}

/** Decides requests. */
export interface PolicyEvaluator {
  readonly evaluate: (request: PolicyRequest) => PolicyAnswer;
  /** True if this action exists, so policy can be asked about it. */
  readonly hasAction: (actionId: string) => boolean;
}

/** A denial that no policy determined. */
export function deniedBy(reason: ReasonCode): PolicyAnswer {
  const nothing = { policies: [], erring: [], advisory: [], controls: [], message: undefined };
  return { allowed: false, reason, ...nothing, ...NO_OBLIGATIONS };
}

/** The prepared sets of one action. */
interface ActionSlice {
  readonly action: PolicyAction;
  readonly deciding: string;
  /** Undefined if no advisory policy can match. */
  readonly advisory: string | undefined;
}

/**
 * Validates the bundle against the catalog's schema and prepares everything.
 *
 * @param name  unique among the evaluators of this process, for example the bundle and catalog digests: the engine keeps
 *   prepared sets by name for the life of the thread
 * @throws {FormatError} ERR_POLICY_BUNDLE
 */
export function makeEvaluator(name: string, bundle: PolicyBundle, sources: readonly SchemaSource[]): PolicyEvaluator {
  const actions = listActions(sources);
  const schema = buildSchema(sources, actions.values());
  validatePolicies(
    schema,
    textsOf(bundle, () => true),
  );
  prepareSchema(name, schema);
  const slices = new Map<string, ActionSlice>();
  for (const action of actions.values()) slices.set(action.id, prepareSlice(name, bundle, action));
  const entities = new Map(sources.map((source) => [source.serverId, serverEntity(source)]));
  return {
    hasAction: (actionId) => slices.has(actionId),
    evaluate: (request) => {
      const slice = slices.get(request.actionId);
      const server = entities.get(request.serverId);
      if (slice === undefined || server === undefined) return deniedBy("policy.request-unmappable");
      return decide(name, bundle, slice, server, request);
    },
  };
}

function prepareSlice(name: string, bundle: PolicyBundle, action: PolicyAction): ActionSlice {
  const matching = (advisory: boolean): Readonly<Record<string, string>> =>
    textsOf(bundle, (id) => {
      const policy = bundle.policies.get(id);
      return policy !== undefined && policy.notes.advisory === advisory && canMatch(policy.json, action);
    });
  // The id comes last: a tool may be called anything, and must not name the set of another.
  const deciding = `${name}/deciding/${action.id}`;
  preparePolicies(deciding, matching(false));
  const advisoryTexts = matching(true);
  if (Object.keys(advisoryTexts).length === 0) return { action, deciding, advisory: undefined };
  const advisory = `${name}/advisory/${action.id}`;
  // Without a permit everything is denied; what matters is which forbids match.
  preparePolicies(advisory, advisoryTexts);
  return { action, deciding, advisory };
}

/** True unless the policy's action scope excludes the action. */
function canMatch({ action: scope }: PolicyJson, action: PolicyAction): boolean {
  if (scope.op === "All") return true;
  const names = new Set([action.id, action.group, `server:${action.serverId}`]);
  const listed = scopeEntities(scope);
  return listed.some(({ id }) => names.has(id));
}

function textsOf(bundle: PolicyBundle, keep: (id: string) => boolean): Readonly<Record<string, string>> {
  return Object.fromEntries([...bundle.policies].filter(([id]) => keep(id)).map(([id, { text }]) => [id, text]));
}

function serverEntity({ serverId, attributes }: SchemaSource): EntityJson {
  const attrs = Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, attributeValue(value)]));
  return { uid: { type: `${NAMESPACE}::Server`, id: serverId }, attrs, parents: [] };
}

function attributeValue(value: JsonValue): CedarValueJson {
  if (typeof value === "string" || typeof value === "boolean" || typeof value === "number") return value;
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : "";
}

function decide(
  schemaName: string,
  bundle: PolicyBundle,
  { action, deciding, advisory }: ActionSlice,
  server: EntityJson,
  request: PolicyRequest,
): PolicyAnswer {
  const report: MappingReport = { undeclared: new Set(), truncated: new Set(), inexact: false, mismatched: false };
  const input = action.input?.toCedar(request.argument, "", report);
  // A value that is not of its declared type would be absent for policy and present for the server.
  if (report.mismatched) return deniedBy("policy.request-unmappable");
  const call = (setId: string): CedarAnswer =>
    authorize({
      principal: { type: `${NAMESPACE}::${request.principal.type}`, id: request.principal.id },
      action: { type: `${NAMESPACE}::Action`, id: action.id },
      resource: { type: `${NAMESPACE}::Server`, id: request.serverId },
      context: {
        input: input ?? {},
        session: { ...request.session },
        system: { ...request.system, ...systemOf(report, action) },
      },
      entities: [server],
      preparsedPolicySetId: setId,
      preparsedSchemaName: schemaName,
      validateRequest: true,
    });
  const observed = advisory === undefined ? undefined : call(advisory);
  return readAnswer(bundle, call(deciding), observed);
}

function systemOf(report: MappingReport, action: PolicyAction): Record<string, CedarValueJson> {
  return {
    schemaStatus: action.isOpaque ? "opaque" : "typed",
    undeclared: [...report.undeclared],
    truncated: [...report.truncated],
    inexact: report.inexact,
  };
}

function readAnswer(bundle: PolicyBundle, answer: CedarAnswer, observed: CedarAnswer | undefined): PolicyAnswer {
  if (answer.type === "failed" || observed?.type === "failed") return deniedBy("policy.engine-failed");
  const erring = [...answer.erring, ...(observed?.erring ?? [])].sort();
  const policies = [...answer.reasons].sort();
  const advisory = [...(observed?.reasons ?? [])].sort();
  const notes = policies.flatMap((id) => bundle.policies.get(id)?.notes ?? []);
  const allowed = answer.allowed && erring.length === 0;
  return {
    allowed,
    reason: reasonOf(answer, erring),
    policies,
    erring,
    advisory,
    controls: [...new Set(notes.flatMap(({ controls }) => controls))].sort(),
    message: allowed ? undefined : notes.find(({ reason }) => reason !== undefined)?.reason,
    ...obligationsOf(erring.length > 0 ? [] : notes),
  };
}

function reasonOf(answer: CedarAnswer & { readonly type: "decided" }, erring: readonly string[]): ReasonCode {
  if (erring.length > 0) return "policy.error";
  if (answer.allowed) return "policy.permit";
  return answer.reasons.length > 0 ? "policy.forbid" : "policy.default-deny";
}
