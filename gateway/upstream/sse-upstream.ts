/**
 * A server over HTTP+SSE of revision 2024-11-05. Its sessions are its streams: the gateway has one, for lists and for modern
 * agents, and each legacy agent has its own.
 */

import { StoreError } from "../../kernel/errors.ts";
import type { UpstreamFacts } from "../pipeline/call.ts";
import { ChannelSession } from "./channel-session.ts";
import type { LinkOptions } from "./http-link.ts";
import type { Leg } from "./leg.ts";
import { ownRequest } from "./own-request.ts";
import { watchBySession } from "./session-watch.ts";
import { siteHeaders } from "./site-headers.ts";
import { openSseChannel } from "./sse-channel.ts";
import { listSurface } from "./surface.ts";
import type { LegAgent, Upstream, UpstreamLeg } from "./upstream.ts";

/** What a connection over this transport does for its server. */
export type SseSide = Pick<Upstream, "facts" | "request" | "watchResource" | "openLeg" | "listSurface" | "close">;

/** @throws {StoreError} ERR_UPSTREAM */
export async function connectSse(options: LinkOptions): Promise<SseSide> {
  const { config, deps, limits, nextId, notices } = options;
  const session = makeSession(options, undefined, () => notices.changed(undefined));
  try {
    await session.connect();
  } catch (error) {
    await session.close();
    throw error;
  }
  session.listen();
  const leg = (): Leg => {
    if (session.leg === undefined) throw new StoreError("ERR_UPSTREAM", `${config.id}: not connected`);
    return session.leg;
  };
  const openLeg = (agent: LegAgent): UpstreamLeg => {
    const own = makeSession(options, agent, agent.onGap);
    return {
      facts: () => factsOf(options, own.leg ?? leg()),
      nextId,
      request: (request) => own.request(request),
      notify: (message) => own.notify(message),
      listen: () => own.listen(),
      close: () => own.close(),
    };
  };
  return {
    facts: () => factsOf(options, leg()),
    request: (request) => session.request(request),
    watchResource: (request, uri, onUpdated) => watchBySession(openLeg, request, uri, onUpdated),
    openLeg,
    listSurface: async () =>
      listSurface(
        await session.connect(),
        config.id,
        (method, params) => session.request(ownRequest(nextId(), method, params, "legacy", deps.software)),
        limits,
      ),
    close: () => session.close(),
  };
}

function makeSession(options: LinkOptions, agent: LegAgent | undefined, onGap: () => void): ChannelSession {
  const { config, deps, fetch, limits, notices, nextId } = options;
  const { id, url } = config;
  const { logger, software, nowMs } = deps;
  const headers = (): Record<string, string> => siteHeaders(options);
  const open = (): ReturnType<typeof openSseChannel> =>
    openSseChannel({ id, url, fetch, headers, limits, logger, notices, agent });
  return new ChannelSession({ id, software, limits, logger, nowMs, nextId, open, agent, onGap });
}

function factsOf({ config, deps }: LinkOptions, { era, revision }: Leg): UpstreamFacts {
  const isShared = config.oauth !== undefined || deps.bearerTokens.has(config.id);
  return { transport: "http", era, revision, auth: isShared ? "shared" : "none" };
}
