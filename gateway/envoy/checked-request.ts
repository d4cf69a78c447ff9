/** One HTTP request as Envoy tells of it: read, and refused where it is not whole or comes from nowhere. */

import { X509Certificate } from "node:crypto";
import { refuse } from "../edge/http-checks.ts";
import type { Mount } from "../edge/mount.ts";
import { mountAt } from "../edge/mount.ts";
import type { ClientCertificate } from "../identity/client-certificate.ts";
import type { CatalogReader } from "../pipeline/call.ts";
import type { Headers } from "../wire/mirrored-headers.ts";
import type { WireRefusal } from "../wire/rpc-error.ts";
import type { CheckedHttp, CheckRequest } from "./check-proto.ts";

/** A request that Envoy holds back until it is decided. */
export interface CheckedRequest {
  readonly type: "checked";
  readonly method: string;
  readonly headers: Headers;
  readonly mount: Mount;
  readonly http: CheckedHttp;
  /** Of the client's connection to Envoy, which checked that the client has its key. */
  readonly certificate: ClientCertificate | undefined;
}

/** Key of the route's `context_extensions` that names the server behind it. */
export const SERVER_KEY = "server";
const SERVER_ID = /^[a-z0-9][a-z0-9-]{0,23}$/u;

/** Set by Envoy: whether it sent a part of the body only. */
const PARTIAL = "x-envoy-auth-partial-body";

/** Reads it. What the route's configuration leaves out refuses the request: nothing is guessed. */
export function readChecked(catalog: CatalogReader, { attributes }: CheckRequest): CheckedRequest | WireRefusal {
  const http = attributes?.request?.http ?? undefined;
  if (http === undefined) return refuse("http.header", 400, "the check carries no HTTP request");
  const server = attributes?.context_extensions[SERVER_KEY] ?? "";
  const mount = SERVER_ID.test(server) ? mountAt(catalog, `/s/${server}/mcp`) : undefined;
  if (mount === undefined) return refuse("http.path", 404, "the route names no server of the catalog");
  const certificate = readCertificate(attributes?.source?.certificate ?? "");
  if (certificate === "malformed") return refuse("auth.certificate", 401, "the client's certificate cannot be read");
  return { type: "checked", method: http.method, headers: http.headers, mount, http, certificate };
}

/** The body, or why it is not the one that the server would get. */
export function readBody(
  { headers, size, body, raw_body: raw }: CheckedHttp,
  maxBytes: number,
): Uint8Array | WireRefusal {
  const cut = (text: string): WireRefusal => refuse("http.body", 413, text);
  if (headers[PARTIAL] === "true") return cut("the body was cut off on its way to the decision");
  if (raw.length === 0) {
    const isText = body !== "";
    return cut(isText ? "the body came as text: want pack_as_bytes" : "there is no body: want with_request_body");
  }
  if (raw.length > maxBytes) return cut("the body is above the size limit");
  if (size >= 0 && size !== raw.length) return cut("the body is not as long as the request says");
  const length = headers["content-length"];
  if (length !== undefined && length !== String(raw.length)) return cut("the body is not as long as the request says");
  if (headers["content-encoding"] !== undefined)
    return refuse("http.content-type", 415, "want a body without encoding");
  return new Uint8Array(raw);
}

/** Envoy gives the certificate as PEM with percent encoding. Its path is followed by whoever trusts an authority. */
function readCertificate(encoded: string): ClientCertificate | "malformed" | undefined {
  if (encoded === "") return undefined;
  try {
    return { leaf: new X509Certificate(decodeURIComponent(encoded)), isAuthorized: true };
  } catch {
    return "malformed";
  }
}
