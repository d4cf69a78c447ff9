/**
 * Methods that MCP does not define, of extensions that a server declares: where they go. A policy has to name the server's action for
 * them, the agent has to have declared one of the server's extensions, and no two servers may be meant.
 */

import type { JsonObject } from "../../kernel/json/value.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import type { Offers } from "../pipeline/offers.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { type AgentRequest, wireFacts } from "./agent-request.ts";
import type { Routed } from "./route-call.ts";

/** What routing needs. */
export interface ExtensionDeps {
  readonly offers?: Offers | undefined;
  readonly upstreams: ReadonlyMap<string, Upstream>;
}

/** Extensions that have methods of their own in the method table. */
const OWN: ReadonlySet<string> = new Set(["io.modelcontextprotocol/tasks"]);

/** Extensions of the mount's servers that this agent may use, as it is told of them. */
export function extensionsOf(deps: ExtensionDeps, request: AgentRequest): JsonObject {
  return Object.fromEntries(request.mount.serverIds.flatMap((id) => Object.entries(declaredBy(deps, request, id))));
}

/** Where the method goes; undefined if nowhere. Legacy agents declare no extensions. */
export function routeExtension(deps: ExtensionDeps, request: AgentRequest): Routed | undefined {
  const { mount, message, capabilities } = request;
  const declared = capabilities.value["extensions"];
  const isDeclared = (id: string): boolean => isJsonObject(declared) && Object.hasOwn(declared, id);
  const servers = mount.serverIds.flatMap((serverId) => {
    const extensions = Object.keys(declaredBy(deps, request, serverId)).filter(isDeclared);
    return extensions.length === 0 ? [] : [{ serverId, extensions }];
  });
  const [only] = servers;
  const upstream = only === undefined ? undefined : deps.upstreams.get(only.serverId);
  if (only === undefined || upstream === undefined || servers.length > 1) return undefined;
  const { serverId, extensions } = only;
  return { type: "routed", route: { serverId, name: message.method }, upstream, mirrored: [], extensions };
}

function declaredBy({ offers }: ExtensionDeps, request: AgentRequest, serverId: string): JsonObject {
  const all = offers?.extensionsOf({ ...request, wire: wireFacts(request) }, serverId) ?? {};
  return Object.fromEntries(Object.entries(all).filter(([id]) => !OWN.has(id)));
}
