/**
 * Which servers an endpoint offers, and under which names: one server with its own names, or several with
 * `<serverId>__` in front. A server id holds no underscore, so the first `__` is where it ends.
 */

import { sha256 } from "#crypto";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { CatalogReader, ListKind } from "../pipeline/call.ts";
import { applyEdits, spanOf } from "../wire/spans.ts";
import { matchesTemplate } from "../wire/uri-template.ts";
import { toolFacts } from "./tool-facts.ts";

/** An endpoint. */
export interface Mount {
  /** Path of its URL. */
  readonly path: string;
  readonly serverIds: readonly string[];
  readonly isPrefixed: boolean;
}

/** Where a name leads. */
export interface Route {
  readonly serverId: string;
  /** Name or URI at the server. */
  readonly name: string;
}

const MAX_NAME = 64;
const KEPT = 55;
const SEPARATOR = "__";
const OWN_SCHEME = "countersign://";

/** `/mcp`: every server; renamed only if there are several. */
export function aggregatedMount(catalog: CatalogReader): Mount {
  return { path: "/mcp", serverIds: catalog.serverIds, isPrefixed: catalog.serverIds.length > 1 };
}

/** `/s/<serverId>/mcp`: one server, byte for byte. */
function serverMount(serverId: string): Mount {
  return { path: `/s/${serverId}/mcp`, serverIds: [serverId], isPrefixed: false };
}

/** The mount at a path of the agents' listener. */
export function mountAt(catalog: CatalogReader, path: string): Mount | undefined {
  if (path === "/mcp") return aggregatedMount(catalog);
  const id = /^\/s\/([a-z0-9][a-z0-9-]{0,23})\/mcp$/u.exec(path)?.[1];
  return id !== undefined && catalog.serverIds.includes(id) ? serverMount(id) : undefined;
}

/** The name under which an aggregated mount offers a definition; at most 64 characters. */
export function prefixedName(serverId: string, name: string): string {
  const full = `${serverId}${SEPARATOR}${name}`;
  if (full.length <= MAX_NAME) return full;
  return `${full.slice(0, KEPT)}-${formatHex(sha256(formatUtf8(full))).slice(0, 8)}`;
}

/** The texts of the definitions that a mount offers, in the servers' order, with the names of the mount. */
export function offeredTexts(catalog: CatalogReader, mount: Mount, kind: ListKind): readonly string[] {
  const isNamed = kind === "tools" || kind === "prompts";
  return mount.serverIds.flatMap((serverId) =>
    catalog
      .definitions(serverId, kind)
      .filter((definition) => kind !== "tools" || toolFacts(definition).mirrored !== undefined)
      .map(({ name, text }) => (isNamed && mount.isPrefixed ? renamed(text, prefixedName(serverId, name)) : text)),
  );
}

function renamed(text: string, name: string): string {
  const span = spanOf(text, ["name"]);
  return span === undefined ? text : applyEdits(text, [{ ...span, text: JSON.stringify(name) }]);
}

/** Where the name of a tool or prompt leads; undefined if the mount does not offer it. */
export function routeName(
  catalog: CatalogReader,
  mount: Mount,
  kind: "tools" | "prompts",
  name: string,
): Route | undefined {
  const [only] = mount.serverIds;
  if (!mount.isPrefixed) {
    return only !== undefined && catalog.has(only, kind, name) ? { serverId: only, name } : undefined;
  }
  const at = name.indexOf(SEPARATOR);
  const serverId = name.slice(0, Math.max(at, 0));
  if (!mount.serverIds.includes(serverId)) return undefined;
  const rest = name.slice(at + SEPARATOR.length);
  if (catalog.has(serverId, kind, rest) && prefixedName(serverId, rest) === name) return { serverId, name: rest };
  if (name.length !== MAX_NAME) return undefined;
  const found = catalog.definitions(serverId, kind).find((item) => prefixedName(serverId, item.name) === name);
  return found === undefined ? undefined : { serverId, name: found.name };
}

/**
 * Where a URI leads: the server that lists it, else those with a template that it matches, else nowhere. One that is hidden from the
 * agent leads nowhere.
 */
export function routeUri(catalog: CatalogReader, mount: Mount, uri: string): Route | "unknown" | "ambiguous" {
  const route = routeWhole(catalog.whole ?? catalog, mount, uri);
  return typeof route === "object" && isHidden(catalog, route) ? "unknown" : route;
}

function isHidden(catalog: CatalogReader, { serverId, name }: Route): boolean {
  const kinds = ["resources", "resourceTemplates"] as const;
  return kinds.some((kind) => catalog.whole?.has(serverId, kind, name) === true && !catalog.has(serverId, kind, name));
}

function routeWhole(catalog: CatalogReader, mount: Mount, uri: string): Route | "unknown" | "ambiguous" {
  if (uri.startsWith(OWN_SCHEME)) return routeOwnUri(mount, uri);
  const [only] = mount.serverIds;
  if (mount.serverIds.length === 1 && only !== undefined) return { serverId: only, name: uri };
  const exact = mount.serverIds.filter((serverId) => catalog.has(serverId, "resources", uri));
  const servers = exact.length > 0 ? exact : mount.serverIds.filter((serverId) => hasTemplate(catalog, serverId, uri));
  const [first] = servers;
  if (first === undefined) return "unknown";
  return servers.length > 1 ? "ambiguous" : { serverId: first, name: uri };
}

function hasTemplate(catalog: CatalogReader, serverId: string, uri: string): boolean {
  return catalog.definitions(serverId, "resourceTemplates").some(({ name }) => matchesTemplate(name, uri));
}

/** `countersign://<serverId>/<percent-encoded URI>` addresses a resource that two servers claim. */
function routeOwnUri(mount: Mount, uri: string): Route | "unknown" {
  const [serverId = "", encoded = ""] = uri.slice(OWN_SCHEME.length).split("/");
  const name = decodeUri(encoded);
  return mount.serverIds.includes(serverId) && name !== undefined && name !== "" ? { serverId, name } : "unknown";
}

function decodeUri(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}
