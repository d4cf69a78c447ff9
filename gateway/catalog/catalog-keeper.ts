/**
 * The catalog of a run: the approved file against what each server listed last. A new listing of one server replaces its
 * old one; the others stay. Another file replaces the whole only when an operator loads one that is approved.
 */

import type { CatalogReader } from "../pipeline/call.ts";
import { type Catalog, makeCatalog, type ServerDrift } from "./catalog.ts";
import type { CatalogFile, ListedServer } from "./catalog-file.ts";
import { NO_PROOFS, type PublisherProofs, type PublisherStanding, publisherStanding } from "./publisher.ts";

/** What the pipeline asks at each call. */
export interface CatalogSource {
  readonly current: () => Catalog;
  /** When the server's definitions were last compared with the approved ones; undefined if they never were. */
  readonly listedAtMs: (serverId: string) => number | undefined;
  /** False while the server does not answer its lists: what it offers now is not known. */
  readonly isAnswered: (serverId: string) => boolean;
  /** What is known of the server's publisher at a time. */
  readonly publisherOf: (serverId: string, nowMs: number) => PublisherStanding;
}

/** Keeps the catalog of a run up to date. */
export class CatalogKeeper implements CatalogSource {
  #file: CatalogFile;
  readonly #listed = new Map<string, ListedServer>();
  readonly #listedAtMs = new Map<string, number>();
  readonly #unanswered = new Set<string>();
  #catalog: Catalog;
  readonly #prove: (file: CatalogFile) => PublisherProofs;
  #proofs: PublisherProofs;
  /** For the wire: reads what is current at each call. */
  readonly reader: CatalogReader;

  /** @param prove  proves the publishers of a file's servers: of this one, and of each that replaces it */
  constructor(
    file: CatalogFile,
    listed: readonly ListedServer[],
    nowMs: number,
    prove: (file: CatalogFile) => PublisherProofs = () => NO_PROOFS,
  ) {
    this.#file = file;
    this.#prove = prove;
    this.#proofs = prove(file);
    for (const server of listed) this.#take(server, nowMs);
    this.#catalog = makeCatalog(file, listed);
    const current = this.current;
    this.reader = {
      get serverIds() {
        return current().serverIds;
      },
      definitions: (serverId, kind) => this.#catalog.definitions(serverId, kind),
      instructions: (serverId) => this.#catalog.instructions(serverId),
      capabilities: (serverId) => this.#catalog.capabilities(serverId),
      has: (serverId, kind, name) => this.#catalog.has(serverId, kind, name),
    };
  }

  readonly current = (): Catalog => this.#catalog;

  readonly listedAtMs = (serverId: string): number | undefined => this.#listedAtMs.get(serverId);

  readonly isAnswered = (serverId: string): boolean => !this.#unanswered.has(serverId);

  readonly publisherOf = (serverId: string, nowMs: number): PublisherStanding =>
    publisherStanding(this.#proofs.get(serverId), nowMs);

  /** The server did not answer its lists; its last listing stands, as one that nobody could check again. */
  markUnanswered(serverId: string): void {
    this.#unanswered.add(serverId);
  }

  /**
   * Takes a new listing of one server.
   *
   * @returns how it differs from the approved surface, if it does and did not differ in the same way before
   * @throws {FormatError} ERR_SHAPE, ERR_JSON_SYNTAX if a definition cannot be read; the old listing stays
   */
  update(server: ListedServer, nowMs: number): ServerDrift | undefined {
    const others = [...this.#listed.values()].filter(({ id }) => id !== server.id);
    const catalog = makeCatalog(this.#file, [...others, server]);
    const before = driftOf(this.#catalog, server.id);
    this.#take(server, nowMs);
    this.#catalog = catalog;
    const after = driftOf(catalog, server.id);
    return JSON.stringify(before) === JSON.stringify(after) ? undefined : after;
  }

  /** Another file is in force from now on. */
  replace(file: CatalogFile): void {
    const [proofs, catalog] = [this.#prove(file), makeCatalog(file, [...this.#listed.values()])];
    this.#file = file;
    this.#proofs = proofs;
    this.#catalog = catalog;
  }

  #take(server: ListedServer, nowMs: number): void {
    this.#listed.set(server.id, server);
    this.#listedAtMs.set(server.id, nowMs);
    this.#unanswered.delete(server.id);
  }
}

function driftOf(catalog: Catalog, serverId: string): ServerDrift | undefined {
  return catalog.drifts.find(({ server }) => server === serverId);
}
