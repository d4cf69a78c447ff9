/** Looks at one definition before it is pinned or offered: every string in it, its names, its structure (mcp-gateway §14). */

import type { JsonObject } from "../../kernel/json/value.ts";
import type { DeclaredPointer } from "../../kernel/receipt/fields.ts";
import type { Finding } from "../../kernel/receipt/inspection.ts";
import { definitionValue } from "../catalog/definition-value.ts";
import type { DefinitionKind } from "../catalog/digests.ts";
import type { Count, InjectionContext } from "./injection.ts";
import { checkName } from "./name-rules.ts";
import { checkStructure } from "./schema-rules.ts";
import { isSpoken, leavesOf, namesOf } from "./strings.ts";
import { countByRule, findInText } from "./text-findings.ts";

/** A description above this is read by nobody. */
const MAX_DESCRIPTION = 8000;
const STEP = /^[A-Za-z0-9_.$~-]{1,64}$/u;
const MAX_STEPS = 16;

/** What one definition is looked at with. */
export interface ScanContext {
  /** Orders about tools of other servers; see `steeringOf`. */
  readonly steering?: InjectionContext["steering"];
}

/**
 * The findings of one definition; paths are places in the definition.
 *
 * @param text  JSON text of one object that the strict scan accepted
 * @throws {FormatError} ERR_JSON_SYNTAX, ERR_SHAPE
 */
export function scanDefinition(kind: DefinitionKind, text: string, { steering }: ScanContext): readonly Finding[] {
  const definition = definitionValue(text);
  const context = { surface: "definition", steering } as const;
  const found: (Count & { readonly path: readonly string[] })[] = [];
  for (const { path, value } of leavesOf(definition)) {
    if (typeof value === "string")
      found.push(...countByRule(findInText(value, context)).map((count) => ({ ...count, path })));
  }
  for (const path of namesOf(definition, isSpoken)) {
    const name = path.at(-1) ?? "";
    found.push(...countByRule(findInText(name, context)).map((count) => ({ ...count, path })));
  }
  found.push(...nameFindings(kind, definition), ...lengthFindings(definition));
  if (kind === "tool") found.push(...checkStructure(definition, text));
  return found.map(({ path, ...count }) => ({ ...count, pointer: pointerOf(path) }));
}

/** Tools and prompts have names; resources have addresses. */
function nameFindings(
  kind: DefinitionKind,
  { name }: JsonObject,
): readonly (Count & { readonly path: readonly string[] })[] {
  if ((kind !== "tool" && kind !== "prompt") || typeof name !== "string") return [];
  return checkName(name).map((count) => ({ ...count, path: ["name"] }));
}

function lengthFindings({ description }: JsonObject): readonly (Count & { readonly path: readonly string[] })[] {
  const isLong = typeof description === "string" && description.length > MAX_DESCRIPTION;
  return isLong ? [{ rule: "text.long", severity: "warn", count: 1, path: ["description"] }] : [];
}

/** The place as a receipt may name it: odd names are `*`. */
export function pointerOf(path: readonly string[]): DeclaredPointer {
  return path
    .slice(0, MAX_STEPS)
    .map((step) => `/${STEP.test(step) ? step : "*"}`)
    .join("");
}
