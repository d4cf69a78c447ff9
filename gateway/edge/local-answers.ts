/** What the gateway answers itself, from the approved catalog: discovery, handshake, lists. */

import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { Era } from "../../kernel/receipt/vocabulary.ts";
import type { CatalogReader, ListKind } from "../pipeline/call.ts";
import { announces } from "../upstream/own-request.ts";
import { META } from "../wire/meta-keys.ts";
import { type LegacyRevision, MODERN_REVISIONS } from "../wire/revisions.ts";
import { type Mount, offeredTexts } from "./mount.ts";
import { extensionsOf, legacyTasksOf } from "./task-support.ts";

/** What answers are made from. */
export interface LocalAnswers {
  readonly catalog: CatalogReader;
  readonly software: { readonly name: string; readonly version: string };
}

/** The capabilities of servers that the gateway carries. */
const CARRIED = ["tools", "prompts", "resources", "completions"] as const;

/** `Cache-Control` of lists: they may be asked for again at once, and are for this caller alone. */
const CACHE = '"ttlMs":0,"cacheScope":"private"';

/** Result of `initialize`. */
export function initializeResult({ catalog, software }: LocalAnswers, mount: Mount, revision: LegacyRevision): string {
  const result = {
    protocolVersion: revision,
    capabilities: { ...legacyCapabilities(catalog, mount), ...legacyTasksOf(catalog, mount, revision) },
    serverInfo: software,
    ...instructionsOf(catalog, mount),
  };
  return JSON.stringify(result);
}

/** Result of `server/discover`. @param extensions  that the agent may use */
export function discoverResult({ catalog, software }: LocalAnswers, mount: Mount, extensions: JsonObject = {}): string {
  return JSON.stringify({
    resultType: "complete",
    supportedVersions: MODERN_REVISIONS,
    capabilities: { ...capabilitiesOf(catalog, mount), ...withTasks(extensions, extensionsOf(catalog, mount)) },
    ...instructionsOf(catalog, mount),
    ttlMs: 0,
    cacheScope: "private",
    _meta: { [META.serverInfo]: software },
  });
}

/** What a policy permits, and the extension of tasks. */
function withTasks(extensions: JsonObject, own: JsonObject): JsonObject {
  const all = { ...extensions, ...(isJsonObject(own["extensions"]) ? own["extensions"] : {}) };
  return Object.keys(all).length === 0 ? own : { ...own, extensions: all };
}

/** Result of a list: every definition that may be offered, on one page, each in the bytes that were approved. */
export function listResult({ catalog }: LocalAnswers, mount: Mount, kind: ListKind, era: Era): string {
  const items = `"${kind}":[${offeredTexts(catalog, mount, kind).join(",")}]`;
  return era === "modern" ? `{"resultType":"complete",${CACHE},${items}}` : `{${items}}`;
}

/** True if a server of the mount has the capability. */
export function hasCapability(catalog: CatalogReader, mount: Mount, name: string): boolean {
  return mount.serverIds.some((serverId) => {
    const capabilities = catalog.capabilities(serverId);
    return isJsonObject(capabilities) && capabilities[name] !== undefined;
  });
}

/** With what is announced: changes of lists, and of single resources. */
function capabilitiesOf(catalog: CatalogReader, mount: Mount): JsonObject {
  const carried = CARRIED.filter((name) => hasCapability(catalog, mount, name));
  return Object.fromEntries(carried.map((name) => [name, announced(catalog, mount, name)]));
}

function announced(catalog: CatalogReader, mount: Mount, name: (typeof CARRIED)[number]): JsonObject {
  const isChanging = name !== "completions" && mount.serverIds.some((id) => announces(catalog.capabilities(id), name));
  const isWatched = name === "resources" && mount.serverIds.some((id) => isSubscribable(catalog, id));
  return { ...(isChanging ? { listChanged: true } : {}), ...(isWatched ? { subscribe: true } : {}) };
}

/** Legacy sessions carry log messages beside. */
function legacyCapabilities(catalog: CatalogReader, mount: Mount): JsonObject {
  const logging: JsonObject = hasCapability(catalog, mount, "logging") ? { logging: {} } : {};
  return { ...capabilitiesOf(catalog, mount), ...logging };
}

/** True if the server lets its resources be subscribed to. */
export function isSubscribable(catalog: CatalogReader, serverId: string): boolean {
  const capabilities = catalog.capabilities(serverId);
  const resources = isJsonObject(capabilities) ? capabilities["resources"] : undefined;
  return isJsonObject(resources) && resources["subscribe"] === true;
}

/** The approved instructions; on an aggregated mount each behind a line with its server's id. */
function instructionsOf(catalog: CatalogReader, mount: Mount): { readonly instructions?: string } {
  const texts = mount.serverIds.flatMap((serverId) => {
    const text = catalog.instructions(serverId);
    if (text === undefined || text === "") return [];
    return [mount.isPrefixed ? `${serverId}:\n${text}` : text];
  });
  return texts.length === 0 ? {} : { instructions: texts.join("\n\n") };
}
