/** Requests of a modern agent over HTTP, by the token that gateways of tests take. */

import type { JsonObject } from "../../kernel/json/value.ts";
import { AGENT_TOKEN } from "./gateway-run.ts";

/** What is posted. */
export interface ModernRequest {
  readonly method: string;
  /** Without `_meta`, the least that there has to be. */
  readonly params: JsonObject;
  /** Of the tool, prompt or resource, for the header. */
  readonly name?: string;
  /** Default 1. */
  readonly id?: number | string;
  /** Beside the usual ones, or in place of them. */
  readonly headers?: Readonly<Record<string, string>>;
}

const REVISION = "2026-07-28";
const META: JsonObject = {
  "io.modelcontextprotocol/protocolVersion": REVISION,
  "io.modelcontextprotocol/clientCapabilities": {},
};

/** The body as it is posted. */
export function modernBody({ method, params, id = 1 }: ModernRequest): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta: params["_meta"] ?? META } });
}

/** @param url  of the gateway */
export function postModern(url: string, request: ModernRequest): Promise<Response> {
  const { method, name, headers } = request;
  return fetch(`${url}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${AGENT_TOKEN}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": REVISION,
      "mcp-method": method,
      ...(name === undefined ? {} : { "mcp-name": name }),
      ...headers,
    },
    body: modernBody(request),
  });
}

/** A call of a tool. */
export function toolCall(name: string, args: JsonObject): ModernRequest {
  return { method: "tools/call", name, params: { name, arguments: args } };
}

/** @param url  of the gateway */
export function callTool(url: string, name: string, args: JsonObject): Promise<Response> {
  return postModern(url, toolCall(name, args));
}
