/** The head of a request to a server, as it is written. */

import type { SiteRequest } from "./http-client.ts";

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/u;
/** RFC 9110 §5.5: what would end a line, or is not one byte. */
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/u;

/** What the head says of itself. */
const OWN: ReadonlySet<string> = new Set([
  "host",
  "connection",
  "content-length",
  "transfer-encoding",
  "keep-alive",
  "upgrade",
  "expect",
]);

/**
 * Writes it.
 *
 * @param host  the server's name, and its port if it is another than the scheme's
 * @param path  with the query
 * @throws {TypeError} if a header cannot be written, or is the head's own
 */
export function formatRequestHead(host: string, path: string, { method, headers, body }: SiteRequest): string {
  let text = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`;
  for (const name of Object.keys(headers)) {
    const value = headers[name] ?? "";
    if (!isKnown(name) || NO_VALUE.test(value)) throw new TypeError("a header cannot be sent");
    text += `${name}: ${value}\r\n`;
  }
  const length = body?.length ?? 0;
  return length > 0 || method === "POST" ? `${text}content-length: ${length}\r\n\r\n` : `${text}\r\n`;
}

/** Names that may be sent: there are few, and the same ones each time. */
const known = new Set<string>();
const MAX_KNOWN = 1_024;

function isKnown(name: string): boolean {
  if (known.has(name)) return true;
  if (!TOKEN.test(name) || OWN.has(name.toLowerCase())) return false;
  if (known.size < MAX_KNOWN) known.add(name);
  return true;
}
