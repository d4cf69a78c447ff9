/** Servers that do exactly what a test says, right or wrong: over HTTP, and as a child process. */

import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { UpstreamConfig } from "../../gateway/upstream/upstream-config.ts";

/** A message that a scripted server got. */
export interface ScriptedMessage {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly [member: string]: unknown;
}

/** Answers one message. */
export type Script = (message: ScriptedMessage, response: ServerResponse, request: IncomingMessage) => void;

/** A running scripted server. */
export interface ScriptedServer {
  readonly url: string;
  /** Everything it got, in order. */
  readonly messages: readonly ScriptedMessage[];
  /** Connections that are open now. */
  readonly connections: () => Promise<number>;
  /** Shows another certificate on connections from now on. */
  readonly show: (certificate: ServerCertificate) => void;
  readonly close: () => Promise<void>;
}

/** A certificate of a server and its key, PEM. */
export type ServerCertificate = { readonly cert: string; readonly key: string };

/** Starts one, over TLS if it has a certificate; `script` answers what the defaults of a modern server (discovery, one tool `t`) do not. */
export async function startScriptedServer(script: Script, tls?: ServerCertificate): Promise<ScriptedServer> {
  const messages: ScriptedMessage[] = [];
  const onRequest: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.method !== "POST") return void response.writeHead(405).end();
      const message: ScriptedMessage = JSON.parse(Buffer.concat(chunks).toString("utf8"));
      messages.push(message);
      script(message, response, request);
    });
  };
  const secure = tls === undefined ? undefined : createTlsServer(tls, onRequest);
  const server = secure ?? createServer(onRequest);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}/mcp`,
    messages,
    connections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
      }),
    show: (certificate) => secure?.setSecureContext(certificate),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers discovery and lists as a modern server with one tool `t` does; false for other methods. */
export function answerAsModern({ id, method }: ScriptedMessage, response: ServerResponse): boolean {
  const results: Readonly<Record<string, object>> = {
    "server/discover": { supportedVersions: ["2026-07-28"], capabilities: { tools: {} } },
    "tools/list": { tools: [{ name: "t", inputSchema: { type: "object" } }] },
  };
  const result = method === undefined ? undefined : results[method];
  // It has no legacy sessions, and says so to whoever asks for one.
  if (method === "initialize") {
    sendJson(response, { jsonrpc: "2.0", id, error: { code: -32601, message: "no such method" } }, 404);
    return true;
  }
  if (result !== undefined) sendJson(response, { jsonrpc: "2.0", id, result: { resultType: "complete", ...result } });
  return result !== undefined;
}

/** In a value that a server sends: a number that is beyond a double. */
export const BEYOND = "<beyond>";

/** A JSON value as a server writes it. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replaceAll(`"${BEYOND}"`, "1e999");
}

/** Answers with a JSON value. */
export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(jsonText(value));
}

/** Answers with raw text of a type. */
export function sendText(response: ServerResponse, text: string, type = "application/json", status = 200): void {
  response.writeHead(status, { "Content-Type": type }).end(text);
}

/**
 * A child whose `on(message)` is the given source; it may use `send(value)` and `raw(text)`. Discovery is an unknown method
 * to it, `initialize` and a list with the tool `t` are answered for it.
 */
export function scriptedChild(id: string, source: string, prelude = ""): UpstreamConfig {
  const program = `
    const raw = (text) => process.stdout.write(text);
    const send = (value) => raw(JSON.stringify({ jsonrpc: "2.0", ...value }) + "\\n");
    const on = (message) => { ${source} };
    ${prelude}
    const results = {
      initialize: { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "child", version: "1" } },
      "tools/list": { tools: [{ name: "t", inputSchema: { type: "object" } }] },
    };
    require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
      const message = JSON.parse(line);
      const result = results[message.method];
      if (result !== undefined) return send({ id: message.id, result });
      if (message.method === "server/discover") return send({ id: message.id, error: { code: -32601, message: "no" } });
      if (message.method !== "notifications/initialized") on(message);
    });`;
  // Through a shell, which is measured in no time: Node's own executable has a hundred megabytes.
  const args = ["-c", 'exec "$0" "$@"', process.execPath, "-e", program];
  return { transport: "stdio", id, command: "/bin/sh", args, env: {}, attributes: {} };
}
