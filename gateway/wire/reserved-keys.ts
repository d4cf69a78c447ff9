/** The keys that MCP gives a meaning, by the level at which they stand; what only looks like one is refused. */

import { knowKeys } from "../../kernel/json/known-keys.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { foldKey } from "./fold.ts";
import { META } from "./meta-keys.ts";

/** A level: its keys, and their folds. */
interface Level {
  readonly keys: ReadonlySet<string>;
  readonly folds: ReadonlySet<string>;
}

const MESSAGE = level("jsonrpc id method params result error");
const PARAMS = level(
  "_meta name arguments uri cursor ref argument context inputResponses requestState taskId task requestId reason " +
    "progressToken progress total message level logger data notifications protocolVersion capabilities clientInfo",
);
const RESULT = level(
  "_meta resultType content structuredContent isError contents messages tools prompts resources resourceTemplates " +
    "nextCursor inputRequests requestState taskId status result error ttlMs cacheScope completion supportedVersions " +
    "instructions",
);
const META_LEVEL = level([...Object.values(META), "progressToken", "traceparent", "tracestate", "baggage"].join(" "));

/** Below them: content, and who an implementation is. */
knowKeys(
  "type text mimeType resource annotations title description version code elicitation sampling roots".split(" "),
);

/**
 * True if a key of the message, its params, its result or their `_meta` is not reserved but folds to one that is.
 * Below `arguments`, `structuredContent`, schemas and `data` no key is reserved.
 */
export function hasReservedAlias(message: JsonObject): boolean {
  const { params, result } = message;
  return (
    hasAlias(message, MESSAGE) ||
    hasAlias(params, PARAMS) ||
    hasAlias(result, RESULT) ||
    hasAlias(metaOf(params), META_LEVEL) ||
    hasAlias(metaOf(result), META_LEVEL)
  );
}

function level(names: string): Level {
  const keys = names.split(" ");
  knowKeys(keys);
  return { keys: new Set(keys), folds: new Set(keys.map(foldKey)) };
}

function hasAlias(value: JsonValue | undefined, { keys, folds }: Level): boolean {
  if (!isJsonObject(value)) return false;
  for (const key of Object.keys(value)) if (!keys.has(key) && folds.has(foldKey(key))) return true;
  return false;
}

function metaOf(value: JsonValue | undefined): JsonValue | undefined {
  return isJsonObject(value) ? value["_meta"] : undefined;
}
