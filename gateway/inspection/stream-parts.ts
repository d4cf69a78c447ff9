/** What a server says during a call, as inspection reads it: a progress report or a log message. */

import { isCodedError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import type { MessagePart } from "./message-findings.ts";

/** Members of its params that name the call and nothing else. */
const OWN: ReadonlySet<string> = new Set(["progressToken", "progress", "total", "level"]);

/** The part of a notification that is the server's words; undefined if it cannot be read. */
export function partOfNotification(bytes: Uint8Array): MessagePart | undefined {
  try {
    const message = parseJson(bytes, { numbers: "rounded", maxBytes: Number.MAX_SAFE_INTEGER });
    const params = isJsonObject(message) ? message["params"] : undefined;
    if (!isJsonObject(params)) return { value: undefined, pointer: () => "/params", surplus: [] };
    const said = Object.fromEntries(Object.entries(params).filter(([name]) => !OWN.has(name)));
    return { value: said, pointer: () => "/params/*", surplus: [] };
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
