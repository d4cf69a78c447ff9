/**
 * The catalog file: which servers with which identity and which definitions are approved (docs/policy.md). Its digest,
 * over the canonical form of the whole file, stands in every decision receipt.
 */

import { FormatError } from "../../kernel/errors.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import {
  array,
  json,
  literal,
  nullable,
  object,
  readShape,
  record,
  type Shape,
  string,
  tagged,
} from "../../kernel/shape.ts";
import type { ListedSurface, ServerIdentity } from "../pipeline/call.ts";
import { definitionName } from "./definition-value.ts";
import { type DefinitionKind, digestDefinition, digestSurface } from "./digests.ts";

/** One approved definition. */
export type PinnedDefinition = {
  /** Name of a tool or prompt, URI of a resource, URI template of a resource template. */
  readonly name: string;
  readonly model: string;
  readonly full: string;
  /** The definition byte for byte as the server sent it when it was approved. */
  readonly text: string;
  /** `first-use`, or who approved it. */
  readonly approved_by: string;
};

/** One approved server. */
export type CatalogEntry = {
  readonly id: string;
  readonly identity: ServerIdentity;
  /** What policies may read as attributes of the resource. */
  readonly attributes: Readonly<Record<string, JsonValue>>;
  readonly capabilities: JsonValue;
  readonly instructions: string | null;
  /** Digest of the approved surface. */
  readonly surface: string;
  readonly tools: readonly PinnedDefinition[];
  readonly prompts: readonly PinnedDefinition[];
  readonly resources: readonly PinnedDefinition[];
  readonly resource_templates: readonly PinnedDefinition[];
};

/** The file; servers are sorted by id. */
export type CatalogFile = { readonly kind: "catalog"; readonly v: 1; readonly servers: readonly CatalogEntry[] };

const MAX_SERVERS = 128;
const MAX_DEFINITIONS = 2000;
const MAX_DEFINITION_CHARACTERS = 256 * 1024;

const digestText: Shape<string> = string({ pattern: /^sha256:[0-9a-f]{64}$/, maxLength: 71, description: "a digest" });

const definitionsShape: Shape<readonly PinnedDefinition[]> = array(
  object<PinnedDefinition>({
    name: string({ maxLength: 4096 }),
    model: digestText,
    full: digestText,
    text: string({ maxLength: MAX_DEFINITION_CHARACTERS }),
    approved_by: string({ maxLength: 128 }),
  }),
  { max: MAX_DEFINITIONS },
);

/** How a server is identified; also the form of a configured server. */
export const identityShape: Shape<ServerIdentity> = tagged("kind", {
  http: object<Extract<ServerIdentity, { kind: "http" }>>({ kind: literal("http"), url: string({ maxLength: 2048 }) }),
  stdio: object<Extract<ServerIdentity, { kind: "stdio" }>>({
    kind: literal("stdio"),
    command: string({ maxLength: 4096 }),
    args: array(string({ maxLength: 65_535 }), { max: 256 }),
    executable: digestText,
  }),
});

const fileShape: Shape<CatalogFile> = object<CatalogFile>({
  kind: literal("catalog"),
  v: literal(1),
  servers: array(
    object<CatalogEntry>({
      id: string({ pattern: /^[a-z0-9][a-z0-9-]{0,23}$/, maxLength: 24, description: "a server id" }),
      identity: identityShape,
      attributes: record(json(), { max: 64, key: /^[A-Za-z_][A-Za-z0-9_]{0,63}$/ }),
      capabilities: json(),
      instructions: nullable(string()),
      surface: digestText,
      tools: definitionsShape,
      prompts: definitionsShape,
      resources: definitionsShape,
      resource_templates: definitionsShape,
    }),
    { min: 1, max: MAX_SERVERS },
  ),
});

/**
 * Reads a catalog and recomputes every digest in it.
 *
 * @throws {FormatError} ERR_SHAPE; ERR_CATALOG if a digest is not that of the text beside it, or a name stands twice
 */
export function parseCatalog(value: JsonValue): CatalogFile {
  const file = readShape(fileShape, value, "catalog");
  for (const entry of file.servers) checkEntry(entry);
  checkSingle(
    "server",
    file.servers.map(({ id }) => id),
  );
  return file;
}

/** Of two entries with one name nobody could say which is approved. @throws {FormatError} ERR_CATALOG */
function checkSingle(what: string, names: readonly string[]): void {
  if (new Set(names).size === names.length) return;
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  throw new FormatError("ERR_CATALOG", `two entries of the catalog are the ${what} ${twice}`);
}

/** A server and its surface, as they are listed now. */
export interface ListedServer {
  readonly id: string;
  readonly identity: ServerIdentity;
  readonly attributes: Readonly<Record<string, JsonValue>>;
  readonly surface: ListedSurface;
}

/** A catalog that approves what is listed now: trust on first use, and each definition says so. */
export function pinFirstUse(servers: readonly ListedServer[]): CatalogFile {
  const entries = servers.map(({ id, identity, attributes, surface }) => {
    const pinned = {
      id,
      identity,
      attributes,
      capabilities: surface.capabilities,
      instructions: surface.instructions ?? null,
      tools: pin("tool", surface.tools),
      prompts: pin("prompt", surface.prompts),
      resources: pin("resource", surface.resources),
      resource_templates: pin("resource-template", surface.resourceTemplates),
    };
    return { ...pinned, surface: surfaceOf(pinned) };
  });
  return { kind: "catalog", v: 1, servers: entries.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

/** Digest of the surface of an entry. */
export function surfaceOf(entry: Omit<CatalogEntry, "surface">): string {
  return digestSurface({
    server: entry.id,
    capabilities: entry.capabilities,
    instructions: entry.instructions,
    tools: entry.tools,
    prompts: entry.prompts,
    resourceTemplates: entry.resource_templates,
  });
}

/** Pins definitions; of two with one name the first stands, and the second is never offered. */
function pin(kind: DefinitionKind, texts: readonly string[]): readonly PinnedDefinition[] {
  const pinned = new Map<string, PinnedDefinition>();
  for (const text of texts) {
    const name = definitionName(kind, text);
    if (!pinned.has(name)) pinned.set(name, { name, ...digestDefinition(kind, text), text, approved_by: "first-use" });
  }
  return [...pinned.values()];
}

function checkEntry(entry: CatalogEntry): void {
  const lists = [
    ["tool", entry.tools],
    ["prompt", entry.prompts],
    ["resource", entry.resources],
    ["resource-template", entry.resource_templates],
  ] as const;
  for (const [kind, definitions] of lists) {
    checkSingle(
      `${kind} of ${entry.id}`,
      definitions.map(({ name }) => name),
    );
    for (const { name, text, model, full } of definitions) {
      const found = digestDefinition(kind, text);
      if (found.model !== model || found.full !== full || definitionName(kind, text) !== name) {
        throw new FormatError("ERR_CATALOG", `${entry.id}: the digests of a ${kind} are not those of its text`);
      }
    }
  }
  if (surfaceOf(entry) !== entry.surface) {
    throw new FormatError("ERR_CATALOG", `${entry.id}: the surface digest is not that of its definitions`);
  }
}
