/** Request headers as one value each. What decides about a request must not be there twice: two readers take two of them. */

import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Headers } from "../wire/mirrored-headers.ts";

const SINGLE: ReadonlySet<string> = new Set([
  "host",
  "origin",
  "authorization",
  "dpop",
  "content-type",
  "content-length",
  "traceparent",
]);

/** @returns undefined if a header that must be single stands twice, or as another may read it, or the body is in a coding of its own */
export function readHeaders({
  headers,
  rawHeaders,
}: Pick<IncomingMessage, "headers" | "rawHeaders">): Headers | undefined {
  const coding = headers["transfer-encoding"];
  // Node takes what is chunked at the end, and inflates nothing: who does so on the way would read another body.
  if (coding !== undefined && coding.toLowerCase() !== "chunked") return undefined;
  if (hasFolded(rawHeaders)) return undefined;
  return areDistinct(headers, rawHeaders) ? headers : joined(rawHeaders);
}

/**
 * True if no name stands twice: then what Node has read of them, which it does for every request, is what stands there. It
 * drops some headers that stand twice, joins others, and has a list for one.
 *
 * @param raw  names and values in turn
 */
function areDistinct(headers: IncomingHttpHeaders, raw: readonly string[]): headers is Record<string, string> {
  return headers["set-cookie"] === undefined && 2 * Object.keys(headers).length === raw.length;
}

/** True if a name has `_` for the `-` of a decisive header: some servers and gateways behind which programs run read both as one. */
function hasFolded(raw: readonly string[]): boolean {
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? "";
    if (name.includes("_") && isDecisive(name.toLowerCase().replaceAll("_", "-"))) return true;
  }
  return false;
}

function isDecisive(name: string): boolean {
  return SINGLE.has(name) || name.startsWith("mcp-");
}

function joined(raw: readonly string[]): Headers | undefined {
  const headers: Record<string, string> = {};
  Object.setPrototypeOf(headers, null);
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? "").toLowerCase();
    const value = raw[i + 1] ?? "";
    const before = headers[name];
    if (before !== undefined && isDecisive(name)) return undefined;
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  return headers;
}
