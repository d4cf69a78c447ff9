/**
 * What each caller is offered of the catalog: all that no policy about offers forbids it, and that its session artifact covers. It is
 * found once for a caller, a policy and a catalog; what it depends on stays the same as long as these do (policy/spoken-of.ts).
 * Modes that only record hide nothing.
 */

import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { SessionArtifacts } from "../artifact/session-artifacts.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { dataClassOf } from "../catalog/data-class.ts";
import { offerOf } from "../policy/cedar-schema.ts";
import type { CatalogDefinition, CatalogReader, InboundCall, ListKind, TargetKind } from "./call.ts";
import type { CallBasis } from "./decision-body.ts";
import { actingParties, principalOf } from "./policy-question.ts";

/** Who asks. */
export type OfferedTo = Pick<InboundCall, "caller" | "session" | "wire">;

/** What offers are found from. */
export interface OffersOptions {
  readonly sessions: Pick<SessionArtifacts, "basisOf" | "covers" | "evaluator" | "size">;
  readonly catalog: () => Catalog;
}

/** Callers of one policy and catalog for whom the answer is kept. */
const MAX_CALLERS = 4_096;

const KINDS: readonly ListKind[] = ["tools", "prompts", "resources", "resourceTemplates"];
const TARGETS: Readonly<Record<ListKind, TargetKind>> = {
  tools: "tool",
  prompts: "prompt",
  resources: "resource",
  resourceTemplates: "resource",
};

/** The offers of a run. */
export class Offers {
  readonly #options: OffersOptions;
  /** By the policy of a decision, which is one object as long as it is in force. */
  readonly #known = new WeakMap<object, WeakMap<Catalog, Map<string, CatalogReader>>>();

  constructor(options: OffersOptions) {
    this.#options = options;
  }

  /** What this caller is offered; `whole` is set exactly if that may be less than the catalog. */
  readerFor(who: OfferedTo): CatalogReader {
    const { sessions, catalog: current } = this.#options;
    const catalog = current();
    const basis = sessions.basisOf(who);
    const isNarrowed = basis.run.mode === "enforcing" && (sessions.size > 0 || basis.evaluator.hasListing);
    if (!isNarrowed) return catalog;
    const known = this.#callersOf(basis, catalog);
    const key = keyOf(who);
    const found = known.get(key) ?? this.#narrowed(who, basis, catalog);
    if (known.size >= MAX_CALLERS) known.clear();
    known.set(key, found);
    return found;
  }

  /** True if somebody may be offered less than the catalog. */
  get mayHide(): boolean {
    const { sessions } = this.#options;
    return sessions.size > 0 || sessions.evaluator.hasListing;
  }

  /** True if lists of the server are decided. */
  isListDecided(who: OfferedTo, serverId: string): boolean {
    return this.#options.sessions.basisOf(who).evaluator.hasAction(`list:${serverId}`);
  }

  /** Extensions of the server that a policy may permit methods of; empty if it declares none or nothing permits them. */
  extensionsOf(who: OfferedTo, serverId: string): JsonObject {
    const { sessions, catalog } = this.#options;
    if (!sessions.basisOf(who).evaluator.hasAction(`extension:${serverId}`)) return {};
    const capabilities = catalog().capabilities(serverId);
    const extensions = isJsonObject(capabilities) ? capabilities["extensions"] : undefined;
    return isJsonObject(extensions) ? extensions : {};
  }

  #callersOf({ run: { policy } }: CallBasis, catalog: Catalog): Map<string, CatalogReader> {
    const catalogs = this.#known.get(policy) ?? new WeakMap<Catalog, Map<string, CatalogReader>>();
    this.#known.set(policy, catalogs);
    const callers = catalogs.get(catalog) ?? new Map<string, CatalogReader>();
    catalogs.set(catalog, callers);
    return callers;
  }

  #narrowed(who: OfferedTo, basis: CallBasis, catalog: Catalog): CatalogReader {
    const offered = new Map<string, readonly CatalogDefinition[]>();
    for (const serverId of catalog.serverIds) {
      for (const kind of KINDS) {
        const isOffered = ({ name, ...rest }: CatalogDefinition): boolean =>
          this.#options.sessions.covers({ ...who, serverId, target: { kind: TARGETS[kind], name } }) &&
          !isForbidden(who, basis, catalog, { serverId, kind, definition: { name, ...rest } });
        offered.set(`${kind} ${serverId}`, catalog.definitions(serverId, kind).filter(isOffered));
      }
    }
    const definitions: CatalogReader["definitions"] = (serverId, kind) => offered.get(`${kind} ${serverId}`) ?? [];
    return {
      serverIds: catalog.serverIds,
      definitions,
      has: (serverId, kind, name) => definitions(serverId, kind).some((one) => one.name === name),
      instructions: catalog.instructions,
      capabilities: catalog.capabilities,
      whole: catalog,
    };
  }
}

/** All of the caller that an offer may depend on; nothing of it can an agent choose for itself, so what is kept does not grow by that. */
function keyOf({ caller, wire }: OfferedTo): string {
  const { transport, era } = wire;
  const last = lastKeys.get(caller);
  if (last?.transport === transport && last.era === era) return last.key;
  const parts = [principalOf(caller, transport), actingParties(caller), caller.facts?.workflow?.id, era];
  const key = JSON.stringify(parts);
  lastKeys.set(caller, { transport, era, key });
  return key;
}

interface KnownKey {
  readonly transport: OfferedTo["wire"]["transport"];
  readonly era: OfferedTo["wire"]["era"] | undefined;
  readonly key: string;
}

/** Of callers, which come back with each of their calls. */
const lastKeys = new WeakMap<OfferedTo["caller"], KnownKey>();

/** One thing that may be offered. */
interface Item {
  readonly serverId: string;
  readonly kind: ListKind;
  readonly definition: CatalogDefinition;
}

/** Whatever goes wrong on the way hides. */
function isForbidden(who: OfferedTo, { run, evaluator }: CallBasis, catalog: Catalog, item: Item): boolean {
  const { serverId, kind, definition } = item;
  const { name, model, state } = definition;
  const actionId = offerOf(actionIdOf(item));
  if (!evaluator.hasAction(actionId)) return false;
  const data = dataClassOf(catalog.entry(serverId)?.data, kind === "tools" ? name : undefined);
  const answer = evaluator.evaluate({
    principal: principalOf(who.caller, who.wire.transport),
    actionId,
    serverId,
    argument: kind === "resources" || kind === "resourceTemplates" ? { uri: name } : {},
    session: {},
    system: {
      mode: run.mode,
      workflow: who.caller.facts?.workflow?.id ?? "",
      ...actingParties(who.caller),
      era: who.wire.era ?? "unknown",
      catalog: catalog.digest,
      toolModel: model,
      definition: state,
      domain: data.domain ?? "",
      sensitivity: data.sensitivity ?? 0,
    },
  });
  return !answer.allowed;
}

function actionIdOf({ serverId, kind, definition: { name } }: Item): string {
  switch (kind) {
    case "tools":
      return `${serverId}/${name}`;
    case "prompts":
      return `prompt:${serverId}/${name}`;
    case "resources":
    case "resourceTemplates":
      return `read:${serverId}`;
  }
}
