/** A server over Streamable HTTP: modern if `server/discover` says so, else a legacy session; some serve both. */

import { FormatError } from "../../kernel/errors.ts";
import type { UpstreamFacts } from "../pipeline/call.ts";
import { LEGACY_REVISIONS } from "../wire/revisions.ts";
import { rawAt } from "../wire/spans.ts";
import { ClientCredentials, withCredentials } from "./client-credentials.ts";
import type { SiteFetch } from "./http-client.ts";
import { Link, type LinkOptions } from "./http-link.ts";
import { makeNotices } from "./notices.ts";
import { ownRequest, refusedRequest, resultOf } from "./own-request.ts";
import { ServerTls } from "./server-tls.ts";
import { listSurface } from "./surface.ts";
import type { LegAgent, Upstream, UpstreamDeps, UpstreamLeg, UpstreamReply, UpstreamRequest } from "./upstream.ts";
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
  const tls = config.url.startsWith("https:") ? new ServerTls(config.tls ?? {}, deps.readFile) : undefined;
  const options: LinkOptions = {
    config,
    deps,
    fetch: fetchOf(config, deps, tls?.fetch ?? deps.fetch),
    limits,
    notices,
    nextId,
  };
  const link = new Link(options);
  try {
    await link.connect();
  } catch (error) {
    tls?.close();
    throw error;
  }
  const { id } = config;
  const facts = (): UpstreamFacts => factsOf(link, deps, config);
  return {
    id,
    identity: { kind: "http", url: config.url },
    attributes: config.attributes,
    facts,
    ...(tls === undefined ? {} : { tls }),
    nextId,
    watch: notices.watch,
    request: (request) => link.request(request),
    watchResource: (request, uri, onUpdated) => {
      if (link.leg.era === "modern") return link.watchResource(request, uri, onUpdated);
      return watchBySession(options, request, uri, onUpdated);
    },
    openLeg: link.servesLegacy ? (agent) => makeLeg({ ...options, agent }, link) : undefined,
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
    close: async () => {
      await link.close();
      tls?.close();
    },
  };
}

/**
 * A legacy server knows whom to tell by the session: each subscription of an agent that has none there gets one, which ends
 * with it.
 */
async function watchBySession(
  options: LinkOptions,
  request: UpstreamRequest,
  uri: string,
  onUpdated: () => void,
): Promise<UpstreamReply> {
  const agent: LegAgent = {
    revision: LEGACY_REVISIONS[0],
    capabilities: "{}",
    onRequest: (message) => Promise.resolve(refusedRequest(rawAt(message.text, ["id"]) ?? "null")),
    onNotification: ({ method, params }) => {
      if (method === "notifications/resources/updated" && params["uri"] === uri) onUpdated();
    },
    onGap: onUpdated,
  };
  const link = new Link({ ...options, agent });
  const close = (): void => void link.close();
  request.signal.addEventListener("abort", close, { once: true });
  const reply = await link.request(request);
  if (resultOf(reply) === undefined || request.signal.aborted) close();
  else link.listen();
  return reply;
}

/** With the gateway's own tokens, if the server wants some. What agents show never gets here. */
function fetchOf(config: HttpUpstreamConfig, deps: UpstreamDeps, askServer: SiteFetch): SiteFetch {
  const { oauth, id, url } = config;
  if (oauth === undefined) return askServer;
  const { readFile, logger, nowMs } = deps;
  if (readFile === undefined)
    throw new FormatError("ERR_CONFIG", "config.servers: a file of oauth cannot be read here");
  const issuer = oauth.ca_file === undefined ? undefined : new ServerTls({ ca_file: oauth.ca_file }, readFile);
  const askIssuer = issuer?.fetch ?? deps.fetch;
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
