/** A server over Streamable HTTP: modern if `server/discover` says so, else a legacy session; some serve both. */

import { FormatError } from "../../kernel/errors.ts";
import type { UpstreamFacts } from "../pipeline/call.ts";
import { ClientCredentials, withCredentials } from "./client-credentials.ts";
import type { SiteFetch } from "./http-client.ts";
import { Link, type LinkOptions } from "./http-link.ts";
import { makeNotices } from "./notices.ts";
import { ownRequest } from "./own-request.ts";
import { ServerTls } from "./server-tls.ts";
import { watchBySession } from "./session-watch.ts";
import { connectSse } from "./sse-upstream.ts";
import { listSurface } from "./surface.ts";
import type { LegAgent, Upstream, UpstreamDeps, UpstreamLeg } from "./upstream.ts";
import type { HttpUpstreamConfig } from "./upstream-config.ts";
import { DEFAULT_UPSTREAM_LIMITS } from "./upstream-limits.ts";

/**
 * Finds the server's era and opens a session if it is legacy.
 *
 * @throws {StoreError} ERR_UPSTREAM
 */
export async function connectHttp(config: HttpUpstreamConfig, deps: UpstreamDeps): Promise<Upstream> {
  const limits = { ...DEFAULT_UPSTREAM_LIMITS, ...deps.limits };
  const notices = makeNotices();
  let lastId = 0;
  const nextId = (): number => {
    lastId += 1;
    return lastId;
  };
  const tls = config.url.startsWith("https:") ? new ServerTls(config.tls ?? {}, deps) : undefined;
  const options: LinkOptions = {
    config,
    deps,
    fetch: fetchOf(config, deps, tls?.fetch ?? deps.fetch),
    limits,
    notices,
    nextId,
  };
  try {
    return await connectSite(options, tls);
  } catch (error) {
    tls?.close();
    throw error;
  }
}

/** A server that takes no POST may be one of 2024-11-05, which is asked by GET. */
async function connectSite(options: LinkOptions, tls: ServerTls | undefined): Promise<Upstream> {
  const { notices, nextId } = options;
  const link = new Link(options);
  try {
    await link.connect();
  } catch (error) {
    if (!link.mayBeOlder) throw error;
    const side = await connectSse(options).catch(() => undefined);
    if (side === undefined) throw error;
    return { ...siteOf(options, tls), ...side, nextId, watch: notices.watch, close: closing(side.close, tls) };
  }
  return {
    ...siteOf(options, tls),
    ...sideOf(options, link),
    nextId,
    watch: notices.watch,
    close: closing(() => link.close(), tls),
  };
}

function siteOf(
  { config }: LinkOptions,
  tls: ServerTls | undefined,
): Pick<Upstream, "id" | "identity" | "attributes" | "tls"> {
  const { id, url, attributes } = config;
  return { id, identity: { kind: "http", url }, attributes, ...(tls === undefined ? {} : { tls }) };
}

function closing(close: () => Promise<void>, tls: ServerTls | undefined): () => Promise<void> {
  return async () => {
    await close();
    tls?.close();
  };
}

type Side = Pick<Upstream, "facts" | "request" | "watchResource" | "watchTask" | "openLeg" | "listSurface">;

function sideOf(options: LinkOptions, link: Link): Side {
  const { config, deps, nextId, limits } = options;
  const { id } = config;
  const openLeg = (agent: LegAgent): UpstreamLeg => makeLeg({ ...options, agent }, link);
  const facts = (): UpstreamFacts => factsOf(link, deps, config);
  return {
    facts,
    request: (request) => link.request(request),
    watchResource: (request, uri, onUpdated) => {
      if (link.leg.era === "modern") return link.watchResource(request, uri, onUpdated);
      return watchBySession(openLeg, request, uri, onUpdated);
    },
    watchTask: (request, taskId, onStatus) => link.watchTask(request, taskId, onStatus),
    openLeg: link.servesLegacy ? openLeg : undefined,
    listSurface: async () => {
      await link.rediscover();
      const { leg } = link;
      return listSurface(
        leg,
        id,
        (method, params) => link.request(ownRequest(nextId(), method, params, leg.era, deps.software)),
        limits,
      );
    },
  };
}

/** With the gateway's own tokens, if the server wants some. What agents show never gets here. */
function fetchOf(config: HttpUpstreamConfig, deps: UpstreamDeps, askServer: SiteFetch): SiteFetch {
  const { oauth, id, url } = config;
  if (oauth === undefined) return askServer;
  const { readFile, logger, nowMs } = deps;
  if (readFile === undefined)
    throw new FormatError("ERR_CONFIG", "config.servers: a file of oauth cannot be read here");
  const authorities = oauth.ca_file === undefined ? {} : { ca_file: oauth.ca_file };
  const isTls = (oauth.token_endpoint ?? oauth.issuer).startsWith("https:");
  const askIssuer = isTls ? new ServerTls(authorities, deps).fetch : deps.fetch;
  const proof = { readFile, nowMs, randomBytes: deps.randomBytes };
  return withCredentials(
    askServer,
    new ClientCredentials({ server: id, url, config: oauth, askServer, askIssuer, logger, ...proof }),
  );
}

/** A session for one agent: what the server said of its legacy side at the start stands until the session is open. */
function makeLeg(options: LinkOptions & { readonly agent: LegAgent }, shared: Link): UpstreamLeg {
  const link = new Link(options);
  const { deps, config } = options;
  return {
    facts: () => factsOf(link.isOpen ? link : shared.legacy, deps, config),
    nextId: options.nextId,
    request: (request) => link.request(request),
    notify: (message) => link.notify(message),
    listen: () => link.listen(),
    close: () => link.close(),
  };
}

function factsOf(
  { leg }: Pick<Link, "leg">,
  { bearerTokens }: UpstreamDeps,
  { id, oauth }: HttpUpstreamConfig,
): UpstreamFacts {
  const auth = oauth !== undefined || bearerTokens.has(id) ? "shared" : "none";
  return { transport: "http", era: leg.era, revision: leg.revision, auth };
}
