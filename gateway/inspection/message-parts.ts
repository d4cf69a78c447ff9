/** Which parts of a call and of its answer are looked at (mcp-gateway §15.1), and what receipts may call their places. */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { DeclaredPointer } from "../../kernel/receipt/fields.ts";
import type { ResultNeeds } from "../catalog/data-class.ts";
import { declaredPointer } from "../catalog/declared-pointer.ts";
import type { InboundCall } from "../pipeline/call.ts";
import { type DeclaredNames, declaredNames } from "../wire/declared-names.ts";
import { saidInMeta, saidInParams } from "../wire/said-beside.ts";
import type { MessagePart } from "./message-findings.ts";
import { longLists, longTexts } from "./result-needs.ts";
import { valueAt } from "./strings.ts";
import { NO_PATHS, surplusMembers, surplusPaths, surplusTexts } from "./surplus.ts";

/** What a tool's definition says of one side of a call, read once. */
export interface DeclaredSide {
  readonly names: DeclaredNames | undefined;
  readonly pointer: MessagePart["pointer"];
}

/** Both sides of a tool's calls. */
export interface ToolSides {
  readonly input: DeclaredSide;
  readonly output: DeclaredSide;
}

const ARGUMENTS = ["params", "arguments"] as const;
const STRUCTURED = ["result", "structuredContent"] as const;
const RESULT = ["result"] as const;
const ERROR = ["error"] as const;

/** Reads the schemas of a definition. */
export function toolSides(input: JsonValue | undefined, output: JsonValue | undefined): ToolSides {
  return { input: sideOf(ARGUMENTS, input), output: sideOf(STRUCTURED, output) };
}

function sideOf(at: readonly string[], schema: JsonValue | undefined): DeclaredSide {
  return { names: declaredNames(schema), pointer: (path) => declaredPointer(at, schema, path) };
}

const MAX_STEPS = 16;
/** Members of params that hold what the agent says, `_meta`, and what else stands there. */
const POINTERS = {
  uri: starred(["params", "uri"]),
  argument: starred(["params", "argument"]),
  context: starred(["params", "context"]),
  inputResponses: starred(["params", "inputResponses"]),
  meta: starred(["params", "_meta"]),
  beside: starred(["params"]),
} as const;
const READ: ReadonlySet<string> = new Set(["arguments", "uri", "argument", "context", "inputResponses"]);

/** Names in a result that are MCP's own; every other one is the server's text. */
const OWN_NAMES: ReadonlySet<string> = new Set(
  (
    "content text type title name description uri mimeType resource data blob contents messages role completion values isError " +
    "error code message inputRequests params _meta annotations audience statusMessage instructions links resultType"
  ).split(" "),
);
const ERROR_POINTER = ownNames("error");
const RESULT_POINTER = ownNames("result");

/** The parts of a request. */
export function partsOfCall(call: InboundCall, { input }: ToolSides): readonly MessagePart[] {
  const { params } = call;
  const { arguments: given, uri, argument, context, inputResponses, _meta: meta } = params;
  const parts: MessagePart[] = [];
  if (given !== undefined) {
    const { pointer, names } = input;
    parts.push({ at: ARGUMENTS, value: given, pointer, surplus: surplusPaths(given, names) });
  }
  addSpoken(parts, uri, POINTERS.uri);
  addSpoken(parts, argument, POINTERS.argument);
  addSpoken(parts, context, POINTERS.context);
  addSpoken(parts, inputResponses, POINTERS.inputResponses);
  addSpoken(parts, saidInMeta(meta), POINTERS.meta);
  addSpoken(parts, saidInParams(call, READ), POINTERS.beside);
  return parts;
}

function addSpoken(parts: MessagePart[], value: JsonValue | undefined, pointer: MessagePart["pointer"]): void {
  if (value !== undefined) parts.push({ value, pointer, surplus: NO_PATHS });
}

/** The parts of an answer: the structured content, all the rest of result or error, and what stands beside these. */
export function partsOfAnswer(answer: JsonObject, sides: ToolSides, needs: ResultNeeds = {}): readonly MessagePart[] {
  const parts = partsOfResult(answer, sides, needs);
  const others = Object.keys(answer).filter((key) => !OWN_MEMBERS.has(key));
  if (others.length === 0) return parts;
  const value = Object.fromEntries(others.map((key) => [key, answer[key]]));
  return [...parts, { value, pointer: () => "", surplus: NO_PATHS }];
}

const OWN_MEMBERS: ReadonlySet<string> = new Set(["jsonrpc", "id", "result", "error"]);

function partsOfResult({ result, error }: JsonObject, { output }: ToolSides, needs: ResultNeeds): MessagePart[] {
  if (!isJsonObject(result)) return [{ at: ERROR, value: error, pointer: ERROR_POINTER, surplus: NO_PATHS }];
  const structured = result["structuredContent"];
  const { pointer, names } = output;
  const rest: MessagePart = {
    at: RESULT,
    value: result,
    without: "structuredContent",
    pointer: RESULT_POINTER,
    surplus: surplusMembers(result, names),
    surplusTexts: surplusTexts(result, names),
    long: longTexts(result, needs),
    isMedia: isMediaAt,
  };
  if (structured === undefined) return [rest];
  const surplus = surplusPaths(structured, names);
  return [{ at: STRUCTURED, value: structured, pointer, surplus, long: longLists(structured, needs) }, rest];
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
function isMediaAt(root: JsonValue | undefined, path: readonly string[]): boolean {
  const last = path.at(-1);
  if (last === "blob") return true;
  if (last !== "data") return false;
  const holder = valueAt(root, path.slice(0, -1));
  return isJsonObject(holder) && (holder["type"] === "image" || holder["type"] === "audio");
}
