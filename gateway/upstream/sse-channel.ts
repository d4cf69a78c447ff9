/**
 * HTTP+SSE of revision 2024-11-05: an event stream by GET, whose first event names the endpoint that messages are posted to.
 * Answers come on the stream. The endpoint must be of the same origin: a server does not send its client elsewhere.
 */

import { StoreError } from "../../kernel/errors.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { readMessage } from "../wire/rpc.ts";
import { type Channel, NOT_SENT } from "./channel.ts";
import { type ChannelEar, takeMessage } from "./channel-messages.ts";
import { chunksOf, type HttpAnswer } from "./http-answer.ts";
import type { SiteFetch } from "./http-client.ts";
import { connectFailure, isEventStream } from "./http-exchange.ts";
import type { Notices } from "./notices.ts";
import { cancelledNotification } from "./own-request.ts";
import { SseReader } from "./sse-reader.ts";
import type { LegAgent, UpstreamReply, UpstreamRequest } from "./upstream.ts";
import type { UpstreamLimits } from "./upstream-limits.ts";
import { WaitingRequests } from "./waiting-requests.ts";

/** What a channel is made of. */
export interface SseChannelOptions {
  readonly id: string;
  readonly url: string;
  readonly fetch: SiteFetch;
  readonly headers: () => Readonly<Record<string, string>>;
  readonly limits: UpstreamLimits;
  readonly logger: Logger;
  readonly notices: Notices;
  readonly agent?: LegAgent | undefined;
}

const MAX_ENDPOINT = 2_048;
/** Messages that are being posted: a server that asks faster than it takes answers gets no more of them. */
const MAX_POSTS = 256;

/**
 * Opens the stream and waits for its endpoint.
 *
 * @throws {StoreError} ERR_UPSTREAM if there is no such stream, or if its endpoint is of another origin
 */
export async function openSseChannel(options: SseChannelOptions): Promise<Channel> {
  const { id, url, limits, fetch, headers } = options;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), limits.connectMs);
  try {
    const sent = { ...headers(), Accept: "text/event-stream" };
    const response = await fetch(url, { method: "GET", headers: sent, signal: stop.signal });
    if (!isEventStream(response)) {
      response.cancel();
      throw new StoreError("ERR_UPSTREAM", `${id}: no event stream (HTTP ${response.status})`);
    }
    const reader = new SseReader(limits.maxMessageBytes);
    const events = eventsOf(response, reader);
    const first = await events.next();
    const endpoint = first.done === true ? undefined : endpointIn(first.value, url);
    if (endpoint === undefined)
      throw new StoreError("ERR_UPSTREAM", `${id}: the stream names no endpoint of its origin`);
    return startChannel(options, endpoint, events, stop);
  } catch (error) {
    stop.abort();
    if (error instanceof StoreError) throw error;
    throw new StoreError("ERR_UPSTREAM", `${id}: the event stream cannot be opened`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

interface SseEvent {
  readonly name: string;
  readonly data: string;
}

/** @throws if the stream breaks; ends where an event is above the bound */
async function* eventsOf(response: HttpAnswer, reader: SseReader): AsyncGenerator<SseEvent, void> {
  for await (const chunk of chunksOf(response)) {
    const events = reader.pushNamed(chunk);
    if (events === undefined) return;
    yield* events;
  }
}

/** SPEC MCP 2024-11-05: the first event is `endpoint`; its data is the URI, here one of the stream's own origin. */
function endpointIn({ name, data }: SseEvent, url: string): string | undefined {
  if (name !== "endpoint" || data.length > MAX_ENDPOINT || !URL.canParse(data, url)) return undefined;
  const endpoint = new URL(data, url);
  const isSame = endpoint.origin === new URL(url).origin && endpoint.username === "" && endpoint.password === "";
  return isSame ? endpoint.href : undefined;
}

function startChannel(
  options: SseChannelOptions,
  endpoint: string,
  events: AsyncGenerator<SseEvent, void>,
  stop: AbortController,
): Channel {
  const waiting = new WaitingRequests(options.limits);
  let posts = 0;
  const post = async (message: Uint8Array): Promise<PostFailure | undefined> => {
    if (stop.signal.aborted || posts >= MAX_POSTS) return "not-sent";
    posts += 1;
    try {
      return await postMessage(options, endpoint, message, stop.signal);
    } finally {
      posts -= 1;
    }
  };
  const reply = (message: Uint8Array): void => void post(message);
  const ear = { ...options, waiting, reply };
  const gone = readAll(ear, options.limits, events).finally(() => {
    stop.abort();
    waiting.failAll("upstream.closed");
  });
  return {
    isOpen: () => !stop.signal.aborted,
    gone,
    exchange: (request) => exchange(waiting, post, request),
    notify: reply,
    lastWords: () => "",
    stop: async () => {
      stop.abort();
      await gone;
    },
  };
}

/** A document that does not scan is dropped; the request that it may have answered ends by its time limit. */
async function readAll(ear: ChannelEar, limits: UpstreamLimits, events: AsyncGenerator<SseEvent, void>): Promise<void> {
  const { id, logger } = ear;
  try {
    for await (const { data } of events) {
      const bytes = new TextEncoder().encode(data);
      const message = readMessage(bytes, "egress", limits.maxMessageBytes);
      if (message.type === "fault")
        logger.warn({ server: id, fault: message.reason }, "an event that is no message was dropped");
      else takeMessage(ear, message, bytes);
    }
  } catch {
    // The connection broke.
  }
}

type PostFailure = "not-sent" | ReasonCode;

async function exchange(
  waiting: WaitingRequests,
  post: (message: Uint8Array) => Promise<PostFailure | undefined>,
  request: UpstreamRequest,
): Promise<UpstreamReply> {
  const reply = waiting.wait(request, () => void post(cancelledNotification(request.id)));
  const failed = await post(request.bytes);
  if (failed === "not-sent") {
    waiting.fail(request.id, "server.unavailable");
    return NOT_SENT;
  }
  if (failed !== undefined) waiting.fail(request.id, failed);
  return reply;
}

async function postMessage(
  { fetch, headers, limits }: SseChannelOptions,
  endpoint: string,
  body: Uint8Array,
  stopped: AbortSignal,
): Promise<PostFailure | undefined> {
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(limits.firstByteMs)]);
  try {
    const response = await fetch(endpoint, { method: "POST", headers: headers(), body, signal });
    response.cancel();
    if (response.status >= 300 && response.status < 400) return "upstream.redirect";
    return response.ok ? undefined : "upstream.status";
  } catch (error) {
    return connectFailure(error).effect === "none" ? "not-sent" : "upstream.closed";
  }
}
