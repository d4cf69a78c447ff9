/** From a call to the question that policy is asked (mcp-gateway §16.1, docs/policy.md). Pure. */

import { parseUtf8 } from "../../kernel/bytes.ts";
import { invariant } from "../../kernel/errors.ts";
import { formatCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { DefinitionState, Mode } from "../../kernel/receipt/vocabulary.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { CedarValueJson } from "../policy/cedar.ts";
import type { PolicyPrincipal, PolicyRequest } from "../policy/evaluator.ts";
import { toolActionIds } from "../policy/tool-action.ts";
import type { Caller, CallOutcome, CatalogDefinition, InboundCall, Party } from "./call.ts";
import { actorOf, subjectOf } from "./parties.ts";
import { type Contribution, overlaid } from "./stage.ts";

/** What policy sees beside the call itself. */
export interface QuestionFacts {
  readonly mode: Mode;
  readonly nowMs: number;
  readonly catalogDigest: string;
  readonly definition: CatalogDefinition | undefined;
  /** Decisions of the session so far, and the servers that it was let through to. */
  readonly session: { readonly calls: number; readonly servers: ReadonlySet<string>; readonly ageMs: number };
  /** What the stages add to `context.session` and `context.system`. */
  readonly found: readonly Pick<Contribution, "session" | "system" | "workflow">[];
}

/** Id of the action that policies name; undefined for what has no action, which policy therefore cannot permit. */
export function actionOf({ serverId, target }: Pick<InboundCall, "serverId" | "target">): string | undefined {
  switch (target.kind) {
    case "tool":
      return toolActionIds(serverId, target.name).call;
    case "prompt":
      return `prompt:${serverId}/${target.name}`;
    case "resource":
      return `read:${serverId}`;
    case "completion":
      return `complete:${serverId}`;
    case "subscribe":
    case "task":
    case "sample":
    case "elicit":
    case "roots":
    case "list":
    case "extension":
      return `${target.kind}:${serverId}`;
    case "other":
      return undefined;
  }
}

/**
 * The principal of a caller: `LocalUser::"<name>"` for whoever started the gateway on standard input and output, else
 * `User::"<issuer>|<name>"` for a person and `Agent::"<issuer>|<name>"` for a program. Groups and roles have their
 * issuer's name in front, since two issuers may mean two things by one name.
 */
export function principalOf(caller: Caller, transport: "http" | "stdio"): PolicyPrincipal {
  const known = principals[transport].get(caller);
  if (known !== undefined) return known;
  const made = makePrincipal(caller, transport);
  principals[transport].set(caller, made);
  return made;
}

/** By what was authenticated: a caller comes back with each of its calls. */
const principals = {
  http: new WeakMap<Caller, PolicyPrincipal>(),
  stdio: new WeakMap<Caller, PolicyPrincipal>(),
} as const;

function makePrincipal(caller: Caller, transport: "http" | "stdio"): PolicyPrincipal {
  const { issuer, name, provenance, outcome } = caller;
  const attributes = { issuer, name, provenance, outcome };
  if (transport === "stdio" && issuer === "local") return { type: "LocalUser", id: name, parents: [], attributes };
  const type = caller.facts?.kind === "user" ? "User" : "Agent";
  return { type, id: `${issuer}|${name}`, parents: parentsOf(caller), attributes };
}

function parentsOf({ issuer, facts }: Caller): PolicyPrincipal["parents"] {
  if (facts === undefined) return [];
  const of = (type: "Group" | "Role", names: readonly string[]): PolicyPrincipal["parents"] =>
    names.map((name) => ({ type, id: `${issuer}|${name}` }));
  const workflow = facts.workflow === undefined ? [] : [{ type: "Workflow", id: facts.workflow.id } as const];
  return [...of("Group", facts.groups), ...of("Role", facts.roles), ...workflow];
}

/** The principal, also in the workflow that a token beside its credential names. */
function inWorkflows(principal: PolicyPrincipal, found: QuestionFacts["found"]): PolicyPrincipal {
  if (!found.some(namesWorkflow)) return principal;
  const named = found.flatMap(({ workflow }) =>
    workflow === undefined ? [] : [{ type: "Workflow", id: workflow } as const],
  );
  const added = named.filter(
    ({ id }) => !principal.parents.some((known) => known.type === "Workflow" && known.id === id),
  );
  return added.length === 0 ? principal : { ...principal, parents: [...principal.parents, ...added] };
}

function namesWorkflow({ workflow }: Pick<Contribution, "workflow">): boolean {
  return workflow !== undefined;
}

/** The question about a call. What policies may read beside it is put together when it is read: few of them do. */
export function questionOf(call: InboundCall, actionId: string, facts: QuestionFacts): PolicyRequest {
  return new CallQuestion(call, actionId, facts);
}

class CallQuestion implements PolicyRequest {
  readonly principal: PolicyPrincipal;
  readonly actionId: string;
  readonly serverId: string;
  readonly argument: JsonValue;
  readonly #call: InboundCall;
  readonly #facts: QuestionFacts;
  #session: CedarMembers | undefined;
  #system: CedarMembers | undefined;

  constructor(call: InboundCall, actionId: string, facts: QuestionFacts) {
    this.principal = inWorkflows(principalOf(call.caller, call.wire.transport), facts.found);
    this.actionId = actionId;
    this.serverId = call.serverId;
    this.argument = argumentOf(call);
    this.#call = call;
    this.#facts = facts;
  }

  get session(): CedarMembers {
    this.#session ??= sessionOf(this.#call, this.#facts);
    return this.#session;
  }

  get system(): CedarMembers {
    this.#system ??= systemOf(this.#call, this.argument, this.#facts);
    return this.#system;
  }
}

function sessionOf({ session: { trust, source } }: InboundCall, { session, found }: QuestionFacts): CedarMembers {
  const known: CedarMembers = {
    trust,
    source,
    calls: session.calls,
    taint: [],
    servers: [...session.servers],
    matches: [],
    ageSeconds: Math.max(0, Math.floor(session.ageMs / 1000)),
    domains: [],
    sensitivity: 0,
  };
  return overlaid(
    known,
    found.map((part) => part.session),
  );
}

function systemOf({ caller, wire, round }: InboundCall, argument: JsonValue, facts: QuestionFacts): CedarMembers {
  const { actor, actors, subject } = actingParties(caller);
  const known: CedarMembers = {
    now: { __extn: { fn: "datetime", arg: formatTimestamp(facts.nowMs) } },
    mode: facts.mode,
    workflow: caller.facts?.workflow?.id ?? "",
    actor,
    actors,
    subject,
    era: wire.era ?? "unknown",
    catalog: facts.catalogDigest,
    toolModel: facts.definition?.model ?? "",
    definition: facts.definition?.state ?? ("unknown" satisfies DefinitionState),
    pinAge: 0,
    findings: [],
    argumentBytes: Buffer.byteLength(formatCanonical(argument)),
    round: round?.index ?? 0,
    domain: "",
    sensitivity: 0,
  };
  return overlaid(
    known,
    facts.found.map((part) => part.system),
  );
}

type CedarMembers = Readonly<Record<string, CedarValueJson>>;

/** Who acts, the nearest first, and for whom: as the credential says it, never as the caller does. */
export function actingParties(caller: Caller): Readonly<Record<"actor" | "actors" | "subject", CedarValueJson>> {
  const named = ({ issuer, name }: Party): string => `${issuer}|${name}`;
  const subject = subjectOf(caller);
  return {
    actor: named(actorOf(caller)),
    actors: (caller.facts?.actors ?? []).map(named),
    subject: subject === undefined ? "" : named(subject),
  };
}

/** The statuses of an answer that a server gave and an agent could get. */
const ANSWERED: ReadonlySet<CallOutcome["status"]> = new Set([
  "ok",
  "tool_error",
  "rpc_error",
  "redacted",
  "task_created",
  "task_completed",
  "task_failed",
]);

/** Id of the action about the result of a call; undefined if there is no result that policy could be asked about. */
export function respondActionOf(
  call: InboundCall,
  { status, received, returned, unseen }: CallOutcome,
): string | undefined {
  // An answer that nobody here will see would go past the rules for results: they are asked before it is let go.
  const isAnswer = unseen !== undefined || (ANSWERED.has(status) && received !== undefined && returned !== undefined);
  const { serverId, target } = call;
  return target.kind === "tool" && isAnswer ? toolActionIds(serverId, target.name).respond : undefined;
}

/**
 * The question about a result: the one about its call, with what the agent would get.
 *
 * @param facts  of the call's decision; in `found` also what was found in the answer
 */
export function respondQuestionOf(
  call: InboundCall,
  actionId: string,
  { status, returned = new Uint8Array() }: CallOutcome,
  facts: QuestionFacts,
): PolicyRequest {
  const { principal, serverId, argument, session, system } = questionOf(call, actionId, facts);
  const output = structuredContent(returned);
  const result = { result: status, structured: output !== undefined, resultBytes: returned.length };
  return { principal, actionId, serverId, argument, output, session, system: { items: 0, ...system, ...result } };
}

/** Not the kernel's parser: integers of a result may be beyond 2^53, and policy is told so (`inexact`). */
const readJson: (text: string) => JsonValue = JSON.parse;

function structuredContent(answer: Uint8Array): JsonValue | undefined {
  const message = readJson(parseUtf8(answer));
  const result = isJsonObject(message) ? message["result"] : undefined;
  return isJsonObject(result) ? result["structuredContent"] : undefined;
}

/**
 * What `context.input` is made from: the arguments of a tool or prompt, `{uri}` of a resource, completion or subscription,
 * `{mode, url}` of an elicitation, `{method, extensions}` of a list and of a method of an extension.
 */
function argumentOf({ target, params, extensions = [] }: InboundCall): JsonValue {
  switch (target.kind) {
    case "list":
    case "extension":
      return { method: target.name, extensions };
    case "resource":
    case "completion":
    case "subscribe":
      return { uri: target.name };
    case "elicit":
      return elicitationOf(params);
    case "task":
    case "sample":
    case "roots":
      return {};
    case "tool":
    case "prompt":
    case "other":
      return argumentsOf(params);
  }
}

/** SPEC MCP 2025-11-25: without a mode it is a form. */
function elicitationOf({ mode = "form", url }: JsonObject): JsonValue {
  return { mode, ...(url === undefined ? {} : { url }) };
}

function argumentsOf(params: JsonObject): JsonValue {
  const { arguments: given = {} } = params;
  invariant(isJsonObject(given), "the wire hands over arguments that are an object");
  return given;
}
