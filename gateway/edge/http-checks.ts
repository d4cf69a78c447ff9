/** What is checked of a request before its body is read, in the order of the specification: host, origin, media types. */

import type { Headers } from "../wire/mirrored-headers.ts";
import { RPC, refusal, type WireRefusal } from "../wire/rpc-error.ts";

/** Names that the edge is reached by. */
export interface Allowed {
  readonly hosts: ReadonlySet<string>;
  readonly origins: ReadonlySet<string>;
}

/** The allow-lists of an edge on this port. A configured host stands for itself and for itself with the port. */
export function allowedNames(port: number, hosts: readonly string[], origins: readonly string[]): Allowed {
  const names = ["localhost", "127.0.0.1", "[::1]"].map((name) => `${name}:${port}`);
  const configured = hosts.map((host) => host.toLowerCase()).flatMap((host) => [host, `${host}:${port}`]);
  return { hosts: new Set([...names, ...configured]), origins: new Set(origins) };
}

/** Host and Origin: what keeps a web page from reaching a gateway on the loopback by DNS rebinding. */
export function checkNames(headers: Headers, allowed: Allowed): WireRefusal | undefined {
  const { host, origin } = headers;
  if (host === undefined || !allowed.hosts.has(host.toLowerCase())) {
    return refuse("http.host", 403, "the Host header is not one that this gateway answers to");
  }
  if (origin !== undefined && !allowed.origins.has(origin)) {
    return refuse("http.origin", 403, "the Origin is not allowed");
  }
  return undefined;
}

const JSON_TYPE = "application/json";
/** As the specification and its SDKs write it: nearly every request, which need not be taken apart. */
const USUAL_ACCEPT = "application/json, text/event-stream";

/** Content-Type, Content-Encoding and Accept of a POST. */
export function checkMedia(headers: Headers): WireRefusal | undefined {
  const { "content-encoding": encoding } = headers;
  // SPEC RFC 9110 §15.5.16: 415 for an encoding that is not taken. Nothing is inflated here; who does so on the way would read another body.
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    return refuse("http.content-type", 415, "want a body without Content-Encoding", { "Accept-Encoding": "identity" });
  }
  const type = headers["content-type"] ?? "";
  if (type !== JSON_TYPE && !/^application\/json\s*(?:;\s*charset=(?:"utf-8"|utf-8)\s*)?$/iu.test(type)) {
    return refuse("http.content-type", 415, "want Content-Type: application/json");
  }
  const accept = headers["accept"];
  if (accept === USUAL_ACCEPT) return undefined;
  if (!admits(accept, JSON_TYPE) || !admits(accept, "text/event-stream")) {
    return refuse("http.accept", 406, "want Accept: application/json, text/event-stream");
  }
  return undefined;
}

/** A refusal of the transport: HTTP status, and an error that programs can read. */
export function refuse(
  reason: WireRefusal["reason"],
  httpStatus: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): WireRefusal {
  return refusal("transport", reason, RPC.invalidRequest, httpStatus, message, { headers });
}

/** No Accept header admits everything (RFC 9110 §12.5.1). */
function admits(accept: string | undefined, type: string): boolean {
  if (accept === undefined) return true;
  const [main] = type.split("/");
  return accept.split(",").some((part) => {
    const [range = "", ...parameters] = part.split(";").map((piece) => piece.trim().toLowerCase());
    const isRefused = parameters.some((parameter) => /^q=0(?:\.0{0,3})?$/u.test(parameter));
    return !isRefused && (range === type || range === `${main}/*` || range === "*/*");
  });
}
