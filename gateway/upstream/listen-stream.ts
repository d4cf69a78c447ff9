/**
 * A subscription at a modern server: `subscriptions/listen` by POST, and again under a new id when the stream breaks, since a
 * broken one is lost. What comes on it counts only if it names the subscription.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { metaOf } from "../wire/era.ts";
import { META } from "../wire/meta-keys.ts";
import { type RpcMessage, type RpcNotification, readMessage } from "../wire/rpc.ts";
import type { ScanFault } from "../wire/scan.ts";
import { chunksOf, type HttpAnswer } from "./http-answer.ts";
import { type HttpSite, isEventStream } from "./http-exchange.ts";
import { ACKNOWLEDGED } from "./notices.ts";
import { pause } from "./pause.ts";
import { SseReader } from "./sse-reader.ts";
import type { UpstreamReply, UpstreamRequest } from "./upstream.ts";

/** A subscription, and who is told of it. */
export interface Listening {
  /** Makes the request for each attempt: an id is used once. */
  readonly request: () => UpstreamRequest;
  readonly headers: () => Readonly<Record<string, string>>;
  /** Told once: of the acknowledgement, or of what came in its place. */
  readonly onStarted: (reply: UpstreamReply) => void;
  readonly onNotice: (notice: RpcNotification) => void;
  /** The stream is there again after a break: something may have been missed. */
  readonly onGap: () => void;
  readonly signal: AbortSignal;
}

const LAST_WAIT = 60;

/** Follows it until the signal is aborted, or until the server says that it has no such thing. Never rejects. */
export async function followListen(site: HttpSite, listening: Listening): Promise<void> {
  const { signal, onGap, onStarted } = listening;
  const { relistenMs } = site.limits;
  let waitMs = relistenMs;
  for (let attempts = 0; !signal.aborted; attempts += 1) {
    const request = listening.request();
    const ended = await listenOnce(site, listening, request, (reply) => {
      if (attempts === 0) onStarted(reply);
      else if (reply.type === "answered") onGap();
      if (reply.type === "answered") waitMs = relistenMs;
    });
    if (ended === "refused") return;
    // Many gateways that lost one server do not come back to it at once.
    await pause(waitMs + (waitMs * (request.id % 16)) / 64, signal);
    waitMs = Math.min(LAST_WAIT * relistenMs, waitMs * 2);
  }
}

async function listenOnce(
  site: HttpSite,
  listening: Listening,
  { id, bytes, headers }: UpstreamRequest,
  onStarted: Listening["onStarted"],
): Promise<"refused" | "ended"> {
  const opening = new AbortController();
  const timer = setTimeout(() => opening.abort(), site.limits.firstByteMs);
  let isStarted = false;
  const started = (reply: UpstreamReply): void => {
    clearTimeout(timer);
    if (!isStarted) onStarted(reply);
    isStarted = true;
  };
  try {
    const signal = AbortSignal.any([listening.signal, opening.signal]);
    const sent = { ...listening.headers(), ...headers };
    const response = await site.fetch(site.url, { method: "POST", headers: sent, body: bytes, signal });
    if (!isEventStream(response)) {
      response.cancel();
      started(failure(response.ok ? "upstream.invalid" : "upstream.status"));
      return response.status >= 500 ? "ended" : "refused";
    }
    const ear: StreamEar = { id, isStarted: false, onStarted: started, onNotice: listening.onNotice };
    const how = await readStream(site, response, ear);
    started(failure("upstream.closed"));
    return how;
  } catch {
    // The connection broke, or was never there: tried again later.
    started(failure("upstream.closed"));
    return "ended";
  } finally {
    clearTimeout(timer);
  }
}

/** What is told of one stream. */
interface StreamEar extends Pick<Listening, "onStarted" | "onNotice"> {
  readonly id: number;
  isStarted: boolean;
}

/** @returns "refused" if the server ended it before it began, or takes nothing of what was asked */
async function readStream({ limits }: HttpSite, response: HttpAnswer, ear: StreamEar): Promise<"refused" | "ended"> {
  const reader = new SseReader(limits.maxMessageBytes);
  for await (const chunk of chunksOf(response)) {
    const events = reader.push(chunk);
    if (events === undefined) return "ended";
    for (const event of events) {
      const bytes = formatUtf8(event);
      const end = takeMessage(ear, readMessage(bytes, "egress", limits.maxMessageBytes), bytes);
      if (end !== undefined) return end;
    }
  }
  return "ended";
}

/** A document that does not scan, and one that names another subscription, is dropped. */
function takeMessage(
  ear: StreamEar,
  message: RpcMessage | ScanFault,
  bytes: Uint8Array,
): "refused" | "ended" | undefined {
  if (message.type === "response" && message.id === ear.id) return ear.isStarted ? "ended" : "refused";
  if (message.type !== "notification" || metaOf(message.params)[META.subscriptionId] !== ear.id) return undefined;
  if (message.method !== ACKNOWLEDGED) ear.onNotice(message);
  else if (isEmptyFilter(message)) return "refused";
  else {
    ear.isStarted = true;
    ear.onStarted({ type: "answered", bytes, text: message.text, body: message.value });
  }
  return undefined;
}

function isEmptyFilter({ params }: RpcNotification): boolean {
  const { notifications } = params;
  return !isJsonObject(notifications) || Object.keys(notifications).length === 0;
}

function failure(reason: ReasonCode): UpstreamReply {
  return { type: "failed", status: "upstream_error", effect: "unknown", reason };
}

/** The first request, then new ones: an id is used once. */
export function requestsOf(first: UpstreamRequest, next: () => UpstreamRequest): () => UpstreamRequest {
  let given = 0;
  return () => {
    given += 1;
    return given === 1 ? first : next();
  };
}
