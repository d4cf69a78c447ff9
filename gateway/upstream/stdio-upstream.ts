/**
 * A server that the gateway starts. It is started when the gateway starts, and again when a call finds it gone: at most
 * so many times a minute, and only if its executable is still the one that was measured. A call that was in flight when
 * it went ends as unknown; it is never repeated.
 */

import { resolve } from "node:path";
import { StoreError } from "../../kernel/errors.ts";
import type { ServerIdentity } from "../pipeline/call.ts";
import type { Channel } from "./channel.ts";
import { childEnvironment } from "./child.ts";
import { findExecutable, measureFile } from "./executable.ts";
import { type Leg, legacyLeg, modernLeg } from "./leg.ts";
import { makeNotices } from "./notices.ts";
import { discoverRequest, INITIALIZED, initializeRequest, listenToLists, ownRequest, resultOf } from "./own-request.ts";
import { SessionChildren } from "./session-children.ts";
import { openChannel } from "./stdio-channel.ts";
import { ChildWatches } from "./stdio-watch.ts";
import { listSurface } from "./surface.ts";
import type { Upstream, UpstreamDeps, UpstreamReply, UpstreamRequest } from "./upstream.ts";
import type { StdioUpstreamConfig } from "./upstream-config.ts";
import { DEFAULT_UPSTREAM_LIMITS, type UpstreamLimits } from "./upstream-limits.ts";

/** A channel whose handshake is done. */
interface Running {
  readonly channel: Channel;
  readonly leg: Leg;
}

/** What stays the same over restarts. */
interface Site {
  readonly config: StdioUpstreamConfig;
  readonly deps: UpstreamDeps;
  readonly limits: UpstreamLimits;
  readonly executable: string;
  readonly digest: string;
  readonly nextId: () => number;
  readonly open: () => Channel;
}

const MINUTE_MS = 60_000;

/**
 * Measures and starts the server, and shakes hands with it.
 *
 * @throws {StoreError} ERR_UPSTREAM
 */
export async function connectStdio(config: StdioUpstreamConfig, deps: UpstreamDeps): Promise<Upstream> {
  const limits = { ...DEFAULT_UPSTREAM_LIMITS, ...deps.limits };
  const env = childEnvironment(deps.environment, config.env);
  const folder = resolve(config.cwd ?? ".");
  const executable = await findExecutable(config.command, env["PATH"] ?? "", folder);
  const digest = await measureFile(executable);
  const notices = makeNotices();
  let lastId = 0;
  const nextId = (): number => {
    lastId += 1;
    return lastId;
  };
  const { id, args } = config;
  const open = (): Channel =>
    openChannel({ id, executable, args, env, cwd: config.cwd, limits, logger: deps.logger, notices });
  const site: Site = { config, deps, limits, executable, digest, nextId, open };
  const keeper = new Keeper(site, await start(site, undefined), () => notices.changed(undefined));
  const children = new SessionChildren({
    id,
    max: config.per_session ?? 0,
    software: deps.software,
    limits,
    logger: deps.logger,
    nowMs: deps.nowMs,
    nextId,
    sharedLeg: () => keeper.leg,
    open: async (agent) => {
      await requireMeasured(site);
      return openChannel({ id, executable, args, env, cwd: config.cwd, limits, logger: deps.logger, notices, agent });
    },
  });
  const watches = new ChildWatches({
    notices,
    nextId,
    software: deps.software,
    acknowledgeMs: limits.firstByteMs,
    era: () => keeper.leg.era,
    request: (request) => keeper.request(request),
  });
  const identity: ServerIdentity = { kind: "stdio", command: executable, args, executable: digest };
  return {
    id,
    identity,
    attributes: config.attributes,
    facts: () => ({ transport: "stdio", auth: "none", era: keeper.leg.era, revision: keeper.leg.revision }),
    nextId,
    watch: notices.watch,
    request: (request) => keeper.request(request),
    watchResource: (request, uri, onUpdated) => watches.watch(request, uri, onUpdated),
    watchTask: (request, _, onStatus) => watches.watchTask(request, onStatus),
    openLeg:
      config.per_session === undefined
        ? undefined
        : (agent) => (keeper.leg.era === "legacy" ? children.openLeg(agent) : undefined),
    listSurface: async () => {
      const { channel, leg } = await keeper.rediscovered();
      const ask = (method: string, params: Parameters<typeof ownRequest>[2]): Promise<UpstreamReply> =>
        channel.exchange(ownRequest(nextId(), method, params, leg.era, deps.software));
      return listSurface(leg, id, ask, limits);
    },
    close: async () => {
      await Promise.all([keeper.close(), children.close()]);
    },
  };
}

/** Keeps one child running while calls come. */
class Keeper {
  leg: Leg;
  readonly #site: Site;
  readonly #onRestart: () => void;
  readonly #starts: number[] = [];
  #current: Promise<Running>;
  #isClosed = false;

  constructor(site: Site, first: Running, onRestart: () => void) {
    this.#site = site;
    this.#onRestart = onRestart;
    this.leg = first.leg;
    this.#current = Promise.resolve(first);
    this.#starts.push(site.deps.nowMs());
  }

  /** The running child; started anew if it is gone. @throws {StoreError} ERR_UPSTREAM */
  async running(): Promise<Running> {
    const current = this.#current;
    const known = await current.catch(() => undefined);
    if (known?.channel.isOpen() === true && !this.#isClosed) return known;
    if (this.#current === current) this.#current = this.#restart();
    return this.#current;
  }

  /** The running child, asked again what it is if it is modern: capabilities and instructions may have changed. */
  async rediscovered(): Promise<Running> {
    const running = await this.running();
    if (running.leg.era === "legacy") return running;
    const { nextId, deps, config } = this.#site;
    const leg = modernLeg(resultOf(await running.channel.exchange(discoverRequest(nextId(), deps.software))) ?? {});
    if (leg === undefined)
      throw new StoreError("ERR_UPSTREAM", `${config.id}: server/discover is not answered any more`);
    this.leg = leg;
    return { channel: running.channel, leg };
  }

  async request(request: UpstreamRequest): Promise<UpstreamReply> {
    try {
      return await (await this.running()).channel.exchange(request);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#site.deps.logger.error({ server: this.#site.config.id, code: error.code }, error.message);
      return { type: "failed", status: "upstream_error", effect: "none", reason: "server.unavailable" };
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const known = await this.#current.catch(() => undefined);
    await known?.channel.stop();
  }

  async #restart(): Promise<Running> {
    const { config, deps, limits } = this.#site;
    if (this.#isClosed) throw new StoreError("ERR_UPSTREAM", `${config.id}: closed`);
    const now = deps.nowMs();
    while ((this.#starts[0] ?? now) <= now - MINUTE_MS) this.#starts.shift();
    if (this.#starts.length >= limits.startsPerMinute) {
      throw new StoreError("ERR_UPSTREAM", `${config.id}: started ${this.#starts.length} times within a minute`);
    }
    this.#starts.push(now);
    await requireMeasured(this.#site);
    const running = await start(this.#site, this.leg);
    this.leg = running.leg;
    this.#onRestart();
    return running;
  }
}

/** Before each start. @throws {StoreError} ERR_UPSTREAM */
async function requireMeasured({ config, executable, digest }: Site): Promise<void> {
  if ((await measureFile(executable)) !== digest) {
    throw new StoreError("ERR_UPSTREAM", `${config.id}: the executable is not the one that was measured`);
  }
}

/** Starts a child and shakes hands: modern first; a server that hangs on the probe is started again for the legacy way. */
async function start(site: Site, known: Leg | undefined): Promise<Running> {
  let channel = site.open();
  if (known?.era !== "legacy") {
    const probe = await within(site.limits.probeMs, discoverRequest(site.nextId(), site.deps.software), channel);
    const leg = modernLeg(resultOf(probe) ?? {});
    if (leg !== undefined) {
      const listen = listenToLists(site.nextId, leg.capabilities, site.deps.software);
      if (listen !== undefined) void channel.exchange(listen);
      return { channel, leg };
    }
    if (probe.type === "failed") {
      await channel.stop();
      channel = site.open();
    }
  }
  const request = initializeRequest(site.nextId(), site.deps.software);
  const leg = legacyLeg(resultOf(await within(site.limits.connectMs, request, channel)) ?? {});
  if (leg === undefined) {
    const words = channel.lastWords();
    await channel.stop();
    throw new StoreError("ERR_UPSTREAM", `${site.config.id}: no MCP server answers${words === "" ? "" : `: ${words}`}`);
  }
  channel.notify(INITIALIZED);
  return { channel, leg };
}

function within(limitMs: number, request: UpstreamRequest, channel: Channel): Promise<UpstreamReply> {
  return channel.exchange({ ...request, signal: AbortSignal.timeout(limitMs) });
}
