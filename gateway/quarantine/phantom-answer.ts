/** What a subject in quarantine is answered: a result that its call could have had, and that no server gave. */

import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { definitionValue } from "../catalog/definition-value.ts";
import type { CatalogDefinition, InboundCall } from "../pipeline/call.ts";
import { sampleOf } from "./schema-sample.ts";

/** Fixed results of tools, by `<server>/<tool>`. */
export type FixedAnswers = Readonly<Record<string, JsonObject>>;

/** The result: the tool's fixed one, else one made from its output schema, else an empty one of the method's form. */
export function phantomResult(
  call: Pick<InboundCall, "serverId" | "target" | "taskTool">,
  definition: CatalogDefinition | undefined,
  fixed: FixedAnswers,
): JsonObject {
  const { serverId, target, taskTool } = call;
  switch (target.kind) {
    case "tool":
    // What the task could end with.
    case "task": {
      const key = `${serverId}/${taskTool ?? target.name}`;
      return (Object.hasOwn(fixed, key) ? fixed[key] : undefined) ?? toolResult(definition);
    }
    case "prompt":
      return { messages: [{ role: "user", content: { type: "text", text: "" } }] };
    case "resource":
      return { contents: [{ uri: target.name, mimeType: "text/plain", text: "" }] };
    case "completion":
      return { completion: { values: [], total: 0, hasMore: false } };
    case "subscribe":
    case "sample":
    case "elicit":
    case "roots":
    case "list":
    case "extension":
    case "other":
      return {};
  }
}

/** SPEC MCP 2025-06-18: a structured result also stands in a text block, for clients that read no other. */
function toolResult(definition: CatalogDefinition | undefined): JsonObject {
  const schema = definition === undefined ? undefined : definitionValue(definition.text)["outputSchema"];
  const value = schema !== undefined && isJsonObject(schema) ? sampleOf(schema) : undefined;
  if (value === undefined || !isJsonObject(value)) return { content: [{ type: "text", text: "" }] };
  return { content: [{ type: "text", text: JSON.stringify(value) }], structuredContent: value };
}
