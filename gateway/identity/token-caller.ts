/**
 * From the claims of a checked token to the caller: the subject is the principal, the party that acts is told apart from
 * it (RFC 8693 `act`, else the client), and nothing that policy reads comes from anywhere but the token.
 */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { Binding, IdentityOutcome } from "../../kernel/receipt/vocabulary.ts";
import { digestOf } from "../catalog/digests.ts";
import type { Caller, CallerFacts, CallerKind, Party, WorkflowClaim } from "../pipeline/call.ts";
import type { IssuerConfig } from "./oauth-config.ts";

/** Most names that are taken of a list, and hops of an actor chain. */
const MAX_NAMES = 64;
const MAX_ACTORS = 8;
const MAX_NAME = 255;
const WORKFLOW = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u;

/** What claims came to, as long as somebody has them: those of a token that is known are one object for all of its calls. */
const known = new WeakMap<JsonObject, { readonly of: IssuerConfig; readonly caller: Caller }>();

/** The caller of a token's claims; undefined if they cannot be read as one: an actor chain that is malformed, too long or of others. */
export function callerOfClaims(
  config: IssuerConfig,
  claims: JsonObject,
  binding: Binding,
  outcome: IdentityOutcome = "verified",
): Caller | undefined {
  const before = known.get(claims);
  const isSame = before?.of === config && before.caller.outcome === outcome;
  if (isSame && before.caller.facts?.binding === binding) return before.caller;
  const caller = readCaller(config, claims, binding, outcome);
  if (caller !== undefined) known.set(claims, { of: config, caller });
  return caller;
}

function readCaller(
  { issuer, claims: names = {}, kind, actor_issuers: others = [] }: IssuerConfig,
  claims: JsonObject,
  binding: Binding,
  outcome: IdentityOutcome,
): Caller | undefined {
  const sub = textOf(claims["sub"]);
  const actors = actorsOf([issuer, ...others], claims["act"], []);
  if (sub === undefined || actors === undefined) return undefined;
  const client = textOf(claimAt(claims, names.client ?? "client_id") ?? claims["azp"]);
  const acting = actors.length === 0 && client !== undefined && client !== sub ? [{ issuer, name: client }] : actors;
  const scopes = scopesOf(claims);
  const exp = claims["exp"];
  const facts: CallerFacts = {
    kind: kind ?? kindOf(sub, client),
    ...(client === undefined ? {} : { clientId: client }),
    groups: namesAt(claims, names.groups ?? "groups"),
    roles: namesAt(claims, names.roles ?? "roles"),
    scopes,
    ...(typeof exp === "number" ? { expiresAtMs: exp * 1000 } : {}),
    ...sessionOf(claims, names.session ?? "sid"),
    ...workflowOf(issuer, claims, names.workflow ?? "workflow", scopes),
    actors: acting,
    ...(acting.length === 0 ? {} : { subject: { issuer, name: sub } }),
    binding,
  };
  return { issuer, name: sub, provenance: "connection-credential", outcome, facts };
}

/** A machine's token names the machine as its subject (RFC 9068 §2.2). */
function kindOf(sub: string, client: string | undefined): CallerKind {
  return client === sub ? "agent" : "user";
}

/**
 * The chain of `act`, the party that acts now first. An issuer vouches for its own, and for parties of others only where that is
 * configured: else a token of one could act as whoever another, or the gateway itself, knows.
 *
 * @param issuers  of parties that the token may name, its own issuer first
 */
function actorsOf(
  issuers: readonly string[],
  act: JsonValue | undefined,
  before: readonly Party[],
): readonly Party[] | undefined {
  if (act === undefined) return before;
  if (!isJsonObject(act) || before.length === MAX_ACTORS) return undefined;
  const name = textOf(act["sub"]);
  const from = act["iss"] === undefined ? issuers[0] : textOf(act["iss"]);
  if (name === undefined || from === undefined || !issuers.includes(from)) return undefined;
  return actorsOf(issuers, act["act"], [...before, { issuer: from, name }]);
}

/** SPEC RFC 8693 §4.2: `scope` is one string, its parts separated by spaces; some issuers write `scp` as a list. */
function scopesOf(claims: JsonObject): readonly string[] {
  const { scope, scp } = claims;
  if (typeof scope === "string") return [...new Set(scope.split(" ").filter((part) => part !== ""))];
  return typeof scp === "string" ? [...new Set(scp.split(" "))] : listOf(scp);
}

function sessionOf(claims: JsonObject, name: string): { readonly session?: string } {
  const session = textOf(claimAt(claims, name));
  return session === undefined ? {} : { session };
}

/** The digest covers what the issuer signed about the workflow: its name and the scopes of this token. */
function workflowOf(
  issuer: string,
  claims: JsonObject,
  name: string,
  scopes: readonly string[],
): { readonly workflow?: WorkflowClaim } {
  const id = claimAt(claims, name);
  if (typeof id !== "string" || !WORKFLOW.test(id)) return {};
  return { workflow: { id, scope: digestOf({ issuer, workflow: id, scopes: [...scopes].sort() }) } };
}

function namesAt(claims: JsonObject, path: string): readonly string[] {
  const value = claimAt(claims, path);
  return typeof value === "string" ? [value] : listOf(value);
}

function listOf(value: JsonValue | undefined): readonly string[] {
  const items: readonly JsonValue[] = Array.isArray(value) ? value : [];
  return [...new Set(items.filter((item) => typeof item === "string"))].slice(0, MAX_NAMES);
}

/** A claim by its name, or by a path with dots: `realm_access.roles`. */
function claimAt(claims: JsonObject, path: string): JsonValue | undefined {
  if (Object.hasOwn(claims, path)) return claims[path];
  return path.split(".").reduce<JsonValue | undefined>((value, name) => {
    return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  }, claims);
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === "string" && value !== "" && value.length <= MAX_NAME ? value : undefined;
}
