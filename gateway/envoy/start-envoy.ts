/** Starts the service for Envoy beside the agents' listener, with its credentials, limits and pipeline. */

import { FormatError } from "../../kernel/errors.ts";
import { makeConfigured } from "../edge/bearer.ts";
import { DEFAULT_EDGE_LIMITS } from "../edge/edge-options.ts";
import type { HttpEdgeOptions } from "../edge/http-edge.ts";
import { makeAuthenticate } from "../identity/authenticator.ts";
import { makeAuthorizer } from "./authorizer.ts";
import { ENVOY_MAX_CHECKS, ENVOY_PORT, type EnvoyConfig } from "./envoy-config.ts";
import { type EnvoyServer, startEnvoyServer } from "./envoy-server.ts";

/** What it is started with. */
export interface EnvoyFacts {
  readonly config: EnvoyConfig;
  readonly token: string | undefined;
  /** As the agents' listener has them. */
  readonly edge: HttpEdgeOptions;
  /** Of the agents' listener: what access tokens are issued for, unless the configuration says it. */
  readonly origin: string;
}

/**
 * Listens.
 *
 * @throws {FormatError} ERR_CONFIG if there is no token
 * @throws {StoreError} ERR_SERVICE_START
 */
export function startEnvoy({ config, token, edge, origin }: EnvoyFacts): Promise<EnvoyServer> {
  if (token === undefined) throw new FormatError("ERR_CONFIG", "config.envoy: its token cannot be read here");
  const { maxBodyBytes } = { ...DEFAULT_EDGE_LIMITS, ...edge.limits };
  const server = edge.makeServer?.(origin);
  const authenticate = makeAuthenticate({
    configured: makeConfigured(edge.tokens),
    server,
    certificates: edge.certificates ?? { authorities: [], principals: [], spiffe: new Map() },
    clientAuth: edge.tls?.clientAuth ?? "none",
    nowMs: edge.nowMs,
  });
  const allowedOrigins = new Set(edge.allowedOrigins ?? []);
  const authorize = makeAuthorizer({ ...edge, scopes: server, authenticate, maxBodyBytes, allowedOrigins });
  const { host = "127.0.0.1", port = ENVOY_PORT } = config.listen ?? {};
  const maxChecks = config.max_checks ?? ENVOY_MAX_CHECKS;
  const { pipeline, logger } = edge;
  return startEnvoyServer({ listen: { host, port }, token, maxChecks, maxBodyBytes, authorize, pipeline, logger });
}
