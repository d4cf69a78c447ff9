/** Raw HTTP toward an edge: headers and bodies that no honest client sends. */

import { connect, type Socket } from "node:net";
import { ALICE } from "./mcp-gateway.ts";

/** An answer, as read from the socket. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The body as JSON; undefined if it is not. */
  readonly json: { readonly error?: { readonly code: number; readonly data: { readonly reason: string } } } | undefined;
}

/** Headers of a well-made POST; the test replaces or removes (undefined) what it is about. */
export function goodHeaders(url: string): Record<string, string | undefined> {
  return {
    Host: new URL(url).host,
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    Authorization: `Bearer ${ALICE}`,
  };
}

/** Sends one request on a socket of its own and reads the answer until the server closes or the body is whole. */
export async function sendRaw(
  url: string,
  options: {
    readonly method?: string;
    readonly path?: string;
    readonly headers?: Record<string, string | undefined>;
    readonly body?: string | Uint8Array;
    /** Headers as lines of their own, behind the others. */
    readonly lines?: readonly string[];
  } = {},
): Promise<RawAnswer> {
  const { method = "POST", path = "/mcp", body = "", lines = [] } = options;
  const bytes = typeof body === "string" ? Buffer.from(body) : Buffer.from(body);
  const headers = { "Content-Length": String(bytes.length), ...goodHeaders(url), ...options.headers };
  const named = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  const head = [`${method} ${path} HTTP/1.1`, ...named, ...lines, "Connection: close", "", ""].join("\r\n");
  const socket = await open(url);
  socket.write(head);
  socket.write(bytes);
  return readAnswer(socket);
}

/** Opens a socket to the edge. */
export function open(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Reads one answer to the end of the connection. */
export function readAnswer(socket: Socket): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.once("error", reject);
    socket.once("close", () => resolve(parseAnswer(Buffer.concat(chunks).toString("utf8"))));
  });
}

function parseAnswer(text: string): RawAnswer {
  const split = text.indexOf("\r\n\r\n");
  const [first = "", ...lines] = text.slice(0, split).split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  const body = text.slice(split + 4);
  return { status: Number(first.split(" ")[1]), headers, body, json: parseOrNothing(body) };
}

function parseOrNothing(text: string): RawAnswer["json"] {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
