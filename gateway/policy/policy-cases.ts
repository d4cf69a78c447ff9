/**
 * Questions to a policy as files have them, for tests of a bundle before it goes live, and what would change an answer.
 *
 *     {"v": 1, "cases": [{"name", "request", "expect": {"allowed", "reason"?, "policies"?, "advisory"?, "approvable"?}}]}
 *     request = {"principal": {"type"?, "id", "groups"?, "roles"?, "workflow"?}, "action", "arguments"?, "output"?,
 *                "session"?, "system"?}
 *
 * What a request does not say is as at an ordinary first call; `system.now` is a time as text.
 */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import {
  array,
  boolean,
  json,
  jsonObject,
  literal,
  object,
  optional,
  readShape,
  type Shape,
  string,
} from "../../kernel/shape.ts";
import type { CedarValueJson } from "./cedar.ts";
import { emptyContext, PRINCIPAL_TYPES, type PrincipalType } from "./cedar-schema.ts";
import type { PolicyAnswer, PolicyEvaluator, PolicyRequest } from "./evaluator.ts";

/** A question. */
export type AskedRequest = {
  readonly principal: {
    readonly type?: PrincipalType;
    /** As policies name it, `local|<principal>`. */
    readonly id: string;
    readonly groups?: readonly string[];
    readonly roles?: readonly string[];
    readonly workflow?: string;
  };
  /** Id of the action, `<server>/<tool>`. */
  readonly action: string;
  readonly arguments?: JsonValue;
  readonly output?: JsonValue;
  readonly session?: JsonObject;
  readonly system?: JsonObject;
};

/** What a case wants of the answer; what it does not name may be anything. */
export type ExpectedAnswer = {
  readonly allowed: boolean;
  readonly reason?: string;
  readonly policies?: readonly string[];
  readonly advisory?: readonly string[];
  readonly approvable?: boolean;
};

/** One case. */
export type PolicyCase = { readonly name: string; readonly request: AskedRequest; readonly expect: ExpectedAnswer };

/** A fact of a request that decides: with it changed, the answer is another one. */
export interface DecidingFact {
  /** For example `arguments.path` or `session.taint`. */
  readonly fact: string;
  readonly from: string;
  readonly to: string;
  readonly allowed: boolean;
}

const names: Shape<readonly string[]> = array(string({ maxLength: 512 }), { max: 64 });
const requestShape: Shape<AskedRequest> = object<AskedRequest>({
  principal: object<AskedRequest["principal"]>({
    type: optional(literal(...PRINCIPAL_TYPES)),
    id: string({ maxLength: 1024 }),
    groups: optional(names),
    roles: optional(names),
    workflow: optional(string({ maxLength: 64 })),
  }),
  action: string({ maxLength: 512 }),
  arguments: optional(json()),
  output: optional(json()),
  session: optional(jsonObject()),
  system: optional(jsonObject()),
});
const casesShape: Shape<{ readonly v: 1; readonly cases: readonly PolicyCase[] }> = object<{
  readonly v: 1;
  readonly cases: readonly PolicyCase[];
}>({
  v: literal(1),
  cases: array(
    object<PolicyCase>({
      name: string({ maxLength: 200 }),
      request: requestShape,
      expect: object<ExpectedAnswer>({
        allowed: boolean(),
        reason: optional(string({ maxLength: 64 })),
        policies: optional(names),
        advisory: optional(names),
        approvable: optional(boolean()),
      }),
    }),
    { min: 1, max: 10_000 },
  ),
});

/** Reads a file of cases. @throws {FormatError} ERR_SHAPE */
export function parseCases(value: JsonValue): readonly PolicyCase[] {
  return readShape(casesShape, value, "cases").cases;
}

/** Reads one question. @throws {FormatError} ERR_SHAPE */
export function parseAsked(value: JsonValue): AskedRequest {
  return readShape(requestShape, value, "request");
}

/** How an answer differs from what is expected; empty if it does not. */
export function differences(expect: ExpectedAnswer, answer: PolicyAnswer): readonly string[] {
  const { allowed, reason, policies, advisory, approvable } = answer;
  const got = { allowed, reason, policies, advisory, approvable };
  return Object.entries(got).flatMap(([name, value]) => {
    const want = Object.entries(expect).find(([key]) => key === name)?.[1];
    if (want === undefined || JSON.stringify(sorted(want)) === JSON.stringify(sorted(value))) return [];
    return [`${name}: want ${JSON.stringify(want)}, got ${JSON.stringify(value)}`];
  });
}

/** The request as the evaluator takes it. */
export function questionFor({ principal, action, session, system, ...asked }: AskedRequest): PolicyRequest {
  const { type = "Agent", id, groups = [], roles = [], workflow } = principal;
  const parents = [
    ...groups.map((name) => ({ type: "Group", id: name }) as const),
    ...roles.map((name) => ({ type: "Role", id: name }) as const),
    ...(workflow === undefined ? [] : [{ type: "Workflow", id: workflow } as const]),
  ];
  const [issuer = "", name = ""] = id.split("|", 2);
  const isResult = action.startsWith("respond:");
  const result = { result: "ok", structured: asked.output !== undefined, resultBytes: 0, items: 0 };
  return {
    principal: {
      type,
      id,
      parents,
      attributes: { issuer, name, provenance: "connection-credential", outcome: "verified" },
    },
    actionId: action,
    serverId: serverOf(action),
    argument: asked.arguments ?? {},
    output: asked.output,
    session: { ...SESSION, ...cedarOf(session ?? {}) },
    system: { ...SYSTEM, workflow: workflow ?? "", ...(isResult ? result : {}), ...cedarOf(system ?? {}) },
  };
}

/**
 * The facts of which one alone, changed or left out, gives another answer. Tried are the texts and numbers that the bundle's
 * policies name, the opposite of a truth value, and absence.
 *
 * @param words  literals of the policies, see `literalsOf`
 */
export function decidingFacts(
  evaluator: PolicyEvaluator,
  asked: AskedRequest,
  words: readonly (string | number)[],
): readonly DecidingFact[] {
  const before = evaluator.evaluate(questionFor(asked)).allowed;
  const found: DecidingFact[] = [];
  for (const { fact, value, replace } of factsOf(asked)) {
    for (const other of othersOf(value, words)) {
      const { allowed, reason } = evaluator.evaluate(questionFor(replace(other)));
      const isFault = reason === "policy.request-unmappable" || reason === "policy.engine-failed";
      if (allowed === before || isFault) continue;
      found.push({ fact, from: textOf(value), to: textOf(other), allowed });
      break;
    }
  }
  return found;
}

/** The texts and numbers that stand in conditions of a policy in its JSON form. */
export function literalsOf(policy: unknown): readonly (string | number)[] {
  if (Array.isArray(policy)) return policy.flatMap(literalsOf);
  if (typeof policy !== "object" || policy === null) return [];
  return Object.entries(policy).flatMap(([key, value]: [string, unknown]) => {
    const isLiteral = key === "Value" && (typeof value === "string" || typeof value === "number");
    return isLiteral ? [value] : literalsOf(value);
  });
}

interface Fact {
  readonly fact: string;
  readonly value: JsonValue | undefined;
  readonly replace: (value: JsonValue | undefined) => AskedRequest;
}

function factsOf(asked: AskedRequest): readonly Fact[] {
  const { session: s, system: y, principal } = asked;
  const groups: Fact[] = (["groups", "roles"] as const).map((kind) => ({
    fact: `principal.${kind}`,
    value: [...(principal[kind] ?? [])],
    replace: (value) => ({ ...asked, principal: { ...principal, [kind]: Array.isArray(value) ? value : [] } }),
  }));
  return [
    ...membersOf("arguments", asked.arguments, (value) => ({ ...asked, arguments: value })),
    ...membersOf("output", asked.output, (value) => ({ ...asked, output: value })),
    ...membersOf("session", { ...jsonOf(SESSION), ...s }, (value) => ({ ...asked, session: value })),
    ...membersOf("system", { ...jsonOf(FACTS), ...y }, (value) => ({ ...asked, system: value })),
    ...groups,
  ];
}

function membersOf(
  at: string,
  whole: JsonValue | undefined,
  put: (value: JsonObject) => AskedRequest,
): readonly Fact[] {
  if (!isJsonObject(whole)) return [];
  return Object.entries(whole).map(([key, value]) => ({
    fact: `${at}.${key}`,
    value,
    replace: (other) => {
      const { [key]: _, ...rest } = whole;
      return put(other === undefined ? rest : { ...rest, [key]: other });
    },
  }));
}

function othersOf(
  value: JsonValue | undefined,
  words: readonly (string | number)[],
): readonly (JsonValue | undefined)[] {
  if (typeof value === "boolean") return [!value];
  if (typeof value === "string")
    return [...words.filter((word) => typeof word === "string" && word !== value), "", undefined];
  if (typeof value === "number") {
    return [...words.flatMap((word) => (typeof word === "number" ? [word, word + 1, word - 1] : [])), 0, undefined];
  }
  if (Array.isArray(value)) {
    const items: readonly JsonValue[] = value;
    return [[], ...words.filter((word) => typeof word === "string").map((word) => [...items, word])];
  }
  return [undefined];
}

function textOf(value: JsonValue | undefined): string {
  return value === undefined ? "absent" : JSON.stringify(value);
}

function sorted(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  const items: readonly unknown[] = value;
  return items.map(String).sort();
}

function serverOf(action: string): string {
  const [head = "", ...rest] = action.split(":");
  const named = rest.length === 0 ? head : rest.join(":");
  return named.split("/", 1)[0] ?? "";
}

const EMPTY = emptyContext();
const SESSION = { ...EMPTY.session, trust: "authenticated", source: "mcp-session-id" };
const FACTS = { ...EMPTY.system, mode: "enforcing", era: "modern", definition: "approved" };
const SYSTEM = { ...FACTS, now: { __extn: { fn: "datetime", arg: "2026-01-01T00:00:00.000Z" } } };

/** The plain members of a context. */
function jsonOf(members: Readonly<Record<string, CedarValueJson>>): JsonObject {
  const isPlain = (value: CedarValueJson): value is string | number | boolean =>
    typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  return Object.fromEntries(
    Object.entries(members).flatMap(([key, value]): readonly (readonly [string, JsonValue])[] => {
      if (Array.isArray(value)) return [[key, value.filter((item) => typeof item === "string")]];
      return isPlain(value) ? [[key, value]] : [];
    }),
  );
}

/** Values as Cedar takes them: texts, truth values, integers, lists of texts; `now` as a time. Others are left out. */
function cedarOf(members: JsonObject): Readonly<Record<string, CedarValueJson>> {
  const values: Record<string, CedarValueJson> = {};
  for (const [key, value] of Object.entries(members)) {
    if (key === "now" && typeof value === "string") values[key] = { __extn: { fn: "datetime", arg: value } };
    else if (typeof value === "string" || typeof value === "boolean" || typeof value === "number") values[key] = value;
    else if (Array.isArray(value)) values[key] = value.filter((item) => typeof item === "string");
  }
  return values;
}
