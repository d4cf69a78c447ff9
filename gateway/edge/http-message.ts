/** One POSTed message: scan, era, session, answer. The caller is authenticated. */

import type { Caller, Refusal, WireFacts } from "../pipeline/call.ts";
import { Cancellation } from "../upstream/cancellation.ts";
import { BATCH_REVISION, isBatch, joinAnswers, splitBatch } from "../wire/batch.ts";
import { type EraOf, eraOf } from "../wire/era.ts";
import { notificationRule } from "../wire/methods.ts";
import type { Headers } from "../wire/mirrored-headers.ts";
import { type RpcMessage, type RpcNotification, type RpcRequest, type RpcResponse, readMessage } from "../wire/rpc.ts";
import { RPC, refusal, resultResponse, scanRefusal, type WireRefusal } from "../wire/rpc-error.ts";
import { type AgentAnswer, declaredIn, httpRequest, idTextOf } from "./agent-request.ts";
import { claimConflict } from "./claim-conflict.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { EdgeOptions } from "./edge-options.ts";
import { readInitialize } from "./handshake.ts";
import type { HttpReply } from "./http-reply.ts";
import type { LegacySession, LegacySessions } from "./legacy-sessions.ts";
import { initializeResult } from "./local-answers.ts";
import type { Mount } from "./mount.ts";
import { faultResponse, refuse } from "./refuse.ts";
import { modernSessionKey } from "./session-key.ts";

/** What messages are handled with. */
export interface MessageDeps extends EdgeOptions {
  readonly dispatcher: Dispatcher;
  readonly sessions: LegacySessions;
  readonly maxBodyBytes: number;
}

/** One POST whose checks before the body passed. */
export interface Post {
  readonly caller: Caller;
  readonly headers: Headers;
  readonly path: string;
  readonly mount: Mount;
  readonly body: Uint8Array;
  readonly reply: Pick<
    HttpReply,
    "send" | "sendEmpty" | "notify" | "keepIn" | "untilWritten" | "cancelOnClose" | "isAnswered"
  >;
  /** True for a message of a batch. */
  readonly isMember?: true;
}

/** Answers it. */
export function handlePost(deps: MessageDeps, post: Post): Promise<void> | void {
  if (isBatch(post.body)) return handleBatch(deps, post);
  const message = readMessage(post.body, "ingress", deps.maxBodyBytes);
  if (message.type === "fault") return answerRefusal(deps, post, undefined, scanRefusal(message.reason));
  try {
    const handled = handleMessage(deps, post, message);
    return handled instanceof Promise ? handled.catch((error: unknown) => fail(deps, post, message, error)) : handled;
  } catch (error) {
    return fail(deps, post, message, error);
  }
}

/** Whoever waits for an answer gets one, under its own id, and others of its batch get theirs. */
function fail(deps: MessageDeps, post: Post, message: RpcMessage, error: unknown): void {
  const idText = message.type === "request" ? idTextOf(message) : undefined;
  const bytes = faultResponse(deps.logger, error, idText);
  if (!post.reply.isAnswered && (idText !== undefined || post.isMember !== true)) {
    post.reply.send({ httpStatus: 500, bytes });
  }
}

function handleMessage(deps: MessageDeps, post: Post, message: RpcMessage): Promise<void> | void {
  if (message.type === "response") {
    if (takeResponse(deps, post, message)) return post.reply.sendEmpty(202);
    const text = "no request was sent to this agent";
    return answerRefusal(deps, post, message, refusal("classify", "rpc.shape", RPC.invalidRequest, 400, text));
  }
  const era = eraOf(message, post.headers);
  if (era.type === "refusal") return answerRefusal(deps, post, message, era);
  return era.type === "modern" ? handleModern(deps, post, message, era) : handleLegacy(deps, post, message);
}

/**
 * A batch of revision 2025-03-26: each message is handled as if it had come alone, all at once, and their answers go back
 * together. Every other revision refuses one.
 */
async function handleBatch(deps: MessageDeps, post: Post): Promise<void> {
  const found = findSession(deps.sessions, post);
  const session = found.type === "session" ? found.session : undefined;
  const { "mcp-protocol-version": version = BATCH_REVISION } = post.headers;
  if (session?.revision !== BATCH_REVISION || version !== BATCH_REVISION || post.isMember === true) {
    const text = `a batch is taken in a session of revision ${BATCH_REVISION} and nowhere else`;
    return answerRefusal(deps, post, undefined, { ...scanRefusal("json.shape"), message: text });
  }
  const items = splitBatch(post.body, deps.maxBodyBytes);
  if ("type" in items) return answerRefusal(deps, post, undefined, scanRefusal(items.reason));
  post.reply.keepIn(session.streams, session.revision);
  const answers: (Uint8Array | undefined)[] = items.map(() => undefined);
  await Promise.all(
    items.map(async (body, at) => {
      const send = (answer: AgentAnswer): void => {
        answers[at] = answer.bytes;
      };
      const untilWritten = (done: () => void): void => done();
      const nothing = (): void => undefined;
      const { notify } = post.reply;
      const cancelOnClose = (call: Cancellation): void => post.reply.cancelOnClose(call);
      const reply = {
        send,
        sendEmpty: nothing,
        notify,
        keepIn: nothing,
        untilWritten,
        cancelOnClose,
        get isAnswered() {
          return answers[at] !== undefined;
        },
      };
      await handlePost(deps, { ...post, body, reply, isMember: true });
    }),
  );
  const bytes = joinAnswers(answers.filter((answer) => answer !== undefined));
  if (bytes === undefined) post.reply.sendEmpty(202);
  else post.reply.send({ httpStatus: 200, bytes });
}

/** What an agent says to a question of a server; false if nobody asked. */
function takeResponse({ sessions }: MessageDeps, post: Post, message: RpcResponse): boolean {
  const found = findSession(sessions, post);
  return found.type === "session" && found.session.asks.answer(message, post.body);
}

async function handleModern(
  deps: MessageDeps,
  post: Post,
  message: RpcRequest | RpcNotification,
  { revision }: Extract<EraOf, { type: "modern" }>,
): Promise<void> {
  if (message.type === "notification") return handleNotification(deps, post, message, undefined);
  const session = modernSessionKey(message.params, post.headers["traceparent"], post.caller);
  const signal = new Cancellation();
  // SPEC MCP 2026-07-28: closing the response stream cancels the request.
  post.reply.cancelOnClose(signal);
  const capabilities = declaredIn(message);
  const { untilWritten, notify } = post.reply;
  const leg = {
    era: "modern",
    revision,
    session,
    signal,
    capabilities,
    legs: undefined,
    untilWritten,
    notify,
  } as const;
  const answer = await deps.dispatcher.answer(httpRequest(post, message, leg));
  signal.end();
  post.reply.send(answer);
}

async function handleLegacy(deps: MessageDeps, post: Post, message: RpcRequest | RpcNotification): Promise<void> {
  if (message.type === "request" && message.method === "initialize") return initialize(deps, post, message);
  const session = findSession(deps.sessions, post);
  if (session.type === "refusal") return answerRefusal(deps, post, message, session);
  if (message.type === "notification") return handleNotification(deps, post, message, session.session);
  const { key, revision, calls, capabilities, legs, streams } = session.session;
  post.reply.keepIn(streams, revision);
  // A closed connection does not cancel a legacy request; notifications/cancelled does.
  const { signal, done } = calls.start(message.id);
  try {
    const { untilWritten, notify } = post.reply;
    const leg = { era: "legacy", revision, session: key, signal, capabilities, legs, untilWritten, notify } as const;
    post.reply.send(await deps.dispatcher.answer(httpRequest(post, message, leg)));
  } finally {
    done();
  }
}

async function initialize(deps: MessageDeps, post: Post, message: RpcRequest): Promise<void> {
  if (post.isMember === true) {
    const text = "initialize stands in no batch";
    return answerRefusal(deps, post, message, refusal("classify", "rpc.shape", RPC.invalidRequest, 200, text));
  }
  const agreed = claimConflict(deps, message, post.caller) ?? readInitialize(message);
  if (agreed.type === "refusal") return answerRefusal(deps, post, message, agreed);
  const { revision, capabilities } = agreed;
  const session = deps.sessions.open({ caller: post.caller, mount: post.path, revision, capabilities });
  if (session === "full" || session === "declared-full") {
    return answerRefusal(deps, post, message, session === "full" ? FULL : DECLARED_FULL);
  }
  const bytes = resultResponse(idTextOf(message), initializeResult(deps, post.mount, revision));
  post.reply.send({ httpStatus: 200, bytes, headers: { "Mcp-Session-Id": session.id } });
}

const LATER = { headers: { "Retry-After": "60" } };
const FULL = refusal("limits", "limit.total", RPC.limit, 503, "too many sessions are open", LATER);
const DECLARED_FULL = refusal(
  "limits",
  "limit.sessions",
  RPC.limit,
  503,
  "the capabilities of this caller's sessions are too long together",
  LATER,
);

async function handleNotification(
  deps: MessageDeps,
  post: Post,
  message: RpcNotification,
  session: LegacySession | undefined,
): Promise<void> {
  const rule = notificationRule(message.method, session === undefined ? "modern" : "legacy", "http");
  if (rule === "cancel") {
    const { requestId } = message.params;
    if (typeof requestId === "string" || typeof requestId === "number") session?.calls.cancel(requestId);
  }
  if (rule === "roots-changed") await session?.legs.tellRootsChanged();
  if (rule !== "refuse") return post.reply.sendEmpty(202);
  const text = "the gateway does not carry this notification";
  const refused = refusal("classify", "mcp.notification-refused", RPC.invalidRequest, 400, text);
  if (session === undefined) return answerRefusal(deps, post, message, refused);
  // A legacy client takes an error on a notification for a broken connection.
  await refuse(deps, refused, { ...factsOf(post, message), session: session.key }, undefined);
  post.reply.sendEmpty(202);
}

/** The session that a legacy request names. */
export function findSession(
  sessions: LegacySessions,
  { headers, caller, path }: Pick<Post, "headers" | "caller" | "path">,
): { readonly type: "session"; readonly session: LegacySession } | WireRefusal {
  const id = headers["mcp-session-id"];
  if (id === undefined) {
    const text = "want Mcp-Session-Id, or a modern request with its version in _meta";
    return refusal("session", "session.required", RPC.invalidRequest, 400, text);
  }
  const found = sessions.find(id, caller, path);
  if (found.type === "session") return found;
  const recorded = found.type === "foreign" ? "session.foreign" : "session.unknown";
  return refusal("session", "session.unknown", RPC.invalidRequest, 404, "no such session", { recorded });
}

async function answerRefusal(
  deps: MessageDeps,
  post: Post,
  message: RpcMessage | undefined,
  refused: WireRefusal,
): Promise<void> {
  const idText = message?.type === "request" ? idTextOf(message) : undefined;
  post.reply.send(await refuse(deps, refused, factsOf(post, message), idText));
}

function factsOf({ caller, body }: Post, message: RpcMessage | undefined): Omit<Refusal, "step" | "reason"> {
  const isCall = message?.type === "request" || message?.type === "notification";
  const method = isCall ? { method: message.method } : {};
  const id = message?.type === "request" ? { id: message.id } : {};
  const wire: WireFacts = { transport: "http", ...method, ...id };
  return { wire, caller, received: body };
}
