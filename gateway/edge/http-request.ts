/** One HTTP request: the checks in front of its body, its body, and what becomes of faults. */

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { Deadlines } from "../deadlines.ts";
import type { Authenticate, Authenticated } from "../identity/authenticator.ts";
import { mountOfMetadata } from "../identity/resource-metadata.ts";
import type { ResourceServer } from "../identity/resource-server.ts";
import type { Caller } from "../pipeline/call.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { RPC, refusal, scanRefusal, type WireRefusal } from "../wire/rpc-error.ts";
import { formatReceiptRef } from "./agent-request.ts";
import { clientCertificate } from "./client-socket.ts";
import type { EdgeLimits } from "./edge-options.ts";
import { discardBody, readBody } from "./http-body.ts";
import { type Allowed, checkMedia, checkNames, refuse as transportRefusal } from "./http-checks.ts";
import { readHeaders } from "./http-headers.ts";
import { findSession, handlePost, type MessageDeps, type Post } from "./http-message.ts";
import { HttpReply } from "./http-reply.ts";
import { mountAt } from "./mount.ts";
import type { OpenAnswers } from "./open-answers.ts";
import { faultResponse, refuse } from "./refuse.ts";

/** What requests are served with. */
export interface RequestDeps extends MessageDeps {
  readonly limits: EdgeLimits;
  readonly allowed: Allowed;
  readonly authenticate: Authenticate;
  /** Undefined if access tokens are not taken. */
  readonly server: ResourceServer | undefined;
  /** Until bodies must be there. */
  readonly bodyDeadlines: Deadlines;
  readonly answers: OpenAnswers;
  readonly isClosing: () => boolean;
}

/** Serves one request; never rejects. */
export async function serve(edge: RequestDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = new HttpReply(response, edge);
  try {
    const head = admit(edge, request);
    await handle(edge, request, response, reply, head instanceof Promise ? await head : head);
  } catch (error) {
    const bytes = faultResponse(edge.logger, error, undefined);
    if (!reply.isAnswered) reply.send({ httpStatus: 500, bytes });
  }
}

/** @param head  what came of the checks in front of the body */
function handle(
  edge: RequestDeps,
  request: IncomingMessage,
  response: ServerResponse,
  reply: HttpReply,
  head: Head,
): Promise<void> | void {
  const { origin } = request.headers;
  // Some refusals come before the Origin was looked at.
  const isNamed = head.type !== "refusal" || head.httpStatus !== 403;
  if (origin !== undefined && isNamed && edge.allowed.origins.has(origin)) {
    response.setHeader("Access-Control-Allow-Origin", origin);
    response.setHeader("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate, DPoP-Nonce");
    response.setHeader("Vary", "Origin");
  }
  if (head.type === "refusal") return turnAway(edge, request, reply, head);
  if (head.type === "preflight") return reply.sendEmpty(204, PREFLIGHT);
  if (head.type === "metadata") return reply.send({ httpStatus: 200, bytes: head.bytes });
  if (request.method === "GET") return openStream(edge, request, reply, head);
  if (request.method === "DELETE") return endSession(edge, request, reply, head);
  return takePost(edge, request, reply, head);
}

async function takePost(edge: RequestDeps, request: IncomingMessage, reply: HttpReply, head: Admitted): Promise<void> {
  const { caller, headers, path, mount } = head;
  const body = await readBody(request, headers["content-length"], edge.limits.maxBodyBytes, edge.bodyDeadlines);
  if (body.type === "body") {
    await handlePost(edge, { caller, headers, path, mount, body: body.bytes, reply });
    return;
  }
  const cut = transportRefusal("http.body", 408, "the body did not arrive whole and in time");
  return turnAway(edge, request, reply, body.type === "cut" ? cut : scanRefusal("json.size"), caller);
}

/** A request whose head is in order, and whose agent is known. */
interface Admitted extends Pick<Post, "caller" | "headers" | "path" | "mount"> {
  readonly type: "admitted";
}

/** What is answered without a caller. */
type Open = { readonly type: "preflight" } | { readonly type: "metadata"; readonly bytes: Uint8Array };

/** A refusal, and whom a refused credential names. */
type Refused = WireRefusal & { readonly claimed?: Caller };

/** What came of a request's head. */
type Head = Admitted | Open | Refused;

/** The checks in front of the body: names, path, method, media types, credential. */
function admit(edge: RequestDeps, request: IncomingMessage): Head | Promise<Head> {
  const headers = readHeaders(request);
  if (headers === undefined)
    return transportRefusal("http.header", 400, "a header stands twice, or in a form that not all readers take alike");
  const misnamed = checkNames(headers, edge.allowed);
  if (misnamed !== undefined) return misnamed;
  if (request.method === "OPTIONS" && headers["origin"] !== undefined) return { type: "preflight" };
  const path = pathOf(request.url ?? "");
  const metadata = metadataAt(edge, request.method, path);
  if (metadata !== undefined) return metadata;
  const mount = mountAt(edge.catalog, path);
  if (mount === undefined) return transportRefusal("http.path", 404, "no MCP endpoint at this path");
  // SPEC MCP 2025-11-25: 405 to a GET says that no stream is offered; only a legacy session has one.
  const isGet = request.method === "GET" && headers["mcp-session-id"] !== undefined;
  if (request.method !== "POST" && request.method !== "DELETE" && !isGet) return methodRefusal();
  const media = request.method === "POST" ? checkMedia(headers) : undefined;
  return media ?? admitCaller(edge, request, { headers, path, mount });
}

function admitCaller(edge: RequestDeps, request: IncomingMessage, where: Where): Head | Promise<Head> {
  const authenticated = edge.authenticate(shownBy(request, where));
  if (!(authenticated instanceof Promise)) return admitted(edge, where, authenticated);
  return authenticated.then((late) => admitted(edge, where, late));
}

type Where = Pick<Admitted, "headers" | "path" | "mount">;

function admitted(edge: RequestDeps, { headers, path, mount }: Where, authenticated: Authenticated): Head {
  if (authenticated.type === "refused") return unauthorized(authenticated);
  if (edge.isClosing()) return transportRefusal("server.unavailable", 503, "the gateway is stopping");
  return { type: "admitted", caller: authenticated.caller, headers, path, mount };
}

/** Without the query. */
function pathOf(url: string): string {
  const end = url.indexOf("?");
  return end === -1 ? url : url.slice(0, end);
}

/** The document about a mount (RFC 9728): for everybody, so that a client learns whom to ask for a token. */
function metadataAt(edge: RequestDeps, method: string | undefined, path: string): Open | undefined {
  const mounted = method === "GET" && edge.server !== undefined ? mountOfMetadata(path) : undefined;
  if (mounted === undefined || mountAt(edge.catalog, mounted) === undefined) return undefined;
  return { type: "metadata", bytes: formatUtf8(JSON.stringify(edge.server?.metadata(mounted))) };
}

function shownBy(request: IncomingMessage, { headers, path }: Where): Parameters<Authenticate>[0] {
  return {
    authorization: headers["authorization"],
    dpop: headers["dpop"],
    httpMethod: request.method ?? "",
    path,
    certificate: clientCertificate(request.socket),
  };
}

function methodRefusal(): WireRefusal {
  const text = "want POST; a legacy session has a GET stream, and ends with DELETE";
  return transportRefusal("http.method", 405, text, { Allow: "POST, GET, DELETE" });
}

function unauthorized({ reason, httpStatus, headers, claimed }: Extract<Authenticated, { type: "refused" }>): Refused {
  const text = httpStatus === 403 ? "the credential lacks a scope" : "want a credential that this gateway takes";
  const refused = refusal("authenticate", reason, RPC.invalidRequest, httpStatus, text, { headers });
  return claimed === undefined ? refused : { ...refused, claimed };
}

/** Refuses before the body is used. What is left of the body is thrown away first, so that the agent gets to the answer. */
async function turnAway(
  edge: RequestDeps,
  request: IncomingMessage,
  reply: HttpReply,
  refused: Refused,
  caller?: Caller,
): Promise<void> {
  const named = refused.claimed === undefined ? {} : { claimed: refused.claimed };
  const facts = { wire: { transport: "http" }, ...(caller === undefined ? {} : { caller }), ...named } as const;
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

/** The GET stream of a legacy session: what belongs to no request, or what an agent missed of a stream that broke. */
async function openStream(
  edge: RequestDeps,
  request: IncomingMessage,
  reply: HttpReply,
  where: Parameters<typeof findSession>[1],
): Promise<void> {
  const found = findSession(edge.sessions, where);
  if (found.type === "refusal") return turnAway(edge, request, reply, found, where.caller);
  const { streams, legs, mount } = found.session;
  const last = where.headers["last-event-id"];
  const at = last === undefined ? { stream: streams.standing, seq: undefined } : streams.find(last);
  if (at === undefined) {
    const unknown = transportRefusal("http.header", 400, "Last-Event-ID is none of this session");
    return turnAway(edge, request, reply, unknown, where.caller);
  }
  reply.follow(at.stream, at.seq, endsInMs(edge, where.caller));
  if (at.stream === streams.standing) legs.listen(upstreamsOf(edge, mount));
}

/** A stream is the credential's with which it was opened; an agent with a newer one opens it again. */
function endsInMs({ nowMs }: RequestDeps, { facts }: Caller): number | undefined {
  return facts?.expiresAtMs === undefined ? undefined : facts.expiresAtMs - nowMs();
}

function upstreamsOf({ catalog, upstreams }: RequestDeps, path: string): readonly Upstream[] {
  return (mountAt(catalog, path)?.serverIds ?? []).flatMap((id) => upstreams.get(id) ?? []);
}

const PREFLIGHT = {
  "Access-Control-Allow-Methods": "POST, GET, DELETE",
  "Access-Control-Allow-Headers":
    "Authorization, DPoP, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, " +
    "Last-Event-ID",
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
  refuseOnSocket(edge, refused, socket);
}

/** Refuses to be a proxy. */
export function answerConnect(edge: RequestDeps, socket: Duplex): void {
  socket.on("error", () => socket.destroy());
  refuseOnSocket(edge, methodRefusal(), socket);
}

/** Answers where there is no response to write one with. */
function refuseOnSocket(edge: RequestDeps, refused: WireRefusal, socket: Duplex): void {
  void refuse(edge, refused, { wire: { transport: "http" } }, undefined).then((answer) => {
    const { httpStatus, bytes, headers, receipt } = answer;
    const named = receipt === undefined ? {} : { "Countersign-Receipt": formatReceiptRef(receipt) };
    const own = { "Content-Type": "application/json", "Content-Length": bytes.length, Connection: "close" };
    const lines = Object.entries({ ...headers, ...named, ...own }).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `HTTP/1.1 ${httpStatus} ${STATUS_CODES[httpStatus]}\r\n${lines.join("")}\r\n`;
    socket.end(Buffer.concat([Buffer.from(head), bytes]));
  });
}

/** Refuses what a request expects: anything but to be told to go on. */
export async function answerExpectation(
  edge: RequestDeps,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const refused = transportRefusal("http.header", 417, "the only expectation that is met is 100-continue");
  await turnAway(edge, request, new HttpReply(response, edge), refused);
}
