/** What the catalog says about a call: which definition it is about, and why enforcing mode would refuse it. Pure. */

import { constant } from "../../kernel/json/constant.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { ABSENT, notEstablished, type Observed, present } from "../../kernel/receipt/observed.ts";
import type { CatalogView, Definition } from "../../kernel/receipt/target.ts";
import type { ServerProvenance } from "../../kernel/receipt/vocabulary.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { CatalogSource } from "../catalog/catalog-keeper.ts";
import { definitionValue } from "../catalog/definition-value.ts";
import { digestOf } from "../catalog/digests.ts";
import { matchesTemplate } from "../wire/uri-template.ts";
import type { CatalogDefinition, CatalogReader, InboundCall, ListKind } from "./call.ts";
import type { Denial } from "./judge.ts";

/** What was found. */
export interface CatalogFinding {
  readonly definition: CatalogDefinition | undefined;
  /** The name as an operator approved it; undefined for URIs and for names that nobody approved. */
  readonly approvedName: string | undefined;
  readonly denials: readonly Denial[];
  readonly view: Observed<CatalogView>;
  readonly observed: Observed<Definition>;
  readonly identityDigest: string | undefined;
  readonly provenance: ServerProvenance;
}

const RPC_INVALID_PARAMS = -32_602;
const RPC_QUARANTINED = -31_003;

/**
 * Looks up the server and the definition that the call names.
 *
 * @param offered  what the caller is offered, if that is not all of the catalog
 */
export function checkCatalog(
  source: CatalogSource,
  call: InboundCall,
  nowMs: number,
  offered?: CatalogReader,
): CatalogFinding {
  const catalog = source.current();
  const { serverId, target } = call;
  const definition = findDefinition(catalog, call);
  const { provenance } = source.publisherOf(serverId, nowMs);
  const isNamed = target.kind === "tool" || target.kind === "prompt";
  return {
    definition,
    approvedName: isNamed && definition !== undefined ? definition.name : undefined,
    denials: bothOf(identityDenials(catalog, serverId, provenance), definitionDenials(call, definition)),
    view: offered?.whole === undefined ? viewOf(catalog, serverId) : narrowView(catalog, offered, serverId),
    observed: observeDefinition(definition, target.kind, checkedAtMs(source, serverId), nowMs),
    identityDigest: catalog.identityDigest(serverId),
    provenance,
  };
}

function bothOf(first: readonly Denial[], then: readonly Denial[]): readonly Denial[] {
  return first.length === 0 ? then : [...first, ...then];
}

function findDefinition(catalog: Catalog, { serverId, target, taskTool }: InboundCall): CatalogDefinition | undefined {
  switch (target.kind) {
    case "task":
      return taskTool === undefined ? undefined : catalog.find(serverId, "tools", taskTool);
    case "tool":
      return catalog.find(serverId, "tools", target.name);
    case "prompt":
      return catalog.find(serverId, "prompts", target.name);
    case "resource":
      return catalog.find(serverId, "resources", target.name) ?? templateOf(catalog, serverId, target.name);
    case "completion":
      return catalog.find(serverId, "prompts", target.name) ?? catalog.find(serverId, "resourceTemplates", target.name);
    case "subscribe":
      return catalog.find(serverId, "resources", target.name) ?? templateOf(catalog, serverId, target.name);
    case "sample":
    case "elicit":
    case "roots":
    case "list":
    case "extension":
    case "other":
      return undefined;
  }
}

/** The first approved template that could have made the URI. */
function templateOf(catalog: Catalog, serverId: string, uri: string): CatalogDefinition | undefined {
  return catalog.definitions(serverId, "resourceTemplates").find(({ name }) => matchesTemplate(name, uri));
}

function identityDenials(catalog: Catalog, serverId: string, provenance: ServerProvenance): readonly Denial[] {
  if (catalog.entry(serverId) === undefined) {
    return [
      {
        step: "catalog",
        reason: "server.unknown",
        rpcCode: RPC_INVALID_PARAMS,
        message: "The approved catalog has no such server.",
        isFinal: true,
      },
    ];
  }
  if (!catalog.hasSameIdentity(serverId)) return [identityChanged()];
  return provenance === "unchecked" || provenance === "verified" ? [] : [publisherUnproven()];
}

function publisherUnproven(): Denial {
  return {
    step: "identity",
    reason: "server.publisher",
    rpcCode: RPC_QUARANTINED,
    message: "The publisher of the server is not proven.",
  };
}

function identityChanged(): Denial {
  return {
    step: "identity",
    reason: "server.identity-changed",
    rpcCode: RPC_QUARANTINED,
    message: "The server is not the one that was approved.",
  };
}

/** Tools and prompts must be approved as they are; resources come and go, so policy alone decides about them. */
function definitionDenials(call: InboundCall, definition: CatalogDefinition | undefined): readonly Denial[] {
  const { target, taskTool, wire } = call;
  // A task is as good as the tool that made it; whoever wants it stopped may say so.
  const isOfTool = taskTool !== undefined && wire.method !== "tasks/cancel";
  if (target.kind !== "tool" && target.kind !== "prompt" && !isOfTool) return [];
  const kind = target.kind === "prompt" ? "prompt" : "tool";
  if (definition === undefined) {
    // The same answer for a name that is hidden and for one that does not exist.
    return [
      {
        step: "catalog",
        reason: "name.unknown",
        rpcCode: RPC_INVALID_PARAMS,
        message: `The approved catalog has no ${kind} of this name.`,
      },
    ];
  }
  if (definition.state !== "changed" && definition.state !== "quarantined") return [];
  return [
    {
      step: "quarantine",
      reason: definition.state === "changed" ? "definition.changed" : "definition.quarantined",
      rpcCode: RPC_QUARANTINED,
      message: `The definition of this ${kind} is not the approved one any more.`,
    },
  ];
}

/** What names no definition of the catalog. */
const NAMELESS: ReadonlySet<InboundCall["target"]["kind"]> = new Set([
  "task",
  "sample",
  "elicit",
  "roots",
  "list",
  "extension",
  "other",
]);

/** When the definitions were compared with the server's; undefined if the server does not answer its lists now. */
function checkedAtMs(source: CatalogSource, serverId: string): number | undefined {
  return source.isAnswered(serverId) ? source.listedAtMs(serverId) : undefined;
}

function observeDefinition(
  definition: CatalogDefinition | undefined,
  kind: InboundCall["target"]["kind"],
  listedAtMs: number | undefined,
  nowMs: number,
): Observed<Definition> {
  if (NAMELESS.has(kind) && definition === undefined) return ABSENT;
  if (definition === undefined) return notEstablished("definition.unknown");
  if (listedAtMs === undefined) return notEstablished("definition.unchecked");
  return present({
    state: definition.state,
    model: definition.model,
    full: definition.full,
    input_schema: inputSchemaOf(definition),
    pin_age_ms: Math.max(0, Math.floor(nowMs - listedAtMs)),
  });
}

/** Digests of input schemas, each made once. */
const schemas = new WeakMap<CatalogDefinition, Observed<string>>();

function inputSchemaOf(definition: CatalogDefinition): Observed<string> {
  const known = schemas.get(definition);
  if (known !== undefined) return known;
  const { inputSchema } = definitionValue(definition.text);
  const digest = inputSchema === undefined ? ABSENT : constant(present(digestOf(inputSchema)));
  schemas.set(definition, digest);
  return digest;
}

const LISTS: readonly ListKind[] = ["tools", "prompts", "resources", "resourceTemplates"];

/** Views change with the catalog alone, so each is made once. */
const views = new WeakMap<Catalog, Map<string, Observed<CatalogView>>>();

function viewOf(catalog: Catalog, serverId: string): Observed<CatalogView> {
  const known = views.get(catalog) ?? new Map<string, Observed<CatalogView>>();
  views.set(catalog, known);
  const view = known.get(serverId) ?? constant(present(makeView(catalog, serverId)));
  known.set(serverId, view);
  return view;
}

/** Of what one agent is offered; what is hidden from it counts as withheld. */
function narrowView(catalog: Catalog, offered: CatalogReader, serverId: string): Observed<CatalogView> {
  const known = narrowViews.get(offered) ?? new Map<string, Observed<CatalogView>>();
  narrowViews.set(offered, known);
  const view = known.get(serverId) ?? constant(present(makeNarrowView(catalog, offered, serverId)));
  known.set(serverId, view);
  return view;
}

const narrowViews = new WeakMap<CatalogReader, Map<string, Observed<CatalogView>>>();

function makeNarrowView(catalog: Catalog, offered: CatalogReader, serverId: string): CatalogView {
  const count = (reader: Pick<CatalogReader, "definitions">): number =>
    LISTS.reduce((sum, kind) => sum + reader.definitions(serverId, kind).length, 0);
  const view = makeView(catalog, serverId);
  const hidden = count(catalog) - count(offered);
  return { ...view, seen: present(digestOffered(offered, serverId)), withheld: view.withheld + hidden };
}

function makeView(catalog: Catalog, serverId: string): CatalogView {
  const surface = catalog.entry(serverId)?.surface;
  return {
    digest: catalog.digest,
    surface: surface === undefined ? notEstablished("server.unknown") : present(surface),
    seen: present(digestOffered(catalog, serverId)),
    withheld: catalog.withheld(serverId),
  };
}

/**
 * `sha256:<hex>` over what agents are offered of a server: JCS({"type": "countersign/offered", "v": 1, "server", and for
 * each list the names with both digests, in the server's order}).
 */
export function digestOffered(catalog: Pick<Catalog, "definitions">, serverId: string): string {
  const lists = Object.fromEntries(
    LISTS.map((kind) => [
      kind,
      catalog.definitions(serverId, kind).map(({ name, model, full }): JsonValue => ({ name, model, full })),
    ]),
  );
  return digestOf({ type: "countersign/offered", v: 1, server: serverId, ...lists });
}
