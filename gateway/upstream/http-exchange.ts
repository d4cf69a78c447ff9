/**
 * One POST to a Streamable HTTP server: JSON or an event stream comes back, within bounds of bytes and time. Redirects are
 * not followed; the server's headers go no further.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Effect } from "../../kernel/receipt/vocabulary.ts";
import { type RpcMessage, readMessage } from "../wire/rpc.ts";
import type { CancelSignal } from "./cancellation.ts";
import { SERVER_CREDENTIAL } from "./client-credentials.ts";
import { chunksOf, type HttpAnswer, readWhole } from "./http-answer.ts";
import type { SiteFetch } from "./http-client.ts";
import { type Failure, RequestClock } from "./request-clock.ts";
import { SERVER_IDENTITY } from "./server-tls.ts";
import { SseReader } from "./sse-reader.ts";
import type { UpstreamReply, UpstreamRequest } from "./upstream.ts";
import type { UpstreamLimits } from "./upstream-limits.ts";

/** Where requests go. */
export interface HttpSite {
  readonly url: string;
  readonly fetch: SiteFetch;
  readonly limits: UpstreamLimits;
  /** Aborted when the gateway lets go of the server: whatever is under way then ends. */
  readonly closing: CancelSignal;
  /**
   * A message on a stream that is not the response: a request or a notification of the server.
   *
   * @param related  the request on whose stream it came
   * @returns while it waits, for example for an agent, the request's stream may be silent
   */
  readonly onMessage: (message: ServerMessage, received: Uint8Array, related: number | undefined) => Promise<void>;
  /** Headers for taking up a stream that ended too soon; undefined where no stream can be taken up. */
  readonly resumeHeaders: () => Readonly<Record<string, string>> | undefined;
}

/** What a server sends that is no response. */
export type ServerMessage = Exclude<RpcMessage, { type: "response" }>;

/** A reply with what HTTP said beside it. */
export interface HttpReplied {
  readonly reply: UpstreamReply;
  /** 0 if there was no answer. */
  readonly status: number;
  readonly sessionId: string | undefined;
}

/** Streams of one request: a server that closes each at once is not followed for ever. */
const MAX_STREAMS = 32;
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 10_000;

const JSON_TYPE = /^application\/json\b/iu;
const STREAM_TYPE = /^text\/event-stream\b/iu;

/** Sends a request and reads what comes back. Never rejects. */
export async function postRequest(
  site: HttpSite,
  request: UpstreamRequest,
  headers: Readonly<Record<string, string>>,
): Promise<HttpReplied> {
  const clock = new RequestClock(site.limits, [request.signal, site.closing]);
  let response: HttpAnswer | undefined;
  try {
    response = await site.fetch(site.url, { method: "POST", headers, body: request.bytes, signal: clock });
    clock.onByte();
    return replied(await readReply(site, request, response, clock), response);
  } catch (error) {
    const why = response === undefined ? connectFailure(error) : failure("upstream.closed");
    return replied(clock.failure ?? why, response);
  } finally {
    clock.stop();
  }
}

function replied(reply: UpstreamReply, response: HttpAnswer | undefined): HttpReplied {
  return { reply, status: response?.status ?? 0, sessionId: response?.header("mcp-session-id") };
}

/** Rejects if the answer is cut off. */
function readReply(
  site: HttpSite,
  request: UpstreamRequest,
  response: HttpAnswer,
  clock: RequestClock,
): UpstreamReply | Promise<UpstreamReply> {
  if (response.status >= 300 && response.status < 400) return drop(response, "upstream.redirect");
  if (JSON_TYPE.test(response.header("content-type") ?? "")) return readJson(site, request, response, clock);
  if (isEventStream(response)) return readStreams(site, request, response, clock);
  return drop(response, response.ok ? "upstream.invalid" : "upstream.status");
}

async function readJson(
  { limits }: HttpSite,
  request: UpstreamRequest,
  response: HttpAnswer,
  clock: RequestClock,
): Promise<UpstreamReply> {
  const bytes = await readWhole(response, limits.maxMessageBytes, clock);
  if (bytes === undefined) return failure("json.size");
  clock.end();
  const message = readMessage(bytes, "egress", limits.maxMessageBytes);
  if (message.type === "response" && message.id === request.id) return answered(message, bytes);
  if (!response.ok) return failure("upstream.status", bytes);
  return failure(message.type === "fault" ? message.reason : "upstream.id-unknown", bytes);
}

/** True for an answer that is a stream of events. */
export function isEventStream(response: HttpAnswer): boolean {
  return response.ok && STREAM_TYPE.test(response.header("content-type") ?? "");
}

/** Reads the stream, and those with which a legacy server goes on when it closes one that has ids. */
async function readStreams(
  site: HttpSite,
  request: UpstreamRequest,
  first: HttpAnswer,
  clock: RequestClock,
): Promise<UpstreamReply> {
  const reader = new SseReader(site.limits.maxMessageBytes);
  let response: HttpAnswer | undefined = first;
  for (let streams = 0; response !== undefined && streams < MAX_STREAMS; streams += 1) {
    const reply = await readStream(site, request, response, reader, clock);
    if (reply !== undefined) return reply;
    response = await resume(site, reader, clock);
  }
  return clock.failure ?? failure("upstream.closed");
}

async function readStream(
  site: HttpSite,
  request: UpstreamRequest,
  response: HttpAnswer,
  reader: SseReader,
  clock: RequestClock,
): Promise<UpstreamReply | undefined> {
  reader.restart();
  for await (const chunk of chunksOf(response)) {
    clock.onByte();
    const events = reader.push(chunk);
    if (events === undefined) return failure("json.size");
    for (const event of events) {
      const reply = takeEvent(site, request, formatUtf8(event), clock);
      if (reply !== undefined) return reply;
    }
  }
  return undefined;
}

/** SPEC MCP 2025-11-25: a stream whose events have ids may be closed by the server, and is taken up by a GET. */
async function resume(
  { url, fetch, resumeHeaders }: HttpSite,
  reader: SseReader,
  clock: RequestClock,
): Promise<HttpAnswer | undefined> {
  const headers = resumeHeaders();
  const { lastEventId, retryMs } = reader;
  if (headers === undefined || lastEventId === undefined) return undefined;
  await clock.wait(Math.min(retryMs ?? RETRY_MS, MAX_RETRY_MS));
  if (clock.aborted) return undefined;
  const sent = { ...headers, "Last-Event-ID": lastEventId };
  const response = await fetch(url, { method: "GET", headers: sent, signal: clock });
  clock.onByte();
  if (isEventStream(response)) return response;
  response.cancel();
  return undefined;
}

/** The reply, if this event ends the request. */
function takeEvent(
  site: HttpSite,
  request: UpstreamRequest,
  bytes: Uint8Array,
  clock: RequestClock,
): UpstreamReply | undefined {
  const message = readMessage(bytes, "egress", site.limits.maxMessageBytes);
  if (message.type === "fault") return failure(message.reason, bytes);
  if (message.type === "response") {
    return message.id === request.id ? answered(message, bytes) : failure("upstream.id-unknown", bytes);
  }
  const isProgress = message.type === "notification" && message.method === "notifications/progress";
  if (isProgress) {
    if (message.params["progressToken"] === request.id) request.onProgress?.(message.text);
  } else if (request.onLog !== undefined && message.method === "notifications/message") {
    request.onLog(message.text);
  } else void clock.during(site.onMessage(message, bytes, request.id));
  return undefined;
}

function answered({ text, value }: Extract<RpcMessage, { type: "response" }>, bytes: Uint8Array): UpstreamReply {
  return { type: "answered", bytes, text, body: value };
}

function drop(response: HttpAnswer, reason: ReasonCode): UpstreamReply {
  response.cancel();
  return failure(reason);
}

function failure(reason: ReasonCode, bytes?: Uint8Array, effect: Effect = "unknown"): Failure {
  return { type: "failed", status: "upstream_error", effect, reason, ...(bytes === undefined ? {} : { bytes }) };
}

const NOT_CONNECTED: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Nothing was sent if there was no connection; else nobody knows. */
export function connectFailure(error: unknown): Failure {
  const code = codeOf(error) ?? (error instanceof Error ? codeOf(error.cause) : undefined);
  if (code === SERVER_IDENTITY) return failure("server.identity-changed", undefined, "none");
  if (code === SERVER_CREDENTIAL) return failure("upstream.credential", undefined, "none");
  return NOT_CONNECTED.has(code) ? failure("upstream.connect", undefined, "none") : failure("upstream.closed");
}

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}
