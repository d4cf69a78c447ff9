/**
 * The strict scan of every message, both ways, before anything reads it (docs/gateway.md lists its codes). It accepts
 * only what two different JSON readers cannot understand differently. The kernel's reader refuses syntax, encoding, equal
 * keys, lone surrogates and depth; what MCP adds is here.
 */

import { isCodedError } from "../../kernel/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { foldKey, isFolded } from "./fold.ts";
import { MAX_MESSAGE_TOKENS, type MessageValue, messageValue } from "./message-value.ts";
import { hasReservedAlias } from "./reserved-keys.ts";

/** `ingress`: from an agent; `egress`: from a server. */
export type Scope = "ingress" | "egress";

/** A document that passed: its text (offsets of tokens refer to it) and its value. */
export interface Scanned {
  readonly type: "scanned";
  readonly text: string;
  readonly value: JsonObject;
}

/** Why a document is refused. */
export interface ScanFault {
  readonly type: "fault";
  readonly reason: ReasonCode;
}

const MAX_MEMBERS = 10_000;

const REASONS: Readonly<Record<string, ReasonCode>> = {
  ERR_JSON_SIZE: "json.size",
  ERR_UTF8: "json.utf8",
  ERR_JSON_SYNTAX: "json.syntax",
  ERR_JSON_DEPTH: "json.depth",
  ERR_JSON_TOKENS: "json.members",
  ERR_JSON_SURROGATE: "json.surrogate",
  ERR_JSON_DUPLICATE_KEY: "json.duplicate-key",
};

/** Scans the bytes of one document; the first fault decides. */
export function scanJson(bytes: Uint8Array, scope: Scope, maxBytes: number): Scanned | ScanFault {
  if (bytes.length > maxBytes) return fault("json.size");
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return fault("json.bom");
  let read: MessageValue;
  try {
    read = messageValue(bytes);
  } catch (error) {
    const reason = isCodedError(error) ? REASONS[error.code] : undefined;
    if (reason === undefined) throw error;
    return fault(reason);
  }
  const { text, value } = read;
  const reason = faultOf(read, scope);
  if (reason !== undefined) return fault(reason);
  if (!isJsonObject(value)) return fault("json.shape");
  return { type: "scanned", text, value };
}

function faultOf(message: MessageValue, scope: Scope): ReasonCode | undefined {
  const { value } = message;
  const traits = traitsOf(message);
  if (traits.isTooLarge) return "json.members";
  if (isJsonObject(value) && hasReservedAlias(value)) return "json.reserved-alias";
  if (scope === "egress") return undefined;
  if (isJsonObject(value) && hasArgumentCollision(value)) return "json.case-collision";
  if (traits.hasProtoKey) return "json.proto-key";
  return traits.hasInexactNumber ? "json.number-range" : undefined;
}

function fault(reason: ReasonCode): ScanFault {
  return { type: "fault", reason };
}

/** What a document has that decides about it. */
interface Traits {
  readonly isTooLarge: boolean;
  readonly hasProtoKey: boolean;
  /** Rounded to an integer that is not safe, or beyond a double. */
  readonly hasInexactNumber: boolean;
}

/** What the reader saw of nearly every document is enough: there is no number to judge, and few enough tokens. */
function traitsOf({ value, isExact, spelling }: MessageValue): Traits {
  if (spelling === undefined || !isExact || spelling.tokens > MAX_MESSAGE_TOKENS) return surveyValue(value);
  const { longest, hasProtoKey } = spelling;
  return { isTooLarge: longest > MAX_MEMBERS, hasProtoKey, hasInexactNumber: false };
}

/** What one walk over a value has found so far. */
interface Found {
  tokens: number;
  isTooLarge: boolean;
  hasProtoKey: boolean;
  hasInexactNumber: boolean;
}

function surveyValue(value: JsonValue): Traits {
  const found: Found = { tokens: 0, isTooLarge: false, hasProtoKey: false, hasInexactNumber: false };
  survey(value, found);
  return found;
}

/** Recursion is bounded: the reader refused deeper documents. */
function survey(value: JsonValue, found: Found): void {
  found.tokens += 1;
  if (typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER) found.hasInexactNumber = true;
  if (typeof value !== "object" || value === null) return;
  const isObject = isJsonObject(value);
  const keys = isObject ? Object.keys(value) : [];
  const items = Object.values(value);
  found.tokens += keys.length;
  if (items.length > MAX_MEMBERS || found.tokens > MAX_MESSAGE_TOKENS) {
    found.isTooLarge = true;
    return;
  }
  if (keys.includes("__proto__")) found.hasProtoKey = true;
  for (const item of items) if (item !== undefined && !found.isTooLarge) survey(item, found);
}

/** Two keys of one object with one fold, anywhere inside `arguments` or `inputResponses`. */
function hasArgumentCollision({ params }: JsonObject): boolean {
  if (!isJsonObject(params)) return false;
  return hasCollision(params["arguments"]) || hasCollision(params["inputResponses"]);
}

function hasCollision(value: JsonValue | undefined): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (isJsonObject(value) && hasEqualFolds(Object.keys(value))) return true;
  for (const item of Object.values(value)) if (hasCollision(item)) return true;
  return false;
}

/** Keys that are their own folds differ as they are. */
function hasEqualFolds(keys: readonly string[]): boolean {
  return !keys.every(isFolded) && new Set(keys.map(foldKey)).size < keys.length;
}
