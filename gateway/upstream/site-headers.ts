/** The headers of every request to a server over HTTP. */

import type { LinkOptions } from "./http-link.ts";

/** Media types, our name, and the server's own credential. */
export function siteHeaders({ config, deps }: Pick<LinkOptions, "config" | "deps">): Record<string, string> {
  const { software, bearerTokens } = deps;
  const token = bearerTokens.get(config.id);
  return {
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    "Accept-Encoding": "identity",
    "User-Agent": `${software.name}/${software.version}`,
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
  };
}
