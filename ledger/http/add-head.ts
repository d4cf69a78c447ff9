/**
 * The heads of requests that a lane takes (add-lanes.ts): a closed grammar, far inside that of HTTP. What does not fit is not
 * refused here: the HTTP server judges it.
 */

import { MAX_ENTRY_BYTES } from "../../kernel/tile/entry-bundle.ts";

/** A plain addition. */
export interface AddHead {
  readonly url: string;
  /** Bytes up to the body, the empty line included. */
  readonly headBytes: number;
  readonly bodyBytes: number;
  readonly headers: { readonly authorization?: string };
}

const MAX_HEAD_BYTES = 2048;
const REQUEST_LINE = /^POST (\/[a-z0-9/-]*) HTTP\/1\.1$/u;
const HEADER_LINE = /^([A-Za-z-]{1,40}): ?([!-~](?:[ -~]*[!-~])?)$/u;
const LENGTH = /^[1-9]\d{0,4}$/u;
const END = "\r\n\r\n";

/** Headers that change nothing of what a plain addition means. Any other is for the HTTP server. */
const WITHOUT_MEANING = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "content-type",
  "sec-fetch-mode",
  "user-agent",
]);

/** The head at the begin of `chunk`; undefined unless it is whole and of this grammar, each header at most once. */
export function parseAddHead(chunk: Uint8Array): AddHead | undefined {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, Math.min(chunk.length, MAX_HEAD_BYTES));
  const end = bytes.indexOf(END, 0, "latin1");
  if (end === -1) return undefined;
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const url = REQUEST_LINE.exec(first)?.[1];
  const headers = readHeaders(lines);
  const length = headers?.get("content-length") ?? "";
  if (url === undefined || headers?.has("host") !== true || !LENGTH.test(length)) return undefined;
  const bodyBytes = Number(length);
  if (bodyBytes > MAX_ENTRY_BYTES) return undefined;
  const authorization = headers.get("authorization");
  return {
    url,
    headBytes: end + END.length,
    bodyBytes,
    headers: authorization === undefined ? {} : { authorization },
  };
}

function readHeaders(lines: readonly string[]): ReadonlyMap<string, string> | undefined {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name = "", value = ""] = HEADER_LINE.exec(line) ?? [];
    const key = name.toLowerCase();
    if (headers.has(key) || !isTaken(key, value)) return undefined;
    headers.set(key, value);
  }
  return headers;
}

function isTaken(name: string, value: string): boolean {
  if (name === "connection") return value.toLowerCase() === "keep-alive";
  return name === "host" || name === "authorization" || name === "content-length" || WITHOUT_MEANING.has(name);
}
