/** The kinds of agents: modern and legacy, slow, hasty, denied, unknown ones. Each makes some calls and is gone. */

import type { Random } from "../crash/random.ts";
import type { CallBook, Subject } from "./call-book.ts";
import { type Exchange, exchange } from "./exchange.ts";
import type { ServerId, ToolName } from "./tools.ts";

/** What an agent has. */
export interface AgentDeps {
  readonly url: string;
  readonly tokens: readonly string[];
  readonly book: CallBook;
  readonly random: Random;
  /** Calls that it makes. */
  readonly calls: number;
}

export type AgentKind = "quick" | "legacy" | "streaming" | "slow" | "hasty" | "denied" | "stuck" | "stranger" | "late";

/** How many of each hundred; `late` ones come as a crowd. */
const SHARES: readonly (readonly [Exclude<AgentKind, "late">, number])[] = [
  ["quick", 34],
  ["legacy", 18],
  ["streaming", 10],
  ["slow", 8],
  ["hasty", 10],
  ["denied", 8],
  ["stuck", 8],
  ["stranger", 4],
];

/** Draws a kind. */
export function drawKind(random: Random): AgentKind {
  let left = random.below(SHARES.reduce((sum, [, share]) => sum + share, 0));
  for (const [kind, share] of SHARES) {
    left -= share;
    if (left < 0) return kind;
  }
  return "quick";
}

/** Lives the life of one agent. */
export async function runAgent(kind: AgentKind, deps: AgentDeps): Promise<void> {
  const token = deps.tokens[deps.random.below(deps.tokens.length)] ?? "";
  if (kind === "legacy") return legacyAgent(deps, token);
  if (kind === "stranger") return strangeAgent(deps);
  for (let call = 0; call < deps.calls; call += 1) await modernCall(deps, token, kind);
  if (kind === "denied") await refusedRequest(deps, token);
}

async function modernCall({ url, book, random }: AgentDeps, token: string, kind: AgentKind): Promise<void> {
  const [server, tool] = TARGETS[kind];
  const message = modernMessage("tools/call", { name: tool, arguments: ARGUMENTS }, kind === "streaming");
  const sent: Exchange = {
    url: `${url}/s/${server}/mcp`,
    headers: { ...modernHeaders(token, "tools/call"), "mcp-name": tool },
    body: message,
    ...(kind === "hasty" ? { cutMs: random.below(MAX_CUT_MS) } : {}),
    ...(kind === "slow" ? { pauseMs: PAUSE_MS } : {}),
  };
  await book.keep(`${server}/${tool}`, fateOf(sent));
}

const MAX_CUT_MS = 200;
const PAUSE_MS = 40;
const ARGUMENTS = { message: "Please order 12 chairs for the meeting room." };
const TARGETS: Readonly<Record<AgentKind, readonly [ServerId, ToolName]>> = {
  quick: ["work", "echo"],
  legacy: ["work", "echo"],
  streaming: ["work", "steps"],
  slow: ["work", "large"],
  hasty: ["work", "cut"],
  denied: ["work", "forbidden"],
  stuck: ["stuck", "echo"],
  stranger: ["work", "echo"],
  late: ["work", "late"],
};

/** A session from its handshake to its end. */
async function legacyAgent({ url, book, calls }: AgentDeps, token: string): Promise<void> {
  const at = `${url}/s/work/mcp`;
  const headers = { ...baseHeaders(token), "mcp-protocol-version": "2025-11-25" };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "soak", version: "1" } };
  const opening = exchange({ url: at, headers: baseHeaders(token), body: rpc("initialize", params) });
  await book.keep("protocol", fateWithin(opening));
  const { sessionId } = await opening;
  // Too many sessions, which the answer says.
  if (sessionId === undefined) return;
  const inside = { ...headers, "mcp-session-id": sessionId };
  const send = (subject: Subject, body: string): Promise<unknown> =>
    book.keep(subject, fateOf({ url: at, headers: inside, body }));
  await send("protocol", JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }));
  await send("protocol", rpc("tools/list", {}));
  for (let call = 0; call < calls; call += 1) {
    const tool: ToolName = call % 4 === 3 ? "forbidden" : "echo";
    await send(`work/${tool}`, rpc("tools/call", { name: tool, arguments: ARGUMENTS }));
  }
  await book.keep("protocol", fateOf({ url: at, headers: inside, method: "DELETE" }));
}

/** Nobody that the gateway knows. */
async function strangeAgent({ url, book }: AgentDeps): Promise<void> {
  const body = modernMessage("tools/call", { name: "echo", arguments: ARGUMENTS }, false);
  const headers = { ...modernHeaders("f".repeat(43), "tools/call"), "mcp-name": "echo" };
  await book.keep("refusal auth.invalid", fateOf({ url: `${url}/s/work/mcp`, headers, body }));
}

/** A request that the gateway does not carry. */
async function refusedRequest({ url, book }: AgentDeps, token: string): Promise<void> {
  const body = modernMessage("tasks/get", { taskId: "t-1" }, false);
  const headers = { ...modernHeaders(token, "tasks/get"), "mcp-name": "t-1" };
  await book.keep("refusal mcp.capability-missing", fateOf({ url: `${url}/s/work/mcp`, headers, body }));
}

function fateOf(sent: Exchange): ReturnType<typeof fateWithin> {
  return fateWithin(exchange(sent));
}

async function fateWithin(end: ReturnType<typeof exchange>): Promise<Awaited<typeof end>["fate"]> {
  return (await end).fate;
}

function baseHeaders(token: string): Readonly<Record<string, string>> {
  return {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
}

function modernHeaders(token: string, method: string): Readonly<Record<string, string>> {
  return { ...baseHeaders(token), "mcp-protocol-version": "2026-07-28", "mcp-method": method };
}

function modernMessage(method: string, params: object, wantsProgress: boolean): string {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "soak", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
    ...(wantsProgress ? { progressToken: "p-1" } : {}),
  };
  return rpc(method, { ...params, _meta });
}

function rpc(method: string, params: object): string {
  return JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
}
