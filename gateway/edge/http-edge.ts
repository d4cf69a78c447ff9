/** Streamable HTTP toward agents: `/mcp` and `/s/<serverId>/mcp`, both eras. */

import { BugError } from "../../kernel/errors.ts";
import type { CallerToken, EdgeOptions } from "./edge-options.ts";

/** An edge that listens. */
export interface HttpEdgeOptions extends EdgeOptions {
  /** Port 0 takes any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly tokens: readonly CallerToken[];
  /** Values of `Host` beside localhost, 127.0.0.1 and [::1] with the port that is listened on. */
  readonly allowedHosts?: readonly string[];
  /** Values of `Origin` that browsers may send; none by default. */
  readonly allowedOrigins?: readonly string[];
}

/** A running edge. */
export interface HttpEdge {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  /** Ends idle connections and streams at once, lets calls in flight end within `closeMs`, refuses new ones. */
  readonly close: () => Promise<void>;
}

/**
 * Listens and serves.
 *
 * @throws {StoreError} ERR_SERVICE_START if the address cannot be listened on
 */
export function startHttpEdge(options: HttpEdgeOptions): Promise<HttpEdge> {
  throw new BugError(`startHttpEdge: ${options.listen.host}`);
}
