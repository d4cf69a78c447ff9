/**
 * One POST to a Streamable HTTP server: JSON or an event stream comes back, within bounds of bytes and time. Redirects are
 * not followed; the server's headers go no further.
 */

import { concatAll, formatUtf8 } from "../../kernel/bytes.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Effect } from "../../kernel/receipt/vocabulary.ts";
import { type RpcMessage, readMessage } from "../wire/rpc.ts";
import type { CancelSignal } from "./cancellation.ts";
import { SERVER_CREDENTIAL } from "./client-credentials.ts";
import type { HttpAnswer, SiteFetch } from "./http-client.ts";
import { pause } from "./pause.ts";
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
  readonly closing: AbortSignal;
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

type Failure = Extract<UpstreamReply, { type: "failed" }>;

/** Sends a request and reads what comes back. Never rejects. */
export async function postRequest(
  site: HttpSite,
  request: UpstreamRequest,
  headers: Readonly<Record<string, string>>,
): Promise<HttpReplied> {
  const clock = startClock(site.limits, [request.signal, site.closing]);
  try {
    const { url, fetch } = site;
    const body = request.bytes;
    const response = await fetch(url, { method: "POST", headers, body, signal: clock.signal });
    clock.onByte();
    const sessionId = response.header("mcp-session-id");
    const reply = await readReply(site, request, response, clock);
    return { reply, status: response.status, sessionId };
  } catch (error) {
    return { reply: clock.failure() ?? connectFailure(error), status: 0, sessionId: undefined };
  } finally {
    clock.stop();
  }
}

async function readReply(
  site: HttpSite,
  request: UpstreamRequest,
  response: HttpAnswer,
  clock: Clock,
): Promise<UpstreamReply> {
  if (response.status >= 300 && response.status < 400) return drop(response, "upstream.redirect");
  const type = response.header("content-type") ?? "";
  try {
    if (/^application\/json\b/iu.test(type)) return await readJson(site, request, response, clock);
    if (isEventStream(response)) return await readStreams(site, request, response, clock);
  } catch {
    return clock.failure() ?? failure("upstream.closed");
  }
  return drop(response, response.ok ? "upstream.invalid" : "upstream.status");
}

async function readJson(
  { limits }: HttpSite,
  request: UpstreamRequest,
  response: HttpAnswer,
  clock: Clock,
): Promise<UpstreamReply> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunksOf(response)) {
    clock.onByte();
    length += chunk.length;
    if (length > limits.maxMessageBytes) return failure("json.size");
    chunks.push(chunk);
  }
  clock.onEnd();
  const [only] = chunks;
  const bytes = only !== undefined && chunks.length === 1 ? only : concatAll(chunks);
  const message = readMessage(bytes, "egress", limits.maxMessageBytes);
  if (message.type === "response" && message.id === request.id) return answered(message, bytes);
  if (!response.ok) return failure("upstream.status", bytes);
  return failure(message.type === "fault" ? message.reason : "upstream.id-unknown", bytes);
}

/** True for an answer that is a stream of events. */
export function isEventStream(response: HttpAnswer): boolean {
  return response.ok && /^text\/event-stream\b/iu.test(response.header("content-type") ?? "");
}

/** Reads the stream, and those with which a legacy server goes on when it closes one that has ids. */
async function readStreams(
  site: HttpSite,
  request: UpstreamRequest,
  first: HttpAnswer,
  clock: Clock,
): Promise<UpstreamReply> {
  const reader = new SseReader(site.limits.maxMessageBytes);
  let response: HttpAnswer | undefined = first;
  for (let streams = 0; response !== undefined && streams < MAX_STREAMS; streams += 1) {
    const reply = await readStream(site, request, response, reader, clock);
    if (reply !== undefined) return reply;
    response = await resume(site, reader, clock);
  }
  return clock.failure() ?? failure("upstream.closed");
}

async function readStream(
  site: HttpSite,
  request: UpstreamRequest,
  response: HttpAnswer,
  reader: SseReader,
  clock: Clock,
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
  clock: Clock,
): Promise<HttpAnswer | undefined> {
  const headers = resumeHeaders();
  const { lastEventId, retryMs } = reader;
  if (headers === undefined || lastEventId === undefined) return undefined;
  await clock.wait(Math.min(retryMs ?? RETRY_MS, MAX_RETRY_MS));
  if (clock.signal.aborted) return undefined;
  const sent = { ...headers, "Last-Event-ID": lastEventId };
  const response = await fetch(url, { method: "GET", headers: sent, signal: clock.signal });
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
  clock: Clock,
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

/** The chunks of the body, as the bytes that they are. */
export async function* chunksOf(response: HttpAnswer): AsyncGenerator<Uint8Array, void> {
  for (let chunk = await response.read(); chunk !== undefined; chunk = await response.read()) yield chunk;
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

/** The time limits of one request: to the first byte, of silence, in all; and its cancellation. */
interface Clock {
  readonly signal: AbortSignal;
  readonly onByte: () => void;
  /** The answer has been read to its end. */
  readonly onEnd: () => void;
  /** Silence does not count while somebody else is waited for. */
  readonly during: (waiting: Promise<void>) => Promise<void>;
  readonly wait: (ms: number) => Promise<void>;
  /** Why the request was aborted, if it was. */
  readonly failure: () => Failure | undefined;
  readonly stop: () => void;
}

/** Reason of aborts, made once: the one that is made without a reason has a stack. */
const ENDED = new Error("the request has ended");

function startClock({ firstByteMs, idleMs, totalMs }: UpstreamLimits, ends: readonly CancelSignal[]): Clock {
  const controller = new AbortController();
  let why: Failure | undefined;
  let isStopped = false;
  let isWhole = false;
  const abort = (failed: Failure): void => {
    why ??= failed;
    controller.abort(ENDED);
  };
  const late = (): void => abort({ type: "failed", status: "timeout", effect: "unknown", reason: "upstream.timeout" });
  const cancel = (): void =>
    abort({ type: "failed", status: "cancelled", effect: "unknown", reason: "client.cancelled" });
  let silence = setTimeout(late, firstByteMs);
  let holds = 0;
  const onByte = (): void => {
    clearTimeout(silence);
    if (holds === 0) silence = setTimeout(late, idleMs);
  };
  const total = setTimeout(late, totalMs);
  if (ends.some(({ aborted }) => aborted)) cancel();
  for (const end of ends) end.addEventListener("abort", cancel, { once: true });
  return {
    signal: controller.signal,
    onByte,
    onEnd: () => {
      isWhole = true;
    },
    during: async (waiting) => {
      holds += 1;
      clearTimeout(silence);
      await waiting;
      holds -= 1;
      if (!isStopped) onByte();
    },
    wait: (ms) => pause(ms, controller.signal),
    failure: () => why,
    stop: () => {
      isStopped = true;
      clearTimeout(silence);
      clearTimeout(total);
      for (const end of ends) end.removeEventListener("abort", cancel);
      if (!isWhole) controller.abort(ENDED);
    },
  };
}
