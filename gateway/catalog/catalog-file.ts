/**
 * The catalog file: which servers with which identity and which definitions are approved (docs/formats/catalog.md). Its
 * digest, over the canonical form of the whole file without signatures, stands in every decision receipt.
 */

import { FormatError } from "../../kernel/errors.ts";
import { parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { type FindingCode, findingCodeShape } from "../../kernel/receipt/findings.ts";
import {
  array,
  integer,
  json,
  literal,
  nullable,
  object,
  optional,
  readShape,
  record,
  type Shape,
  string,
  tagged,
} from "../../kernel/shape.ts";
import { type Signed, signaturesShape } from "../../kernel/signature/envelope.ts";
import type { ListedSurface, ServerIdentity } from "../pipeline/call.ts";
import { type ServerDataClass, serverDataClassShape } from "./data-class.ts";
import { definitionName } from "./definition-value.ts";
import { type DefinitionKind, digestDefinition, digestSurface } from "./digests.ts";
import { type NamedPublisher, namedPublisherShape } from "./publisher.ts";

/** One approved definition. */
export type PinnedDefinition = {
  /** Name of a tool or prompt, URI of a resource, URI template of a resource template. */
  readonly name: string;
  readonly model: string;
  readonly full: string;
  /** The definition byte for byte as the server sent it when it was approved. */
  readonly text: string;
  /** `first-use`, `signers` (whoever signed the catalog), or who approved it. */
  readonly approved_by: string;
};

/** How a definition of a signed catalog was approved: by whoever signed the file. */
export const SIGNERS = "signers";

/** One approved server. */
export type CatalogEntry = {
  readonly id: string;
  readonly identity: ServerIdentity;
  /** What policies may read as attributes of the resource. */
  readonly attributes: Readonly<Record<string, JsonValue>>;
  /** What the operator declares about the data behind its tools. */
  readonly data?: ServerDataClass;
  /** Whose it must be, by the publisher's own statement. */
  readonly publisher?: NamedPublisher;
  readonly capabilities: JsonValue;
  readonly instructions: string | null;
  /** Digest of the approved surface. */
  readonly surface: string;
  readonly tools: readonly PinnedDefinition[];
  readonly prompts: readonly PinnedDefinition[];
  readonly resources: readonly PinnedDefinition[];
  readonly resource_templates: readonly PinnedDefinition[];
};

/** A finding in a definition that an approver takes responsibility for. */
export type CatalogOverride = {
  readonly server: string;
  /** The list that the definition is in; `server` for what concerns the server itself. */
  readonly list: "tools" | "prompts" | "resources" | "resource_templates" | "server";
  /** Name of the definition; empty for the server itself. */
  readonly name: string;
  /** Code of the finding. */
  readonly finding: FindingCode;
  /** Who overrides it: one of those who sign the file. */
  readonly approver: string;
  readonly reason: string;
};

/** What a catalog has that is approved by signatures. */
export type CatalogRevision = {
  /** Rises with each catalog that replaces another. */
  readonly version: number;
  /** Digest of the catalog that this one replaces; null for the first. */
  readonly previous: string | null;
  readonly overrides: readonly CatalogOverride[];
};

/** The file; servers are sorted by id. The members of a revision are there together, or none of them is. */
export type CatalogFile = {
  readonly kind: "catalog";
  readonly v: 1;
  readonly servers: readonly CatalogEntry[];
} & Partial<CatalogRevision>;

/** A catalog that is proposed or signed. */
export type RevisedCatalog = CatalogFile & CatalogRevision;

const MAX_SERVERS = 128;
const MAX_DEFINITIONS = 2000;
const MAX_DEFINITION_CHARACTERS = 256 * 1024;
const MAX_OVERRIDES = 256;

/** Largest catalog file. */
export const MAX_CATALOG_BYTES: number = 64 * 1024 * 1024;

const digestText: Shape<string> = string({ pattern: /^sha256:[0-9a-f]{64}$/, maxLength: 71, description: "a digest" });

const serverId: Shape<string> = string({
  pattern: /^[a-z0-9][a-z0-9-]{0,23}$/,
  maxLength: 24,
  description: "a server id",
});

/** Name of an approver: as configured at the gateway, and in overrides. */
export const approverName: Shape<string> = string({
  pattern: /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/u,
  maxLength: 64,
  description: "an approver: 1 to 64 of A-Z, a-z, 0-9, '.', '_', '@', '-'",
});

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

const serversShape: Shape<readonly CatalogEntry[]> = array(
  object<CatalogEntry>({
    id: serverId,
    identity: identityShape,
    attributes: record(json(), { max: 64, key: /^[A-Za-z_][A-Za-z0-9_]{0,63}$/ }),
    data: optional(serverDataClassShape),
    publisher: optional(namedPublisherShape),
    capabilities: json(),
    instructions: nullable(string()),
    surface: digestText,
    tools: definitionsShape,
    prompts: definitionsShape,
    resources: definitionsShape,
    resource_templates: definitionsShape,
  }),
  { min: 1, max: MAX_SERVERS },
);

const overrideShape: Shape<CatalogOverride> = object<CatalogOverride>({
  server: serverId,
  list: literal("tools", "prompts", "resources", "resource_templates", "server"),
  name: string({ maxLength: 4096 }),
  finding: findingCodeShape,
  approver: approverName,
  reason: string({ pattern: /^[^\0]*\S[^\0]*$/u, maxLength: 1024, description: "a reason" }),
});

const plainMembers = { kind: literal("catalog"), v: literal(1), servers: serversShape } as const;
const revisedMembers = {
  ...plainMembers,
  version: integer({ min: 1 }),
  previous: nullable(digestText),
  overrides: array(overrideShape, { max: MAX_OVERRIDES }),
} as const;

type PlainCatalog = Pick<CatalogFile, "kind" | "v" | "servers">;
const plainShape: Shape<PlainCatalog> = object<PlainCatalog>(plainMembers);
const revisedShape: Shape<RevisedCatalog> = object<RevisedCatalog>(revisedMembers);
const signedShape: Shape<Signed<RevisedCatalog>> = object<Signed<RevisedCatalog>>({
  ...revisedMembers,
  signatures: signaturesShape,
});

/**
 * Reads a catalog without signatures and recomputes every digest in it.
 *
 * @throws {FormatError} ERR_SHAPE; ERR_CATALOG if a digest is not that of the text beside it, or a name stands twice
 */
export function parseCatalog(value: JsonValue): CatalogFile {
  return checked(readShape<CatalogFile>(has(value, "version") ? revisedShape : plainShape, value, "catalog"));
}

/** A proposed or signed catalog as its file holds it; `signatures` is empty for one that is proposed. */
export type StoredCatalog = {
  readonly file: RevisedCatalog;
  readonly signatures: Signed<RevisedCatalog>["signatures"];
};

/**
 * Reads a proposed or signed catalog from the exact bytes of its file: the one spelling that was signed. Signatures are
 * read and not judged.
 *
 * @throws {FormatError} ERR_JSON_CANONICAL and others of JSON, ERR_SHAPE, ERR_CATALOG
 */
export function parseRevisedCatalog(bytes: Uint8Array): StoredCatalog {
  const value = parseCanonical(bytes, { maxBytes: MAX_CATALOG_BYTES });
  if (!has(value, "signatures")) return { file: checked(readShape(revisedShape, value, "catalog")), signatures: [] };
  const { signatures, ...file } = readShape(signedShape, value, "catalog");
  return { file: checked(file), signatures };
}

function has(value: JsonValue, member: string): boolean {
  return isJsonObject(value) && Object.hasOwn(value, member);
}

function checked<T extends CatalogFile>(file: T): T {
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
  readonly data?: ServerDataClass;
  readonly publisher?: NamedPublisher;
  readonly surface: ListedSurface;
}

/** A catalog that approves what is listed now: trust on first use, and each definition says so. */
export function pinFirstUse(servers: readonly ListedServer[]): CatalogFile {
  return { kind: "catalog", v: 1, servers: pinServers(servers, "first-use") };
}

/**
 * Entries of what is listed now, sorted by id.
 *
 * @param approvedBy  what each definition says of its approval
 */
export function pinServers(servers: readonly ListedServer[], approvedBy: string): readonly CatalogEntry[] {
  const entries = servers.map(({ id, identity, attributes, data, publisher, surface }) => {
    const pinned = {
      id,
      identity,
      attributes,
      ...(data === undefined ? {} : { data }),
      ...(publisher === undefined ? {} : { publisher }),
      capabilities: surface.capabilities,
      instructions: surface.instructions ?? null,
      tools: pin("tool", surface.tools, approvedBy),
      prompts: pin("prompt", surface.prompts, approvedBy),
      resources: pin("resource", surface.resources, approvedBy),
      resource_templates: pin("resource-template", surface.resourceTemplates, approvedBy),
    };
    return { ...pinned, surface: surfaceOf(pinned) };
  });
  return entries.sort((a, b) => (a.id < b.id ? -1 : 1));
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

/**
 * Pins definitions. Of two that differ under one name nobody can say which the server goes by: neither is taken. Of resources, which come
 * and go and are decided by their URI, the first is.
 */
function pin(kind: DefinitionKind, texts: readonly string[], approvedBy: string): readonly PinnedDefinition[] {
  const pinned = new Map<string, PinnedDefinition>();
  const ambiguous = new Set<string>();
  for (const text of texts) {
    const name = definitionName(kind, text);
    const known = pinned.get(name);
    if (known !== undefined && (kind === "resource" || known.text === text)) continue;
    const definition = { name, ...digestDefinition(kind, text), text, approved_by: approvedBy };
    if (known === undefined) pinned.set(name, definition);
    else if (known.full !== definition.full) ambiguous.add(name);
  }
  return [...pinned.values()].filter(({ name }) => !ambiguous.has(name));
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
