/** What the wire reads in the definition of a tool, read once for each definition of the catalog. */

import { isJsonObject } from "../../kernel/json/value.ts";
import { definitionValue } from "../catalog/definition-value.ts";
import type { CatalogDefinition, CatalogReader } from "../pipeline/call.ts";
import { type DeclaredNames, declaredNames } from "../wire/declared-names.ts";
import { type ParamHeader, paramHeaders } from "../wire/param-headers.ts";
import type { Route } from "./mount.ts";

/** Facts of one tool. */
export interface ToolFacts {
  /** Arguments that are mirrored in headers; undefined if the schema breaks the rules for them. */
  readonly mirrored: readonly ParamHeader[] | undefined;
  readonly declared: DeclaredNames | undefined;
  /** Whether it may, or has to, be called as a task (MCP 2025-11-25 `execution.taskSupport`). */
  readonly taskSupport: "optional" | "required" | undefined;
}

const known = new WeakMap<CatalogDefinition, ToolFacts>();

/** The facts of a definition. */
export function toolFacts(definition: CatalogDefinition): ToolFacts {
  const found = known.get(definition);
  if (found !== undefined) return found;
  const { inputSchema, execution } = definitionValue(definition.text);
  const support = isJsonObject(execution) ? execution["taskSupport"] : undefined;
  const taskSupport = support === "optional" || support === "required" ? support : undefined;
  const facts: ToolFacts = {
    mirrored: paramHeaders(definition.text),
    declared: declaredNames(inputSchema),
    taskSupport,
  };
  known.set(definition, facts);
  return facts;
}

/** The facts of the tool that a route leads to. */
export function routedToolFacts(catalog: CatalogReader, { serverId, name }: Route): ToolFacts | undefined {
  const found = catalog.definitions(serverId, "tools").find((definition) => definition.name === name);
  return found === undefined ? undefined : toolFacts(found);
}
