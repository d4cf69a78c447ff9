/**
 * The headers of a modern request that repeat its body (SEP-2243): how values are written, read and compared. A header
 * that differs from the body would let an intermediary see another call than the server.
 */

import { formatBase64, parseBase64 } from "../../kernel/base64.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Era } from "../../kernel/receipt/vocabulary.ts";
import type { ParamHeader } from "./param-headers.ts";
import { RPC, refusal, type WireRefusal } from "./rpc-error.ts";

/** Request headers by lower-case name; each occurs once. */
export type Headers = Readonly<Record<string, string | undefined>>;

const PREFIX = "=?base64?";
const SUFFIX = "?=";
/** 0x21–0x7E, space and tab, neither of the two at an end. */
const PLAIN = /^(?:[!-~](?:[\t -~]*[!-~])?)?$/u;
const MAX_PARAM_HEADERS = 64;

/** The header form of a value: as it is if HTTP can carry it, else base64 of its UTF-8 between markers. */
export function encodeHeader(value: string): string {
  const looksEncoded = value.startsWith(PREFIX) && value.endsWith(SUFFIX);
  return PLAIN.test(value) && !looksEncoded ? value : `${PREFIX}${formatBase64(formatUtf8(value))}${SUFFIX}`;
}

/** The value of a header; undefined if it claims to be base64 and is not. */
export function decodeHeader(header: string): string | undefined {
  if (!header.startsWith(PREFIX) || !header.endsWith(SUFFIX)) return header;
  try {
    return parseUtf8(parseBase64(header.slice(PREFIX.length, -SUFFIX.length)));
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

/** The member of params that `Mcp-Name` mirrors, by method. */
const NAMED: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};

/** What `Mcp-Name` must hold for this request; undefined if the method has none. */
export function mirroredName(method: string, params: JsonObject): string | undefined {
  const member = NAMED[method];
  const value = member === undefined ? undefined : params[member];
  return typeof value === "string" ? value : undefined;
}

/** Checks `Mcp-Method` and `Mcp-Name` of a modern request against its body: missing ones first, in that order. */
export function checkMirrored(headers: Headers, method: string, params: JsonObject): WireRefusal | undefined {
  const name = mirroredName(method, params);
  const methodHeader = headers["mcp-method"];
  const nameHeader = headers["mcp-name"];
  if (methodHeader === undefined) return refuse("http.header-missing", "the header Mcp-Method is missing");
  if (name !== undefined && nameHeader === undefined) {
    return refuse("http.header-missing", "the header Mcp-Name is missing");
  }
  return checkPresent(headers, method, params);
}

/** Checks those of the two that are there. Legacy messages need none, and whoever goes by one on the way is not told another call. */
export function checkPresent(headers: Headers, method: string, params: JsonObject): WireRefusal | undefined {
  const { "mcp-method": methodHeader = method, "mcp-name": nameHeader } = headers;
  const name = mirroredName(method, params);
  if (methodHeader !== method) return refuse("http.header-mismatch", "Mcp-Method is not the method of the body");
  if (name === undefined || nameHeader === undefined) return undefined;
  const decoded = decodeHeader(nameHeader);
  if (decoded === undefined) return refuse("http.header", "Mcp-Name is not base64 of UTF-8");
  return decoded === name ? undefined : refuse("http.header-mismatch", "Mcp-Name is not the name in the body");
}

/** Checks `Mcp-Param-*` against the arguments that the tool's schema mirrors; those of a legacy call where they are there. */
export function checkParamHeaders(
  headers: Headers,
  mirrored: readonly ParamHeader[],
  params: JsonObject,
  era: Era,
): WireRefusal | undefined {
  const sent = Object.keys(headers).filter((name) => name.startsWith("mcp-param-"));
  if (sent.length > MAX_PARAM_HEADERS) return refuse("http.headers-too-large", "more than 64 Mcp-Param headers");
  for (const { header, path } of mirrored) {
    const value = argumentAt(params, path);
    const raw = headers[`mcp-param-${header.toLowerCase()}`];
    if (raw === undefined && (value === undefined || era === "legacy")) continue;
    if (raw === undefined) return refuse("http.header-missing", `the header Mcp-Param-${header} is missing`);
    const decoded = decodeHeader(raw);
    if (decoded === undefined) return refuse("http.header", `Mcp-Param-${header} is not base64 of UTF-8`);
    if (value === undefined || !sameParam(decoded, value)) {
      return refuse("http.header-mismatch", `Mcp-Param-${header} is not the argument in the body`);
    }
  }
  return undefined;
}

/** The `Mcp-Param-*` headers of the upstream leg, from the arguments that are sent. */
export function paramHeadersOf(mirrored: readonly ParamHeader[], params: JsonObject): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const { header, path } of mirrored) {
    const value = argumentAt(params, path);
    if (value !== undefined) headers[`Mcp-Param-${header}`] = encodeHeader(String(value));
  }
  return headers;
}

type Scalar = string | number | boolean;

/** The argument at a path; undefined if it is absent, null, or of a type that is not mirrored. */
function argumentAt(params: JsonObject, path: readonly string[]): Scalar | undefined {
  let value: JsonValue | undefined = params["arguments"];
  for (const key of path) value = isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : undefined;
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/u;

/** Strings exactly, integers by value, booleans by their words. */
function sameParam(header: string, value: Scalar): boolean {
  if (typeof value === "number") return NUMBER.test(header) && Number(header) === value;
  return header === String(value);
}

function refuse(reason: ReasonCode, message: string): WireRefusal {
  return refusal("classify", reason, RPC.headerMismatch, 400, message);
}
