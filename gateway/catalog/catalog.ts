/**
 * The catalog of a running gateway: the approved definitions against what the servers list now. Only what is approved
 * is offered; what changed is offered as it was approved, and calling it is the pipeline's decision.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import type { DriftItem } from "../../kernel/receipt/drift.ts";
import { ABSENT, present } from "../../kernel/receipt/observed.ts";
import { DEFINITION_MEMBERS, type DefinitionState } from "../../kernel/receipt/vocabulary.ts";
import type { CatalogDefinition, CatalogReader, ListKind } from "../pipeline/call.ts";
import { isPlainName } from "../pipeline/call-facts.ts";
import type { SchemaSource } from "../policy/cedar-schema.ts";
import {
  type CatalogEntry,
  type CatalogFile,
  type ListedServer,
  type PinnedDefinition,
  pinFirstUse,
} from "./catalog-file.ts";
import { definitionValue } from "./definition-value.ts";
import { digestInstructions, digestOf } from "./digests.ts";

/** A difference between the approved and the listed surface of a server. */
export interface ServerDrift {
  readonly server: string;
  readonly approved: string;
  readonly listed: string;
  readonly items: readonly DriftItem[];
}

/** What the pipeline asks of a catalog beside what agents are offered. */
export interface Catalog extends CatalogReader {
  /** `sha256:<hex>` of the file. */
  readonly digest: string;
  readonly file: CatalogFile;
  readonly entry: (serverId: string) => CatalogEntry | undefined;
  /** Digest of the server's approved identity. */
  readonly identityDigest: (serverId: string) => string | undefined;
  /** False if the server that is listed now is not the one that was approved. */
  readonly hasSameIdentity: (serverId: string) => boolean;
  readonly find: (serverId: string, kind: ListKind, name: string) => CatalogDefinition | undefined;
  /** How many listed definitions are not offered. */
  readonly withheld: (serverId: string) => number;
  readonly drifts: readonly ServerDrift[];
  /** What the policy schema is made from. */
  readonly schemaSources: readonly SchemaSource[];
}

const LISTS: Readonly<Record<ListKind, "tools" | "prompts" | "resources" | "resource_templates">> = {
  tools: "tools",
  prompts: "prompts",
  resources: "resources",
  resourceTemplates: "resource_templates",
};

/** Compares the file with the servers as they are listed now. */
export function makeCatalog(file: CatalogFile, listed: readonly ListedServer[]): Catalog {
  const now = new Map(listed.map((server) => [server.id, pinnedOf(server)]));
  const approved = new Map(file.servers.map((entry) => [entry.id, entry]));
  const states = new Map(file.servers.map((entry) => [entry.id, compareEntry(entry, now.get(entry.id))]));
  const named = new Map([...states].map(([id, lists]) => [id, byName(lists)]));
  const identities = new Map([...approved].map(([id, { identity }]) => [id, digestOf(identity)]));
  const unchanged = new Set([...approved.keys()].filter((id) => isSameServer(approved.get(id), now.get(id))));
  const listOf = (serverId: string, kind: ListKind): readonly CatalogDefinition[] => states.get(serverId)?.[kind] ?? [];
  return {
    digest: digestOf(file),
    file,
    serverIds: file.servers.map(({ id }) => id),
    entry: (serverId) => approved.get(serverId),
    identityDigest: (serverId) => identities.get(serverId),
    hasSameIdentity: (serverId) => unchanged.has(serverId),
    definitions: listOf,
    find: (serverId, kind, name) => named.get(serverId)?.[kind].get(name),
    has: (serverId, kind, name) => named.get(serverId)?.[kind].has(name) === true,
    instructions: (serverId) => approved.get(serverId)?.instructions ?? undefined,
    capabilities: (serverId) => approved.get(serverId)?.capabilities ?? {},
    withheld: (serverId) => countWithheld(approved.get(serverId), now.get(serverId)),
    drifts: file.servers.flatMap((entry) => driftOf(entry, now.get(entry.id))),
    schemaSources: schemaSourcesOf(file),
  };
}

/** A listing is digested once, and not again with each listing of another server. */
const pinnedByListing = new WeakMap<ListedServer, CatalogEntry>();

function pinnedOf(server: ListedServer): CatalogEntry | undefined {
  const known = pinnedByListing.get(server) ?? pinFirstUse([server]).servers[0];
  if (known !== undefined) pinnedByListing.set(server, known);
  return known;
}

function isSameServer(approved: CatalogEntry | undefined, now: CatalogEntry | undefined): boolean {
  return approved !== undefined && now !== undefined && sameJson(approved.identity, now.identity);
}

/** The definitions of each list by their names; of two with one name the first. */
function byName(states: States): Readonly<Record<ListKind, ReadonlyMap<string, CatalogDefinition>>> {
  const map = (list: readonly CatalogDefinition[]): ReadonlyMap<string, CatalogDefinition> =>
    new Map(list.map((one) => [one.name, one] as const).reverse());
  return {
    tools: map(states.tools),
    prompts: map(states.prompts),
    resources: map(states.resources),
    resourceTemplates: map(states.resourceTemplates),
  };
}

/** What the policy schema of a catalog is made from. */
export function schemaSourcesOf(file: CatalogFile): readonly SchemaSource[] {
  return file.servers.map(schemaSource);
}

type States = Readonly<Record<ListKind, readonly CatalogDefinition[]>>;

/** The approved definitions that the server still lists, each with its state. */
function compareEntry(approved: CatalogEntry, now: CatalogEntry | undefined): States {
  const list = (kind: ListKind): readonly CatalogDefinition[] => {
    const listed = new Map((now?.[LISTS[kind]] ?? []).map((definition) => [definition.name, definition]));
    return approved[LISTS[kind]].flatMap(({ name, text, model, full, approved_by }) => {
      const other = listed.get(name);
      const state = other === undefined ? undefined : stateOf({ model, full, approved_by }, other);
      return state === undefined ? [] : [{ name, text, model, full, state }];
    });
  };
  return {
    tools: list("tools"),
    prompts: list("prompts"),
    resources: list("resources"),
    resourceTemplates: list("resourceTemplates"),
  };
}

function stateOf(
  approved: Pick<PinnedDefinition, "model" | "full" | "approved_by">,
  listed: PinnedDefinition,
): DefinitionState {
  if (approved.model !== listed.model) return "changed";
  if (approved.full !== listed.full) return "cosmetic";
  return approved.approved_by === "first-use" ? "first-use" : "approved";
}

function countWithheld(approved: CatalogEntry | undefined, now: CatalogEntry | undefined): number {
  const known = new Set(approved?.tools.map(({ name }) => name));
  return (now?.tools ?? []).filter(({ name }) => !known.has(name)).length;
}

function driftOf(approved: CatalogEntry, now: CatalogEntry | undefined): readonly ServerDrift[] {
  if (now === undefined) return [];
  const items = (["tools", "prompts", "resourceTemplates"] as const).flatMap((kind) =>
    listDrift(kind, approved[LISTS[kind]], now[LISTS[kind]]),
  );
  if (approved.instructions !== now.instructions) items.push(changedInstructions(approved, now));
  if (!sameJson(approved.capabilities, now.capabilities)) items.push(changedCapabilities(approved, now));
  if (!sameJson(approved.identity, now.identity)) items.push(wholeServer(approved, now));
  if (items.length === 0 && approved.surface === now.surface) return [];
  return [{ server: approved.id, approved: approved.surface, listed: now.surface, items }];
}

const SUBJECTS = { tools: "tool", prompts: "prompt", resourceTemplates: "resource-template" } as const;

function listDrift(
  kind: keyof typeof SUBJECTS,
  approved: readonly PinnedDefinition[],
  now: readonly PinnedDefinition[],
): DriftItem[] {
  const before = new Map(approved.map((definition) => [definition.name, definition]));
  const after = new Map(now.map((definition) => [definition.name, definition]));
  const base = { subject: SUBJECTS[kind], members: [] } as const;
  const gone = approved
    .filter(({ name }) => !after.has(name))
    .map((old): DriftItem => {
      return {
        ...base,
        name: nameOf(kind, old.name),
        change: "removed",
        before: present(old.model),
        after: ABSENT,
        action: "hidden",
      };
    });
  const fresh = now
    .filter(({ name }) => !before.has(name))
    .map((added): DriftItem => {
      // A new name is the server's text: it enters the log only after somebody approved it.
      return { ...base, name: ABSENT, change: "added", before: ABSENT, after: present(added.model), action: "hidden" };
    });
  const changed = now.flatMap((listed): DriftItem[] => {
    const old = before.get(listed.name);
    return old === undefined || old.full === listed.full ? [] : [changeOf(base.subject, kind, old, listed)];
  });
  return [...gone, ...changed, ...fresh];
}

function changeOf(
  subject: DriftItem["subject"],
  kind: keyof typeof SUBJECTS,
  old: PinnedDefinition,
  listed: PinnedDefinition,
): DriftItem {
  const isCosmetic = old.model === listed.model;
  return {
    subject,
    name: nameOf(kind, old.name),
    change: isCosmetic ? "cosmetic" : "changed",
    before: present(isCosmetic ? old.full : old.model),
    after: present(isCosmetic ? listed.full : listed.model),
    members: changedMembers(definitionValue(old.text), definitionValue(listed.text)),
    action: isCosmetic ? "recorded" : "quarantined",
  };
}

const MEMBERS: ReadonlySet<string> = new Set(DEFINITION_MEMBERS);

function changedMembers(old: JsonObject, listed: JsonObject): DriftItem["members"] {
  const names = [...new Set([...Object.keys(old), ...Object.keys(listed)])];
  const changed = names.filter((name) => !sameJson(old[name] ?? null, listed[name] ?? null));
  return [...new Set(changed.map((name) => (isMember(name) ? name : "other")))].sort();
}

function isMember(name: string): name is DriftItem["members"][number] {
  return MEMBERS.has(name);
}

/** Agents get the approved text. */
function changedInstructions(approved: CatalogEntry, now: CatalogEntry): DriftItem {
  const digest = (text: string | null): DriftItem["before"] =>
    text === null ? ABSENT : present(digestInstructions(text));
  const [before, after] = [digest(approved.instructions), digest(now.instructions)];
  const change = before.state === "absent" ? "added" : after.state === "absent" ? "removed" : "changed";
  return { subject: "instructions", name: ABSENT, change, before, after, members: [], action: "hidden" };
}

/** Agents are told the approved ones. */
function changedCapabilities(approved: CatalogEntry, now: CatalogEntry): DriftItem {
  return {
    subject: "capabilities",
    name: ABSENT,
    change: "capability",
    before: present(digestOf(approved.capabilities)),
    after: present(digestOf(now.capabilities)),
    members: [],
    action: "hidden",
  };
}

function wholeServer(approved: CatalogEntry, now: CatalogEntry): DriftItem {
  return {
    subject: "server",
    name: ABSENT,
    change: "identity",
    before: present(digestOf(approved.identity)),
    after: present(digestOf(now.identity)),
    members: [],
    action: "quarantined",
  };
}

/** Names of tools and prompts are the operator's, once approved; URI templates stay out of the log. */
function nameOf(kind: keyof typeof SUBJECTS, name: string): DriftItem["name"] {
  return kind === "resourceTemplates" || !isPlainName(name) ? ABSENT : present({ form: "name", name });
}

function schemaSource({ id, attributes, tools, prompts }: CatalogEntry): SchemaSource {
  return {
    serverId: id,
    attributes,
    tools: tools.map(({ name, text }) => {
      const { inputSchema, outputSchema } = definitionValue(text);
      return { name, inputSchema, outputSchema };
    }),
    prompts: prompts.map(({ name, text }) => ({ name, argumentNames: argumentNames(definitionValue(text)) })),
  };
}

function argumentNames(prompt: JsonObject): readonly string[] {
  const { arguments: list } = prompt;
  if (!Array.isArray(list)) return [];
  const items: readonly JsonValue[] = list;
  return items.flatMap((item) => {
    const name = typeof item === "object" && item !== null && "name" in item ? item["name"] : undefined;
    return typeof name === "string" ? [name] : [];
  });
}

function sameJson(a: JsonValue, b: JsonValue): boolean {
  return equalBytes(canonicalBytes(a), canonicalBytes(b));
}
