/** Ids of the actions about a tool, put together once: a text that is made anew is hashed anew by each map that is asked for it. */

import { respondAction } from "./cedar-schema.ts";

/** The actions about one tool. */
export interface ToolActionIds {
  /** About a call: `<server>/<tool>`. */
  readonly call: string;
  /** About the result of one. */
  readonly respond: string;
}

/** Tools that are kept of one server, and servers; above it they are made again. */
const MAX_KEPT = 4096;

const servers = new Map<string, Map<string, ToolActionIds>>();

/** Ids of the actions about a tool of a server. */
export function toolActionIds(serverId: string, name: string): ToolActionIds {
  const tools = servers.get(serverId) ?? new Map<string, ToolActionIds>();
  const known = tools.get(name);
  if (known !== undefined) return known;
  const call = `${serverId}/${name}`;
  const made = { call, respond: respondAction(call) };
  // Its own name: the one that was given may be a piece of a message, and would keep all of that.
  keep(tools, call.slice(serverId.length + 1), made);
  keep(servers, serverId, tools);
  return made;
}

function keep<T>(map: Map<string, T>, key: string, value: T): void {
  if (map.size >= MAX_KEPT && !map.has(key)) map.clear();
  map.set(key, value);
}
