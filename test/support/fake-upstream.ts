/** A server below the gateway in the test's process: a surface that can change, and a count of what reached it. */

import type { ListedSurface, ServerIdentity } from "../../gateway/pipeline/call.ts";
import type { Upstream, UpstreamListener, UpstreamReply, UpstreamRequest } from "../../gateway/upstream/upstream.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";

/** The fake, and what a test does to it. */
export interface FakeUpstream extends Upstream {
  /** Requests that arrived. */
  readonly requests: readonly UpstreamRequest[];
  readonly setTools: (tools: readonly JsonObject[]) => void;
  /** From now on lists are not answered. */
  readonly breakLists: () => void;
  /** Says that a list changed. */
  readonly notify: () => void;
  /** Asks something of an agent, and is refused by the wire. */
  readonly ask: (method: string, received: Uint8Array) => void;
  readonly isClosed: () => boolean;
}

/** A tool with a string argument `message`. */
export const ECHO: JsonObject = {
  name: "echo",
  description: "Says it again.",
  inputSchema: { type: "object", properties: { message: { type: "string" } }, required: ["message"] },
};

/** A tool that nobody should call. */
export const WIPE: JsonObject = {
  name: "wipe",
  description: "Deletes everything.",
  inputSchema: { type: "object", properties: { path: { type: "string" } } },
};

/** A server `id` with these tools, whose every request is answered with one text. */
export function makeFakeUpstream(
  id: string,
  tools: readonly JsonObject[] = [ECHO, WIPE],
  identity: ServerIdentity = { kind: "http", url: `http://${id}.example/mcp` },
  attributes: Readonly<Record<string, JsonValue>> = {},
): FakeUpstream {
  const requests: UpstreamRequest[] = [];
  let listed = tools;
  let isBroken = false;
  let isClosed = false;
  let nextId = 0;
  const listeners: UpstreamListener[] = [];
  return {
    openLeg: undefined,
    id,
    identity,
    attributes,
    requests,
    facts: () => ({ transport: "http", era: "modern", revision: "2026-07-28", auth: "none" }),
    listSurface: async () => {
      if (isBroken) throw new StoreError("ERR_LEDGER_ANSWER", "the fake does not answer");
      return surfaceOf(id, listed);
    },
    nextId: () => {
      nextId += 1;
      return nextId;
    },
    request: async (request) => {
      requests.push(request);
      return replyTo(request);
    },
    watchResource: async (request) => replyTo(request),
    watch: (listener) => void listeners.push(listener),
    close: async () => {
      isClosed = true;
    },
    setTools: (now) => {
      listed = now;
    },
    breakLists: () => {
      isBroken = true;
    },
    notify: () => {
      for (const listener of listeners) listener.onChanged("tools");
    },
    ask: (method, received) => {
      for (const listener of listeners) listener.onRefusedRequest(method, received);
    },
    isClosed: () => isClosed,
  };
}

function surfaceOf(id: string, tools: readonly JsonObject[]): ListedSurface {
  return {
    serverInfo: { name: id, version: "1" },
    capabilities: { tools: {} },
    tools: tools.map((tool) => JSON.stringify(tool)),
    prompts: [],
    resources: [],
    resourceTemplates: [],
  };
}

function replyTo({ id }: UpstreamRequest): UpstreamReply {
  const body = { jsonrpc: "2.0", id, result: { content: [{ type: "text", text: "done" }] } };
  const text = JSON.stringify(body);
  return { type: "answered", bytes: formatUtf8(text), text, body };
}
