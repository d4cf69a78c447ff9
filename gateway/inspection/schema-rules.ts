/** Rules about the structure of a definition: schemas, annotations and header marks (mcp-gateway §14.1, `schema.*`). */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { paramHeaders } from "../wire/param-headers.ts";
import type { Count } from "./injection.ts";
import { isSensitiveName, snakeCase } from "./key-hints.ts";

/** A finding about the structure, with its path in the definition. */
export interface StructureFinding extends Count {
  readonly path: readonly string[];
}

/** Parameters that ask for context rather than for input. */
const CONTEXT =
  /^(?:conversation|conversation_history|chat_history|history|message_history|system_prompt|sidenote|side_note|reasoning|chain_of_thought|tools_list|available_tools|list_of_tools|summary_of_conversation|conversation_summary|previous_messages|context_window|model_name_and_instructions)$/u;
const CHANGES =
  /^(?:create|delete|remove|update|write|send|exec|execute|drop|insert|deploy|kill|rename|move|upload|modify|purge|destroy|overwrite)(?:_|$)/u;
const RUNS = /^(?:command|cmd|shell|shell_command|exec|script)$/u;
const NETWORK = /^(?:[a-z][a-z0-9+.-]{1,31}:|\/\/)/iu;

/** Everything about the structure of a tool's definition. */
export function checkStructure(definition: JsonObject, text: string): readonly StructureFinding[] {
  return [
    ...contextParameters(definition),
    ...contradiction(definition),
    ...remoteReferences(definition, []),
    ...headerMarks(text),
  ];
}

function contextParameters({ inputSchema }: JsonObject): readonly StructureFinding[] {
  if (!isJsonObject(inputSchema) || !isJsonObject(inputSchema["properties"])) return [];
  const required = new Set<JsonValue>(Array.isArray(inputSchema["required"]) ? inputSchema["required"] : []);
  return Object.keys(inputSchema["properties"])
    .filter((name) => CONTEXT.test(snakeCase(name)))
    .map((name) => ({
      rule: "inj.context-param",
      severity: required.has(name) ? "block" : "warn",
      count: 1,
      path: ["inputSchema", "properties", name],
    }));
}

/** A tool that says it only reads, and whose name or parameters say otherwise. */
function contradiction({ name, description, annotations, inputSchema }: JsonObject): readonly StructureFinding[] {
  const hint = isJsonObject(annotations) && annotations["readOnlyHint"] === true;
  const says = typeof description === "string" && /\bread-?only\b/iu.test(description.slice(0, 2000));
  if (!hint && !says) return [];
  const properties =
    isJsonObject(inputSchema) && isJsonObject(inputSchema["properties"]) ? inputSchema["properties"] : {};
  const changes = typeof name === "string" && CHANGES.test(snakeCase(name));
  const runs = hint && Object.keys(properties).some((key) => RUNS.test(snakeCase(key)));
  if (!(hint && changes) && !runs) return [];
  return [{ rule: "schema.contradiction", severity: "warn", count: 1, path: ["annotations"] }];
}

/** Recursion is bounded: the strict scan refused deeper documents. */
function remoteReferences(value: JsonValue | undefined, path: readonly string[]): readonly StructureFinding[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]): readonly StructureFinding[] => {
    const here = [...path, key];
    const isReference = (key === "$ref" || key === "$dynamicRef") && typeof item === "string" && NETWORK.test(item);
    if (isReference) return [{ rule: "schema.remote-ref", severity: "block", count: 1, path: here }];
    return remoteReferences(item, here);
  });
}

/** Marks that break the rules make the tool unlisted; a mark on sensitive data would copy it into every proxy's log. */
function headerMarks(text: string): readonly StructureFinding[] {
  const headers = paramHeaders(text);
  const path = ["inputSchema"];
  if (headers === undefined) return [{ rule: "schema.header", severity: "warn", count: 1, path }];
  return headers
    .filter((header) => isSensitiveName(header.path.at(-1) ?? ""))
    .map(() => ({ rule: "schema.header", severity: "warn", count: 1, path }));
}
