/** Where a call goes: the server and the name there, and whether the mirrored argument headers are true. */

import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { CatalogReader } from "../pipeline/call.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { type DeclaredNames, hasDeclaredAlias } from "../wire/declared-names.ts";
import type { RequestRule } from "../wire/methods.ts";
import { checkParamHeaders } from "../wire/mirrored-headers.ts";
import type { ParamHeader } from "../wire/param-headers.ts";
import { RPC, refusal, type WireRefusal } from "../wire/rpc-error.ts";
import type { AgentRequest } from "./agent-request.ts";
import { type Route, routeName, routeUri } from "./mount.ts";
import { routedToolFacts } from "./tool-facts.ts";

/** A call that has a server. */
export interface Routed {
  readonly type: "routed";
  readonly route: Route;
  readonly upstream: Upstream;
  /** Where the name stands in the message, if it is another at the server. */
  readonly rename?: { readonly path: readonly string[]; readonly value: string };
  /** Of a method that MCP does not define: the extensions that agent and server both declare. */
  readonly extensions?: readonly string[];
  /** Arguments that are mirrored in headers. */
  readonly mirrored: readonly ParamHeader[];
}

/** A refusal, of a server if one was found. */
export type RouteRefusal = WireRefusal & { readonly serverId?: string };

type ForwardRule = Extract<RequestRule, { rule: "forward" }>;

/** A named target: where its name stands, and how it is found. */
interface Target {
  readonly path: readonly string[];
  readonly name: string;
  readonly by: "tools" | "prompts" | "uri";
}

/** Routes a call. */
export function routeCall(
  catalog: CatalogReader,
  upstreams: ReadonlyMap<string, Upstream>,
  request: AgentRequest,
  rule: ForwardRule,
): Routed | RouteRefusal {
  const target = targetOf(request, rule);
  if (target === undefined) {
    return refusal("classify", "rpc.shape", RPC.invalidParams, 200, `params.${rule.names} is missing or malformed`);
  }
  const route = findRoute(catalog, request, target);
  if (typeof route === "string") return routeRefusal(request, route, isHidden(catalog, request, target));
  const upstream = upstreams.get(route.serverId);
  if (upstream === undefined) {
    const text = "the server is not connected";
    return { ...refusal("route", "server.unavailable", RPC.internal, 200, text), serverId: route.serverId };
  }
  const facts = target.by === "tools" ? routedToolFacts(catalog, route) : undefined;
  // A tool that breaks the rules of its headers is not listed, so it is not callable either.
  if (facts !== undefined && facts.mirrored === undefined) return routeRefusal(request, "name.unknown");
  const mirrored = facts?.mirrored ?? [];
  const fault = argumentFault(request, mirrored, facts?.declared);
  if (fault !== undefined) return { ...fault, serverId: route.serverId };
  const routed: Routed = { type: "routed", route, upstream, mirrored };
  return route.name === target.name ? routed : { ...routed, rename: { path: target.path, value: route.name } };
}

function targetOf({ message }: AgentRequest, { names, kind }: ForwardRule): Target | undefined {
  const { params } = message;
  if (names === "ref") return refTarget(params["ref"]);
  const name = params[names];
  if (typeof name !== "string" || name === "") return undefined;
  const by = kind === "tool" ? "tools" : kind === "prompt" ? "prompts" : "uri";
  return { path: ["params", names], name, by };
}

function refTarget(ref: JsonValue | undefined): Target | undefined {
  if (!isJsonObject(ref)) return undefined;
  const { type, name, uri } = ref;
  if (type === "ref/prompt" && typeof name === "string")
    return { path: ["params", "ref", "name"], name, by: "prompts" };
  if (type !== "ref/resource" || typeof uri !== "string") return undefined;
  return { path: ["params", "ref", "uri"], name: uri, by: "uri" };
}

type RouteFault = Extract<ReasonCode, "name.unknown" | "resource.unknown" | "resource.ambiguous">;

function findRoute(catalog: CatalogReader, { mount }: AgentRequest, { by, name }: Target): Route | RouteFault {
  if (by !== "uri") return routeName(catalog, mount, by, name) ?? "name.unknown";
  const found = routeUri(catalog, mount, name);
  if (typeof found !== "string") return found;
  return found === "unknown" ? "resource.unknown" : "resource.ambiguous";
}

/** True if the target is there, and not offered to this agent. */
function isHidden({ whole }: CatalogReader, request: AgentRequest, target: Target): boolean {
  return whole !== undefined && typeof findRoute(whole, request, target) === "object";
}

const TEXTS: Readonly<Record<RouteFault, string>> = {
  "name.unknown": "no such tool or prompt is offered here",
  "resource.unknown": "no such resource is offered here",
  "resource.ambiguous": "more than one server offers this URI; address it as countersign://<server>/<encoded URI>",
};

/** A hidden name and one that does not exist give the same answer; only the receipt tells them apart. */
function routeRefusal({ era }: AgentRequest, reason: RouteFault, hidden = false): RouteRefusal {
  const isLegacyResource = reason === "resource.unknown" && era === "legacy";
  const code = isLegacyResource ? RPC.resourceNotFound : RPC.invalidParams;
  const refused = refusal("route", reason, code, 200, TEXTS[reason]);
  return hidden ? { ...refused, recorded: "definition.hidden" } : refused;
}

/** Arguments that policy would see otherwise than the server: in a header, or under a name that only looks declared. */
function argumentFault(
  { headers, era, message }: AgentRequest,
  mirrored: readonly ParamHeader[],
  declared: DeclaredNames | undefined,
): WireRefusal | undefined {
  const { params } = message;
  const fault = headers === undefined ? undefined : checkParamHeaders(headers, mirrored, params, era);
  if (fault !== undefined || !hasDeclaredAlias(params["arguments"], declared)) return fault;
  const text = "an argument is not declared, and its name differs from a declared one only in form";
  return refusal("catalog", "args.case-alias", RPC.invalidParams, 200, text);
}
