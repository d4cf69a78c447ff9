/**
 * How two lists of catalog entries differ, definition by definition and member by member: what an approver reads before
 * signing. Pure; nothing is judged here.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { CatalogEntry, PinnedDefinition } from "./catalog-file.ts";
import { definitionValue } from "./definition-value.ts";

/** One place of a value that differs; undefined where it is not there. */
export interface MemberDiff {
  /** JSON Pointer. */
  readonly pointer: string;
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
}

/** A digest before and after; undefined where there is none. */
export interface DigestDiff {
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** `cosmetic`: only what neither model nor host acts on. */
export type DiffChange = "added" | "removed" | "changed" | "cosmetic";

/** The lists of an entry. */
export const DEFINITION_LISTS = ["tools", "prompts", "resources", "resource_templates"] as const;

/** One definition that differs. */
export interface DefinitionDiff {
  readonly list: (typeof DEFINITION_LISTS)[number];
  readonly name: string;
  readonly change: DiffChange;
  readonly model: DigestDiff;
  readonly full: DigestDiff;
  readonly members: readonly MemberDiff[];
}

/** One server that differs. */
export interface ServerDiff {
  readonly server: string;
  readonly change: "added" | "removed" | "changed";
  readonly surface: DigestDiff;
  /** Of identity, attributes, declared data, publisher, capabilities and instructions. */
  readonly members: readonly MemberDiff[];
  readonly definitions: readonly DefinitionDiff[];
}

/** The servers that differ, sorted by id. */
export function diffServers(before: readonly CatalogEntry[], after: readonly CatalogEntry[]): readonly ServerDiff[] {
  const ids = [...new Set([...before, ...after].map(({ id }) => id))].sort();
  return ids.flatMap((id) => {
    const diff = diffServer(
      id,
      before.find((entry) => entry.id === id),
      after.find((entry) => entry.id === id),
    );
    return diff.members.length + diff.definitions.length === 0 && diff.change === "changed" ? [] : [diff];
  });
}

function diffServer(server: string, before: CatalogEntry | undefined, after: CatalogEntry | undefined): ServerDiff {
  return {
    server,
    change: before === undefined ? "added" : after === undefined ? "removed" : "changed",
    surface: { before: before?.surface, after: after?.surface },
    members: diffValues(before && headOf(before), after && headOf(after)),
    definitions: DEFINITION_LISTS.flatMap((list) => diffList(list, before?.[list] ?? [], after?.[list] ?? [])),
  };
}

function headOf({ identity, attributes, data, publisher, capabilities, instructions }: CatalogEntry): JsonValue {
  return {
    identity,
    attributes,
    ...(data === undefined ? {} : { data }),
    ...(publisher === undefined ? {} : { publisher }),
    capabilities,
    instructions,
  };
}

function diffList(
  list: DefinitionDiff["list"],
  before: readonly PinnedDefinition[],
  after: readonly PinnedDefinition[],
): readonly DefinitionDiff[] {
  const names = [...new Set([...before, ...after].map(({ name }) => name))];
  return names.flatMap((name) => {
    const [old, listed] = [before.find((one) => one.name === name), after.find((one) => one.name === name)];
    return old?.full === listed?.full ? [] : [diffDefinition(list, name, old, listed)];
  });
}

function diffDefinition(
  list: DefinitionDiff["list"],
  name: string,
  before: PinnedDefinition | undefined,
  after: PinnedDefinition | undefined,
): DefinitionDiff {
  return {
    list,
    name,
    change: changeOf(before, after),
    model: { before: before?.model, after: after?.model },
    full: { before: before?.full, after: after?.full },
    members: diffValues(before && definitionValue(before.text), after && definitionValue(after.text)),
  };
}

function changeOf(before: PinnedDefinition | undefined, after: PinnedDefinition | undefined): DiffChange {
  if (before === undefined) return "added";
  if (after === undefined) return "removed";
  return before.model === after.model ? "cosmetic" : "changed";
}

/** Every deepest place at which two values differ, in the order of the pointers. */
export function diffValues(before: JsonValue | undefined, after: JsonValue | undefined): readonly MemberDiff[] {
  return placesOf(before, after, "");
}

function placesOf(before: JsonValue | undefined, after: JsonValue | undefined, pointer: string): MemberDiff[] {
  if (before !== undefined && after !== undefined && sameJson(before, after)) return [];
  const [old, now] = [childrenOf(before), childrenOf(after)];
  // One of them is no container, or another kind of one: the whole place differs.
  if (old === undefined || now === undefined || old.isArray !== now.isArray) return [{ pointer, before, after }];
  const steps = [...new Set([...old.children.keys(), ...now.children.keys()])];
  return steps.flatMap((step) => {
    const below = `${pointer}/${step.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    return placesOf(old.children.get(step), now.children.get(step), below);
  });
}

interface Children {
  readonly isArray: boolean;
  readonly children: ReadonlyMap<string, JsonValue>;
}

function childrenOf(value: JsonValue | undefined): Children | undefined {
  if (value === undefined) return undefined;
  if (isJsonObject(value)) {
    const members = Object.entries(value).flatMap(([key, item]): readonly (readonly [string, JsonValue])[] =>
      item === undefined ? [] : [[key, item]],
    );
    return { isArray: false, children: new Map(members) };
  }
  if (!Array.isArray(value)) return undefined;
  const items: readonly JsonValue[] = value;
  return { isArray: true, children: new Map(items.map((item, index) => [String(index), item])) };
}

function sameJson(a: JsonValue, b: JsonValue): boolean {
  return equalBytes(canonicalBytes(a), canonicalBytes(b));
}
