/**
 * Decides requests by a bundle over a catalog's schema. For each action a prepared policy set (a slice by action scope) and a
 * prepared schema, which has of the context what these policies name; advisory forbids in sets of their own, evaluated for the
 * record. The bundle is validated against the whole schema; each request is against its action's.
 *
 * Any error of the engine denies: Cedar skips a policy that errs, so a `forbid` that reads a missing attribute would
 * drop out and the answer would be allow.
 */

import { FormatError } from "../../kernel/errors.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { AnswerMemory } from "./answer-memory.ts";
import type { BundlePolicy, PolicyBundle } from "./bundle.ts";
import {
  authorize,
  type CedarAnswer,
  type CedarValueJson,
  type EntityJson,
  preparePolicies,
  prepareSchema,
  validatePolicies,
} from "./cedar.ts";
import {
  buildSchema,
  listActions,
  NAMESPACE,
  type ParentType,
  type PolicyAction,
  type PrincipalType,
  type SchemaSource,
} from "./cedar-schema.ts";
import { contextUseOf, cutContext, isRead, pick, type WantedContext, WHOLE_CONTEXT } from "./context-use.ts";
import { NO_OBLIGATIONS, type Obligations, obligationsOf } from "./obligations.ts";
import { canMatch, checkListing, isListing, isSpokenOf } from "./spoken-of.ts";
import { MappingReport } from "./value-mapping.ts";

/** Who asks. */
export interface PolicyPrincipal {
  readonly type: PrincipalType;
  readonly id: string;
  /** Groups, roles and the workflow that the principal is in. */
  readonly parents: readonly { readonly type: ParentType; readonly id: string }[];
  readonly attributes: {
    readonly issuer: string;
    readonly name: string;
    readonly provenance: string;
    readonly outcome: string;
  };
}

/** What policy is asked. */
export interface PolicyRequest {
  readonly principal: PolicyPrincipal;
  readonly actionId: string;
  readonly serverId: string;
  readonly argument: JsonValue;
  /** The structured content of a result, for actions of the group `respond`; undefined if there is none. */
  readonly output?: JsonValue | undefined;
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
  /** True if policy can be asked about this action: it exists, and if it is about no call, the bundle speaks of it. */
  readonly hasAction: (actionId: string) => boolean;
  /** True if the bundle speaks of the lists of some server, or of what they offer. */
  readonly hasListing: boolean;
}

/** A denial that no policy determined. */
export function deniedBy(reason: ReasonCode): PolicyAnswer {
  const nothing = { policies: [], erring: [], advisory: [], controls: [], message: undefined };
  return { allowed: false, reason, ...nothing, ...NO_OBLIGATIONS };
}

/** The prepared sets of one action. */
interface ActionSlice {
  readonly action: PolicyAction;
  /** What the policies of both sets read of the context; nothing else is handed to the engine. */
  readonly use: WantedContext;
  /** Name of the prepared schema, which has this action alone and of its context what is used. */
  readonly schema: string;
  /** Undefined if only advisory policies speak of a result: then nothing denies it. */
  readonly deciding: string | undefined;
  /** Undefined if no advisory policy can match. */
  readonly advisory: string | undefined;
  /** Answers that nothing but the principal and the server decides; undefined if a policy reads something of the context. */
  readonly unconditional: WeakMap<PolicyPrincipal, KnownAnswer> | undefined;
}

/** An answer, and about which server. */
interface KnownAnswer {
  readonly server: EntityJson;
  readonly answer: PolicyAnswer;
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
  validatePolicies(buildSchema(sources, actions.values()), textsOf(bundle.policies));
  const memory = new AnswerMemory<Ruled>();
  const slices = new Map<string, ActionSlice>();
  for (const action of actions.values()) {
    if (isSpokenOf(bundle, action)) slices.set(action.id, prepareSlice(name, bundle, sources, action));
  }
  const entities = new Map(sources.map((source) => [source.serverId, serverEntity(source)]));
  return {
    hasAction: (actionId) => slices.has(actionId),
    hasListing: [...slices.values()].some(({ action }) => action.group === "list"),
    evaluate: (request) => {
      const slice = slices.get(request.actionId);
      const server = entities.get(request.serverId);
      if (slice === undefined || server === undefined) return deniedBy("policy.request-unmappable");
      return decide(bundle, slice, memory, server, request);
    },
  };
}

/** A result that a forbid speaks of and no permit would always be denied: that is a mistake and no rule. */
function checkPermitted(action: PolicyAction, permits: boolean): void {
  if (permits) return;
  throw new FormatError(
    "ERR_POLICY_BUNDLE",
    `every result would be denied at ${action.id}: the bundle speaks of it, and no permit can match`,
  );
}

function prepareSlice(
  name: string,
  bundle: PolicyBundle,
  sources: readonly SchemaSource[],
  action: PolicyAction,
): ActionSlice {
  const [deciding, advisory] = [matching(bundle, action, false), matching(bundle, action, true)];
  const isDecided = isSpokenOf(bundle, action, true);
  if (isDecided && action.group === "respond") {
    checkPermitted(
      action,
      deciding.some(([, { notes }]) => notes.effect === "permit"),
    );
  }
  const use = contextUseOf([...deciding, ...advisory].map(([, { json }]) => readJson(JSON.stringify(json))));
  const all = [...deciding, ...advisory].map(([, policy]) => policy);
  if (isListing(action)) checkListing(action, all, use);
  const schema = `${name}/schema/${action.id}`;
  prepareSchema(schema, buildSchema(sources, [action], use));
  return {
    action,
    use,
    schema,
    deciding: isDecided ? prepareSet(`${name}/deciding/${action.id}`, deciding) : undefined,
    // Without a permit everything is denied; what matters is which forbids match.
    advisory: advisory.length === 0 ? undefined : prepareSet(`${name}/advisory/${action.id}`, advisory),
    unconditional: use !== WHOLE_CONTEXT && use.size === 0 ? new WeakMap<PolicyPrincipal, KnownAnswer>() : undefined,
  };
}

/** The engine's own types are not those of JSON. */
const readJson: (text: string) => JsonValue = JSON.parse;

type IdentifiedPolicy = readonly [id: string, policy: BundlePolicy];

function matching(bundle: PolicyBundle, action: PolicyAction, advisory: boolean): readonly IdentifiedPolicy[] {
  return [...bundle.policies].filter(([, policy]) => policy.notes.advisory === advisory && canMatch(policy, action));
}

/** @param id  ends in the action's: a tool may be called anything, and must not name the set of another */
function prepareSet(id: string, policies: readonly IdentifiedPolicy[]): string {
  preparePolicies(id, textsOf(policies));
  return id;
}

function textsOf(policies: Iterable<IdentifiedPolicy>): Readonly<Record<string, string>> {
  return Object.fromEntries([...policies].map(([id, { text }]) => [id, text]));
}

function serverEntity({ serverId, attributes }: SchemaSource): EntityJson {
  const attrs = Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, attributeValue(value)]));
  return { uid: { type: `${NAMESPACE}::Server`, id: serverId }, attrs, parents: [] };
}

function attributeValue(value: JsonValue): CedarValueJson {
  if (typeof value === "string" || typeof value === "boolean" || typeof value === "number") return value;
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : "";
}

/** What the engine's answers come to. */
interface Ruled {
  readonly type: CedarAnswer["type"];
  readonly answer: PolicyAnswer;
}

function decide(
  bundle: PolicyBundle,
  slice: ActionSlice,
  memory: AnswerMemory<Ruled>,
  server: EntityJson,
  request: PolicyRequest,
): PolicyAnswer {
  const context = contextOf(slice, request);
  if (context === undefined) return deniedBy("policy.request-unmappable");
  const { principal, serverId } = request;
  const known = slice.unconditional?.get(principal);
  if (known?.server === server) return known.answer;
  // Sets and schema are the action's, and the server's entity is the one of its id.
  const which = JSON.stringify([slice.action.id, serverId, context]);
  const { type, answer } = memory.answer(`${which}${principalText(principal)}`, () =>
    ask(bundle, slice, server, request, context),
  );
  if (type !== "failed") slice.unconditional?.set(principal, { server, answer });
  return answer;
}

function principalText(principal: PolicyPrincipal): string {
  const known = principalTexts.get(principal);
  if (known !== undefined) return known;
  const text = JSON.stringify(principal);
  principalTexts.set(principal, text);
  return text;
}

/** Principals never change, and come back with each of their calls. */
const principalTexts = new WeakMap<PolicyPrincipal, string>();

function ask(
  bundle: PolicyBundle,
  { action, schema, deciding, advisory }: ActionSlice,
  server: EntityJson,
  request: PolicyRequest,
  context: Record<string, CedarValueJson>,
): Ruled {
  const principal = principalEntity(request.principal);
  const question = {
    principal: { type: principal.uid.type, id: principal.uid.id },
    action: { type: `${NAMESPACE}::Action`, id: action.id },
    resource: { type: `${NAMESPACE}::Server`, id: request.serverId },
    context,
    entities: [server, principal],
    preparsedSchemaName: schema,
    validateRequest: true,
  };
  const observed = advisory === undefined ? undefined : authorize({ ...question, preparsedPolicySetId: advisory });
  const decided = deciding === undefined ? NOTHING_DENIES : authorize({ ...question, preparsedPolicySetId: deciding });
  const answer = readAnswer(bundle, decided, observed);
  const type = decided.type === "failed" || observed?.type === "failed" ? "failed" : "decided";
  // What is listed has to be forbidden, and needs no permit.
  const isOpen = isListing(action) && answer.reason === "policy.default-deny";
  return { type, answer: isOpen ? { ...answer, allowed: true, reason: "policy.not-forbidden" } : answer };
}

function cutValue(group: CedarValueJson, members: ReadonlySet<string>): CedarValueJson {
  const isRecord = typeof group === "object" && group !== null && !Array.isArray(group);
  return isRecord && !("__entity" in group || "__extn" in group) ? pick(group, members) : group;
}

/** What the engine would say of a result that only advisory policies speak of. */
const NOTHING_DENIES: CedarAnswer = { type: "decided", allowed: true, reasons: [], erring: [] };

/**
 * What the policies read of the context; undefined if a value is not of its declared type: it would be absent for policy and
 * present for the server.
 */
function contextOf({ action, use }: ActionSlice, request: PolicyRequest): Record<string, CedarValueJson> | undefined {
  const report = new MappingReport();
  const input = action.input?.toCedar(request.argument, "", report) ?? {};
  if (report.mismatched) return undefined;
  if (action.group !== "respond") return cutContext({ input, ...factsOf(use, request, report, action) }, use, cutValue);
  const result = new MappingReport();
  const output = request.output === undefined ? {} : (action.output?.toCedar(request.output, "", result) ?? {});
  if (result.mismatched) return undefined;
  return cutContext({ input, output, ...factsOf(use, request, result, action) }, use, cutValue);
}

/** `context.session` and `context.system`, as far as they are read. */
function factsOf(
  use: WantedContext,
  request: PolicyRequest,
  report: MappingReport,
  action: PolicyAction,
): Record<string, CedarValueJson> {
  const facts: Record<string, CedarValueJson> = {};
  if (isRead(use, "session")) facts["session"] = request.session;
  if (isRead(use, "system")) facts["system"] = { ...request.system, ...systemOf(report, action) };
  return facts;
}

function principalEntity({
  type,
  id,
  parents,
  attributes,
}: PolicyPrincipal): { uid: { type: string; id: string } } & EntityJson {
  return {
    uid: { type: `${NAMESPACE}::${type}`, id },
    attrs: { ...attributes },
    parents: parents.map((parent) => ({ type: `${NAMESPACE}::${parent.type}`, id: parent.id })),
  };
}

function systemOf(report: MappingReport, action: PolicyAction): Record<string, CedarValueJson> {
  return {
    schemaStatus: action.isOpaque ? "opaque" : "typed",
    ...report.members(),
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
  if (answer.allowed) return answer.reasons.length > 0 ? "policy.permit" : "policy.advisory-forbid";
  return answer.reasons.length > 0 ? "policy.forbid" : "policy.default-deny";
}
