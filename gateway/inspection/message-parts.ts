/** Which parts of a call and of its answer are looked at (mcp-gateway §15.1), and what receipts may call their places. */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { DeclaredPointer } from "../../kernel/receipt/fields.ts";
import type { ResultNeeds } from "../catalog/data-class.ts";
import { declaredPointer } from "../catalog/declared-pointer.ts";
import type { InboundCall } from "../pipeline/call.ts";
import type { MessagePart } from "./message-findings.ts";
import { longLists, longTexts } from "./result-needs.ts";
import { surplusPaths } from "./surplus.ts";

/** The schemas of a tool's definition. */
export interface ToolSchemas {
  readonly input: JsonValue | undefined;
  readonly output: JsonValue | undefined;
}

/** Members of params that hold what the agent says; `_meta` but for what MCP reserves. */
const SPOKEN = ["uri", "argument", "context", "inputResponses"] as const;
const RESERVED = /^(?:io\.modelcontextprotocol\/|progressToken$|traceparent$|tracestate$|baggage$)/u;

/** Names in a result that are MCP's own; every other one is the server's text. */
const OWN_NAMES: ReadonlySet<string> = new Set(
  (
    "content text type title name description uri mimeType resource data blob contents messages role completion values isError " +
    "error code message inputRequests params _meta annotations audience statusMessage instructions links resultType"
  ).split(" "),
);
const MAX_STEPS = 16;

/** The parts of a request. */
export function partsOfCall({ params }: Pick<InboundCall, "params">, { input }: ToolSchemas): readonly MessagePart[] {
  const given: JsonValue | undefined = params["arguments"];
  const meta = isJsonObject(params["_meta"]) ? params["_meta"] : {};
  const own = Object.fromEntries(Object.entries(meta).filter(([key]) => !RESERVED.test(key)));
  return [
    {
      at: ["params", "arguments"],
      value: given,
      pointer: (path) => declaredPointer(["params", "arguments"], input, path),
      surplus: surplusPaths(given, input),
    },
    ...SPOKEN.map((member) => ({ value: params[member], pointer: starred(["params", member]), surplus: [] })),
    { value: own, pointer: starred(["params", "_meta"]), surplus: [] },
  ];
}

/** The parts of an answer: the structured content, and all the rest of result or error. */
export function partsOfAnswer(
  { result, error }: JsonObject,
  { output }: ToolSchemas,
  needs: ResultNeeds = {},
): readonly MessagePart[] {
  if (!isJsonObject(result)) return [{ at: ["error"], value: error, pointer: ownNames("error"), surplus: [] }];
  const { structuredContent, ...rest } = result;
  return [
    {
      at: ["result", "structuredContent"],
      value: structuredContent,
      pointer: (path) => declaredPointer(["result", "structuredContent"], output, path),
      surplus: surplusPaths(structuredContent, output),
      long: longLists(structuredContent, needs),
    },
    {
      at: ["result"],
      value: rest,
      pointer: ownNames("result"),
      surplus: [],
      long: longTexts(rest, needs),
      isMedia: (path) => isMediaAt(rest, path),
    },
  ];
}

function starred(prefix: readonly string[]): (path: readonly string[]) => DeclaredPointer {
  return (path) =>
    [...prefix, ...path.map(() => "*")]
      .slice(0, MAX_STEPS)
      .map((step) => `/${step}`)
      .join("");
}

function ownNames(root: string): (path: readonly string[]) => DeclaredPointer {
  return (path) =>
    [root, ...path.map((step) => (OWN_NAMES.has(step) ? step : "*"))]
      .slice(0, MAX_STEPS)
      .map((step) => `/${step}`)
      .join("");
}

/** `data` of images and audio, and `blob`: base64 of what is not read as text. */
function isMediaAt(root: JsonValue, path: readonly string[]): boolean {
  const last = path.at(-1);
  if (last === "blob") return true;
  if (last !== "data") return false;
  let holder: JsonValue | undefined = root;
  for (const step of path.slice(0, -1)) {
    holder =
      typeof holder === "object" && holder !== null
        ? Object.entries(holder).find(([key]) => key === step)?.[1]
        : undefined;
  }
  return isJsonObject(holder) && (holder["type"] === "image" || holder["type"] === "audio");
}
