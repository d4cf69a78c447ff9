/** What a server says during a call, as inspection reads it: a progress report or a log message. */

import { isCodedError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { MessagePart } from "./message-findings.ts";

/** Members of the message in which the server says nothing, or that are read one by one. */
const OWN_MEMBERS: ReadonlySet<string> = new Set(["jsonrpc", "method", "params"]);
const LEVEL = /^[a-z]{1,9}$/u;

/** The part of a notification that is the server's words; undefined if it cannot be read. */
export function partOfNotification(bytes: Uint8Array): MessagePart | undefined {
  try {
    const message = parseJson(bytes, { numbers: "rounded", maxBytes: Number.MAX_SAFE_INTEGER });
    if (!isJsonObject(message)) return { value: undefined, pointer: () => "/params", surplus: [] };
    const { params, method } = message;
    const beside = Object.entries(message).filter(([name]) => !OWN_MEMBERS.has(name));
    const own = isJsonObject(params)
      ? Object.entries(params).filter(([name, value]) => !isFact(method, name, value))
      : [];
    return { value: Object.fromEntries([...own, ...beside]), pointer: () => "/params/*", surplus: [] };
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

/** True for a member of params that names the call, or how far it is, and nothing else. */
function isFact(method: JsonValue | undefined, name: string, value: JsonValue | undefined): boolean {
  if (name === "progressToken") return method === "notifications/progress";
  if (name === "progress" || name === "total") return typeof value === "number";
  return name === "level" && typeof value === "string" && LEVEL.test(value);
}
