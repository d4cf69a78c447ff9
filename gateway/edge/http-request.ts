/** One HTTP request: the checks in front of its body, its body, and what becomes of faults. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { isCodedError } from "../../kernel/errors.ts";
import type { Caller, CatalogReader } from "../pipeline/call.ts";
import type { Headers } from "../wire/mirrored-headers.ts";
import { errorResponse, RPC, refusal, scanRefusal, type WireRefusal } from "../wire/rpc-error.ts";
import type { AgentAnswer } from "./agent-request.ts";
import type { makeAuthenticate } from "./bearer.ts";
import type { EdgeLimits } from "./edge-options.ts";
import { discardBody, readBody } from "./http-body.ts";
import { type Allowed, checkMedia, checkNames, refuse as transportRefusal } from "./http-checks.ts";
import { readHeaders } from "./http-headers.ts";
import { findSession, handlePost, type MessageDeps, type Post } from "./http-message.ts";
import { type HttpReply, makeHttpReply } from "./http-reply.ts";
import { aggregatedMount, type Mount, serverMount } from "./mount.ts";
import { refuse } from "./refuse.ts";

/** What requests are served with. */
export interface RequestDeps extends MessageDeps {
  readonly limits: EdgeLimits;
  readonly allowed: Allowed;
  readonly authenticate: ReturnType<typeof makeAuthenticate>;
  readonly isClosing: () => boolean;
}

/** Serves one request; never rejects. */
export async function serve(edge: RequestDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = makeHttpReply(response, edge.limits.keepAliveMs, () => edge.isClosing() || !request.complete);
  try {
    await handle(edge, request, response, reply);
  } catch (error) {
    edge.logger.error({ code: isCodedError(error) ? error.code : "ERR_BUG" }, "a request failed inside the gateway");
    const bytes = errorResponse(undefined, RPC.internal, "the gateway failed", { reason: "receipt.unavailable" });
    if (!response.writableEnded) reply.send({ httpStatus: 500, bytes });
  }
}

async function handle(
  edge: RequestDeps,
  request: IncomingMessage,
  response: ServerResponse,
  reply: HttpReply,
): Promise<void> {
  const admitted = admit(edge, request);
  const origin = request.headers["origin"];
  const isNamed = admitted.type !== "refusal" || admitted.httpStatus !== 403;
  if (origin !== undefined && isNamed) {
    response.setHeader("Access-Control-Allow-Origin", origin);
    response.setHeader("Access-Control-Expose-Headers", "Mcp-Session-Id");
    response.setHeader("Vary", "Origin");
  }
  if (admitted.type === "refusal") return turnAway(edge, request, reply, admitted);
  if (admitted.type === "preflight") return reply.sendEmpty(204, PREFLIGHT);
  if (admitted.type === "no-stream") return reply.send(noStream());
  if (request.method === "DELETE") return endSession(edge, request, reply, admitted);
  const body = await readBody(request, edge.limits.maxBodyBytes, edge.limits.bodyMs);
  if (body.type === "body") return handlePost(edge, { ...admitted, body: body.bytes, response, reply });
  const cut = transportRefusal("http.body", 408, "the body did not arrive whole and in time");
  return turnAway(edge, request, reply, body.type === "cut" ? cut : scanRefusal("json.size"), admitted.caller);
}

/** A request whose head is in order, and whose agent is known. */
interface Admitted extends Pick<Post, "caller" | "headers" | "path" | "mount"> {
  readonly type: "admitted";
}

/** The checks in front of the body: names, path, method, media types, token. */
function admit(
  edge: RequestDeps,
  request: IncomingMessage,
): Admitted | { readonly type: "preflight" } | { readonly type: "no-stream" } | WireRefusal {
  const headers = readHeaders(request.rawHeaders);
  if (headers === undefined) return transportRefusal("http.header", 400, "a header stands twice");
  const misnamed = checkNames(headers, edge.allowed);
  if (misnamed !== undefined) return misnamed;
  if (request.method === "OPTIONS" && headers["origin"] !== undefined) return { type: "preflight" };
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  const mount = mountAt(edge.catalog, path);
  if (mount === undefined) return transportRefusal("http.path", 404, "no MCP endpoint at this path");
  if (request.method === "GET" && asksForStream(edge, headers)) return { type: "no-stream" };
  if (request.method !== "POST" && request.method !== "DELETE") return methodRefusal();
  const media = request.method === "POST" ? checkMedia(headers) : undefined;
  if (media !== undefined) return media;
  const authenticated = edge.authenticate(headers["authorization"]);
  if (authenticated.type === "refused") return unauthorized(authenticated.reason);
  if (edge.isClosing()) return transportRefusal("server.unavailable", 503, "the gateway is stopping");
  return { type: "admitted", caller: authenticated.caller, headers, path, mount };
}

function mountAt(catalog: CatalogReader, path: string): Mount | undefined {
  if (path === "/mcp") return aggregatedMount(catalog);
  const id = /^\/s\/([a-z0-9][a-z0-9-]{0,23})\/mcp$/u.exec(path)?.[1];
  return id !== undefined && catalog.serverIds.includes(id) ? serverMount(id) : undefined;
}

/** An agent that asks whether there is a stream, as legacy clients do behind each handshake. */
function asksForStream(edge: RequestDeps, headers: Headers): boolean {
  return headers["mcp-session-id"] !== undefined && edge.authenticate(headers["authorization"]).type === "caller";
}

/** SPEC MCP 2025-11-25: 405 says that no stream is offered. It answers a question, and refuses nothing: no receipt. */
function noStream(): AgentAnswer {
  const { httpStatus, message, rpcCode, reason, headers = {} } = methodRefusal();
  return { httpStatus, bytes: errorResponse(undefined, rpcCode, message, { reason }), headers };
}

function methodRefusal(): WireRefusal {
  const text = "want POST; a legacy session ends with DELETE; there is no GET stream";
  return transportRefusal("http.method", 405, text, { Allow: "POST, DELETE" });
}

function unauthorized(reason: WireRefusal["reason"]): WireRefusal {
  const headers = { "WWW-Authenticate": 'Bearer realm="countersign"' };
  return refusal("authenticate", reason, RPC.invalidRequest, 401, "want a bearer token of this gateway", { headers });
}

/** Refuses before the body is used. What is left of the body is thrown away first, so that the agent gets to the answer. */
async function turnAway(
  edge: RequestDeps,
  request: IncomingMessage,
  reply: HttpReply,
  refused: WireRefusal,
  caller?: Caller,
): Promise<void> {
  const facts = { wire: { transport: "http" }, ...(caller === undefined ? {} : { caller }) } as const;
  const answer = await refuse(edge, refused, facts, undefined);
  if (refused.httpStatus !== 408) await discardBody(request);
  reply.send(answer);
}

async function endSession(
  edge: RequestDeps,
  request: IncomingMessage,
  reply: HttpReply,
  where: Parameters<typeof findSession>[1],
): Promise<void> {
  const found = findSession(edge.sessions, where);
  if (found.type === "refusal") return turnAway(edge, request, reply, found, where.caller);
  edge.sessions.end(found.session, "ended");
  reply.sendEmpty(204);
}

const PREFLIGHT = {
  "Access-Control-Allow-Methods": "POST, DELETE",
  "Access-Control-Allow-Headers":
    "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id",
  "Access-Control-Max-Age": "600",
} as const;

/** Answers what Node could not read as HTTP: headers above the limit, or no HTTP at all. */
export function answerBroken(edge: RequestDeps, code: string | undefined, socket: Duplex): void {
  const isTooLarge = code === "HPE_HEADER_OVERFLOW";
  const reason = isTooLarge ? "http.headers-too-large" : "http.header";
  if (code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const refused = transportRefusal(reason, isTooLarge ? 431 : 400, "the request is not HTTP that this gateway reads");
  void refuse(edge, refused, { wire: { transport: "http" } }, undefined).then(({ httpStatus, bytes }) => {
    const status = httpStatus === 431 ? "431 Request Header Fields Too Large" : "400 Bad Request";
    const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\nConnection: close\r\n\r\n`;
    socket.end(Buffer.concat([Buffer.from(head), bytes]));
  });
}
