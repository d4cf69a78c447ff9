/** Connects the configured servers and lists what they advertise. A start fails if one of them does not answer. */

import { StoreError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/service/service.ts";
import type { ListedServer } from "./catalog/catalog-file.ts";
import type { GatewayOptions, World } from "./options.ts";
import { type PacedLogger, paceLogger } from "./paced-logger.ts";
import type { Upstream, UpstreamDeps } from "./upstream/upstream.ts";
import type { UpstreamConfig } from "./upstream/upstream-config.ts";

/** The connected servers and their surfaces at this start. */
export interface ConnectedServers {
  readonly upstreams: readonly Upstream[];
  readonly listed: readonly ListedServer[];
  /** The log of what servers and agents do wrong. */
  readonly paced: PacedLogger;
}

/** What connecting needs of a gateway's options. */
export interface ServerOptions extends Pick<GatewayOptions, "environment" | "logger" | "software" | "readFile"> {
  readonly config: Pick<GatewayOptions["config"], "servers">;
  readonly secrets: Pick<GatewayOptions["secrets"], "bearerTokens">;
}

/**
 * Connects all at once.
 *
 * @throws {StoreError} ERR_SERVICE_START naming the first server that did not answer; those that did are closed again
 */
export async function connectServers(options: ServerOptions, world: World): Promise<ConnectedServers> {
  const paced = paceLogger(options.logger);
  const deps = depsOf(options, world, paced);
  const attempts = await Promise.allSettled(options.config.servers.map((config) => world.connect(config, deps)));
  const upstreams = attempts.flatMap((attempt) => (attempt.status === "fulfilled" ? [attempt.value] : []));
  try {
    const failed = attempts.findIndex(({ status }) => status === "rejected");
    const attempt = attempts[failed];
    if (attempt?.status === "rejected") throw unanswered(options.config.servers[failed]?.id, attempt.reason);
    return {
      upstreams,
      listed: await Promise.all(upstreams.map((upstream) => listServer(upstream, options.config.servers))),
      paced,
    };
  } catch (error) {
    await closeServers({ upstreams, paced });
    throw error;
  }
}

/** Closes all, whatever becomes of one; then the log says what it counted. */
export async function closeServers({ upstreams, paced }: Pick<ConnectedServers, "upstreams" | "paced">): Promise<void> {
  await Promise.allSettled(upstreams.map((upstream) => upstream.close()));
  paced.flush();
}

async function listServer(upstream: Upstream, servers: readonly UpstreamConfig[]): Promise<ListedServer> {
  const { id, identity, attributes } = upstream;
  const { data, publisher } = servers.find((config) => config.id === id) ?? {};
  try {
    const surface = await upstream.listSurface();
    return {
      id,
      identity,
      attributes,
      surface,
      ...(data === undefined ? {} : { data }),
      ...(publisher === undefined ? {} : { publisher: { name: publisher.name, server: publisher.server } }),
    };
  } catch (cause) {
    throw unanswered(upstream.id, cause);
  }
}

function unanswered(id: string | undefined, cause: unknown): StoreError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StoreError("ERR_SERVICE_START", `the server ${id ?? "?"} cannot be used: ${why}`, { cause });
}

function depsOf(
  { secrets, environment, software, readFile }: ServerOptions,
  world: World,
  logger: Logger,
): UpstreamDeps {
  return {
    bearerTokens: secrets.bearerTokens,
    environment,
    fetch: world.httpFetch,
    readFile,
    logger,
    nowMs: world.nowMs,
    randomBytes: world.randomBytes,
    software,
  };
}
