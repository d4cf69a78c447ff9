/** Request headers as one value each. What decides about a request must not be there twice: two readers take two of them. */

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

/**
 * @param raw  names and values in turn, as Node gives them
 * @returns undefined if a header that must be single stands twice
 */
export function readHeaders(raw: readonly string[]): Headers | undefined {
  const headers: Record<string, string> = {};
  Object.setPrototypeOf(headers, null);
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? "").toLowerCase();
    const value = raw[i + 1] ?? "";
    const before = headers[name];
    if (before !== undefined && (SINGLE.has(name) || name.startsWith("mcp-"))) return undefined;
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  return headers;
}
