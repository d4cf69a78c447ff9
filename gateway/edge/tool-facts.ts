/** What the wire reads in the definition of a tool, read once for each definition of the catalog. */

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
}

const known = new WeakMap<CatalogDefinition, ToolFacts>();

/** The facts of a definition. */
export function toolFacts(definition: CatalogDefinition): ToolFacts {
  const found = known.get(definition);
  if (found !== undefined) return found;
  const schema = definitionValue(definition.text)["inputSchema"];
  const facts = { mirrored: paramHeaders(definition.text), declared: declaredNames(schema) };
  known.set(definition, facts);
  return facts;
}

/** The facts of the tool that a route leads to. */
export function routedToolFacts(catalog: CatalogReader, { serverId, name }: Route): ToolFacts | undefined {
  const found = catalog.definitions(serverId, "tools").find((definition) => definition.name === name);
  return found === undefined ? undefined : toolFacts(found);
}
