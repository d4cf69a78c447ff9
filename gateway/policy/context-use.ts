/**
 * Which members of `context` policies name. An engine that is handed these alone decides as if it had all of them: nothing else
 * is ever read, and what is not handed over is neither converted nor checked in each request.
 */

import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";

/** For each of `input`, `output`, `session`, `system` that policies name: the members that they name, or all of them. */
type ContextUse = ReadonlyMap<string, ReadonlySet<string> | "all">;

/** Every member of everything. */
export const WHOLE_CONTEXT = "whole";

/** What of a context is wanted. */
export type WantedContext = ContextUse | typeof WHOLE_CONTEXT;

/** @param policies  in Cedar's JSON form */
export function contextUseOf(policies: Iterable<JsonValue>): WantedContext {
  const paths: (readonly string[])[] = [];
  for (const policy of policies) visit(policy, (path) => paths.push(path));
  const use = new Map<string, Set<string> | "all">();
  for (const [group, member] of paths) {
    if (group === undefined) return WHOLE_CONTEXT;
    const known = use.get(group);
    if (member === undefined || known === "all") use.set(group, "all");
    else use.set(group, new Set([...(known ?? []), member]));
  }
  return use;
}

/** True if something of the group is wanted. */
export function isRead(use: WantedContext, group: string): boolean {
  return use === WHOLE_CONTEXT || use.has(group);
}

/** The members of a context, of its values or of their types, that `use` has. */
export function cutContext<T>(
  context: Readonly<Record<string, T>>,
  use: WantedContext,
  cutGroup: (group: T, members: ReadonlySet<string>) => T,
): Readonly<Record<string, T>> {
  if (use === WHOLE_CONTEXT) return context;
  const cut: Record<string, T> = {};
  for (const [name, members] of use) {
    const group = context[name];
    if (group !== undefined) cut[name] = members === "all" ? group : cutGroup(group, members);
  }
  return cut;
}

/** The members of an object that are named. */
export function pick<T>(object: Readonly<Record<string, T>>, names: ReadonlySet<string>): Record<string, T> {
  const picked: Record<string, T> = {};
  for (const name of names) {
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}

/** Finds every place that reads the context. What merely looks like one adds a member too many, which is harmless. */
function visit(node: JsonValue | undefined, found: (path: readonly string[]) => void): void {
  if (typeof node !== "object" || node === null) return;
  const path = pathOf(node) ?? askedPath(node);
  if (path !== undefined) found(path);
  else for (const child of Object.values(node)) visit(child, found);
}

/** `context`, `context.a`, `context.a.b`, …: the names behind `context`. */
function pathOf(node: JsonValue | undefined): readonly string[] | undefined {
  if (!isJsonObject(node)) return undefined;
  if (node["Var"] === "context") return [];
  return accessPath(node["."]);
}

/** `context.a has b`. */
function askedPath(node: JsonValue): readonly string[] | undefined {
  return isJsonObject(node) ? accessPath(node["has"]) : undefined;
}

function accessPath(access: JsonValue | undefined): readonly string[] | undefined {
  if (!isJsonObject(access)) return undefined;
  const { attr } = access;
  const left = pathOf(access["left"]);
  return left === undefined || typeof attr !== "string" ? undefined : [...left, attr];
}
