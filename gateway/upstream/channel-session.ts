/**
 * A legacy session on a channel of its own: opened by its first request, and again when the channel is gone, at most so many
 * times a minute. A request that was in flight when it went ends as unknown; it is never repeated.
 */

import { isCodedError, StoreError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { type Channel, NOT_SENT } from "./channel.ts";
import { type Leg, legacyLeg } from "./leg.ts";
import { INITIALIZED, initializeRequest, resultOf } from "./own-request.ts";
import { pause } from "./pause.ts";
import type { LegAgent, UpstreamDeps, UpstreamReply, UpstreamRequest } from "./upstream.ts";
import type { UpstreamLimits } from "./upstream-limits.ts";

/** What a session is made of. */
export interface ChannelSessionOptions {
  /** Of the server. */
  readonly id: string;
  readonly software: UpstreamDeps["software"];
  readonly limits: UpstreamLimits;
  readonly logger: Logger;
  readonly nowMs: () => number;
  readonly nextId: () => number;
  /** @throws {StoreError} ERR_UPSTREAM */
  readonly open: () => Promise<Channel>;
  /** The agent whose session it is; undefined for the gateway's own. */
  readonly agent?: LegAgent | undefined;
  /** Told when it was opened again: something may have been missed. */
  readonly onGap: () => void;
}

interface Running {
  readonly channel: Channel;
  readonly leg: Leg;
}

const MINUTE_MS = 60_000;
const LAST_WAIT = 60;

/** The session. */
export class ChannelSession {
  readonly #options: ChannelSessionOptions;
  readonly #ended = new AbortController();
  readonly #starts: number[] = [];
  #current: Promise<Running> | undefined;
  #leg: Leg | undefined;
  #isKept = false;

  constructor(options: ChannelSessionOptions) {
    this.#options = options;
  }

  /** What the server said at the last handshake; undefined before the first. */
  get leg(): Leg | undefined {
    return this.#leg;
  }

  /** Opens it if it is not open. @throws {StoreError} ERR_UPSTREAM */
  async connect(): Promise<Leg> {
    return (await this.#running()).leg;
  }

  /** Keeps it open from now on, whether or not requests come. */
  listen(): void {
    if (this.#isKept) return;
    this.#isKept = true;
    void this.#keep();
  }

  async request(request: UpstreamRequest): Promise<UpstreamReply> {
    try {
      return await (await this.#running()).channel.exchange(request);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#options.logger.error({ server: this.#options.id, code: error.code }, error.message);
      return NOT_SENT;
    }
  }

  async notify(message: Uint8Array): Promise<void> {
    const running = await this.#current?.catch(() => undefined);
    running?.channel.notify(message);
  }

  async close(): Promise<void> {
    this.#ended.abort();
    const running = await this.#current?.catch(() => undefined);
    await running?.channel.stop();
  }

  async #running(): Promise<Running> {
    const before = this.#current;
    const known = await before?.catch(() => undefined);
    if (known?.channel.isOpen() === true) return known;
    // Requests that find it gone at once share one opening.
    if (this.#current === before) this.#current = this.#open();
    const current = this.#current;
    if (current === undefined) throw new StoreError("ERR_UPSTREAM", `${this.#options.id}: closed`);
    return current;
  }

  async #open(): Promise<Running> {
    const { id, limits, nowMs, open, onGap } = this.#options;
    if (this.#ended.signal.aborted) throw new StoreError("ERR_UPSTREAM", `${id}: closed`);
    const now = nowMs();
    while ((this.#starts[0] ?? now) <= now - MINUTE_MS) this.#starts.shift();
    if (this.#starts.length >= limits.startsPerMinute) {
      throw new StoreError("ERR_UPSTREAM", `${id}: opened ${this.#starts.length} times within a minute`);
    }
    this.#starts.push(now);
    const isFirst = this.#leg === undefined;
    const channel = await open();
    const leg = await this.#shakeHands(channel);
    this.#leg = leg;
    if (!isFirst) onGap();
    return { channel, leg };
  }

  async #shakeHands(channel: Channel): Promise<Leg> {
    const { id, software, limits, nextId, agent } = this.#options;
    const request = initializeRequest(nextId(), software, agent);
    const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(limits.connectMs)]);
    const leg = legacyLeg(resultOf(await channel.exchange({ ...request, signal })) ?? {});
    if (leg === undefined) {
      const words = channel.lastWords();
      await channel.stop();
      throw new StoreError("ERR_UPSTREAM", `${id}: no MCP server answers${words === "" ? "" : `: ${words}`}`);
    }
    channel.notify(INITIALIZED);
    return leg;
  }

  async #keep(): Promise<void> {
    const { signal } = this.#ended;
    const { relistenMs } = this.#options.limits;
    let waitMs = relistenMs;
    while (!signal.aborted) {
      try {
        const { channel } = await this.#running();
        waitMs = relistenMs;
        await channel.gone;
      } catch (error) {
        if (!isCodedError(error)) throw error;
      }
      await pause(waitMs, signal);
      waitMs = Math.min(LAST_WAIT * relistenMs, waitMs * 2);
    }
  }
}
