/**
 * Digests of definitions and surfaces (docs/policy.md, mcp-gateway §13.2): `model` covers what a model or a host acts
 * on, `full` covers everything. Input is the definition's text as the server sent it, before any schema parse.
 */

import { sha256 } from "#crypto";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { definitionValue } from "./definition-value.ts";

/** The kinds of definitions, as they stand in a digest's `type`. */
export type DefinitionKind = "tool" | "prompt" | "resource" | "resource-template";

/** Both digests of a definition, `sha256:<hex>`. */
export interface DefinitionDigests {
  readonly model: string;
  readonly full: string;
}

/** A definition's place in a surface. */
export interface SurfaceItem extends DefinitionDigests {
  readonly name: string;
}

/** What the surface digest covers. */
export interface SurfaceParts {
  readonly server: string;
  readonly capabilities: JsonValue;
  readonly instructions: string | null;
  readonly tools: readonly SurfaceItem[];
  readonly prompts: readonly SurfaceItem[];
  readonly resourceTemplates: readonly SurfaceItem[];
}

const META_PREFIX = "io.modelcontextprotocol/";

/** `sha256:<hex>` of the canonical form of `value`. */
export function digestOf(value: JsonValue): string {
  return `sha256:${formatHex(sha256(canonicalBytes(value)))}`;
}

/**
 * Digests of one definition.
 *
 * @param text  JSON text of one object, strictly scanned
 * @throws {FormatError} ERR_JSON_SYNTAX, ERR_SHAPE
 */
export function digestDefinition(kind: DefinitionKind, text: string): DefinitionDigests {
  const definition = definitionValue(text);
  const digest = (form: "model" | "full", value: JsonObject): string =>
    digestOf({ [memberOf(kind)]: value, type: `countersign/${kind}-${form}`, v: 1 });
  return { model: digest("model", modelView(definition)), full: digest("full", definition) };
}

/** Digest of a server's instructions. */
export function digestInstructions(text: string): string {
  return digestOf({ instructions: text, type: "countersign/instructions", v: 1 });
}

/** Digest of a whole surface; the lists are sorted here by UTF-16 code units of the name. */
export function digestSurface(parts: SurfaceParts): string {
  const sorted = (items: readonly SurfaceItem[]): JsonValue =>
    [...items]
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
      .map(({ name, model, full }) => ({ name, model, full }));
  return digestOf({
    type: "countersign/surface",
    v: 1,
    server: parts.server,
    capabilities: parts.capabilities,
    instructions: parts.instructions === null ? null : digestInstructions(parts.instructions),
    tools: sorted(parts.tools),
    prompts: sorted(parts.prompts),
    resourceTemplates: sorted(parts.resourceTemplates),
  });
}

function memberOf(kind: DefinitionKind): string {
  return kind === "resource-template" ? "resourceTemplate" : kind;
}

/** Without `icons`, and of `_meta` only what a host acts on. */
function modelView(definition: JsonObject): JsonObject {
  const { icons: _, _meta: meta, ...rest } = definition;
  if (meta === undefined) return rest;
  if (!isJsonObject(meta)) return { ...rest, _meta: meta };
  const kept = Object.entries(meta).filter(([key]) => key === "ui" || key.startsWith(META_PREFIX));
  return kept.length === 0 ? rest : { ...rest, _meta: Object.fromEntries(kept) };
}
