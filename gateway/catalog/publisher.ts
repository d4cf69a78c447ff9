/**
 * Who publishes a server: the configuration names the publishers and their keys, and a server may name the one that it must be
 * of, with the file of that publisher's statement. The statement is compared with what the catalog approved, and with the
 * keys that connections are held to; what it says is true at a call only while it has not ended.
 */

import { CheckError, FormatError, isCodedError } from "../../kernel/errors.ts";
import {
  checkPublisher,
  checkStatementTime,
  type PublisherStatement,
  parsePublisherStatement,
  publishedName,
  publisherName,
} from "../../kernel/publisher-statement.ts";
import type { ServerProvenance } from "../../kernel/receipt/vocabulary.ts";
import { isLoopback } from "../../kernel/service/listen.ts";
import { object, type Shape, string } from "../../kernel/shape.ts";
import type { PublicKey } from "../../kernel/signature/public-key.ts";
import type { CatalogEntry, CatalogFile } from "./catalog-file.ts";
import { digestSurface } from "./digests.ts";

/** Somebody whose statements are taken. */
export type Publisher = { readonly name: string; readonly key: PublicKey };

/** Whose a server must be: also what the catalog says of it. */
export type NamedPublisher = {
  readonly name: string;
  /** The server's name as the publisher writes it. */
  readonly server: string;
};

/** The member `publisher` of a configured server. */
export type WantedPublisher = NamedPublisher & {
  /** Read at the start, and whenever a catalog is loaded. */
  readonly statement_file: string;
};

/** The parts of a configuration that say who publishes what. */
export interface PublisherRules {
  readonly publishers: readonly Publisher[];
  readonly servers: readonly {
    readonly id: string;
    readonly publisher?: WantedPublisher;
    /** SHA-256 of the keys that its certificate may have; each connection is held to them. */
    readonly spki: readonly string[];
  }[];
}

/** What is known of a server's publisher, but for the time. */
export type PublisherProof =
  | { readonly type: "stated"; readonly statement: PublisherStatement }
  | { readonly type: "refuted"; readonly error: FormatError | CheckError };

/** What is known of a server's publisher at a time. */
export type PublisherStanding =
  | { readonly provenance: "unchecked" }
  | { readonly provenance: "verified"; readonly statement: PublisherStatement }
  | {
      readonly provenance: Exclude<ServerProvenance, "unchecked" | "verified">;
      readonly error: FormatError | CheckError;
    };

/** Proofs by server id; a server that is to be of no publisher has none. */
export type PublisherProofs = ReadonlyMap<string, PublisherProof>;

export const namedPublisherShape: Shape<NamedPublisher> = object<NamedPublisher>({
  name: publisherName,
  server: publishedName,
});

export const wantedPublisherShape: Shape<WantedPublisher> = object<WantedPublisher>({
  name: publisherName,
  server: publishedName,
  statement_file: string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" }),
});

/** Nobody's publisher is asked for. */
export const NO_PROOFS: PublisherProofs = new Map();

/** @throws {FormatError} ERR_CONFIG if members contradict each other */
export function checkPublisherRules({ publishers, servers }: PublisherRules): void {
  const [names, kids] = [publishers.map(({ name }) => name), publishers.map(({ key }) => key.kid)];
  if (new Set(names).size < names.length || new Set(kids).size < kids.length) {
    throw new FormatError("ERR_CONFIG", "config.catalog.publishers: want distinct names and distinct keys");
  }
  for (const { id, publisher } of servers) {
    if (publisher === undefined || names.includes(publisher.name)) continue;
    const message = `config.servers: ${id} is to be of ${publisher.name}, whom catalog.publishers does not name`;
    throw new FormatError("ERR_CONFIG", message);
  }
}

/**
 * Proves the publishers of a catalog's servers; a fault of one is its proof's, and none is thrown.
 *
 * @param readFile  of the statements; what it throws means that there is none
 */
export function provePublishers(
  rules: PublisherRules,
  file: Pick<CatalogFile, "servers">,
  readFile: (path: string) => Uint8Array,
): PublisherProofs {
  const proofs = new Map<string, PublisherProof>();
  for (const entry of file.servers) {
    const server = rules.servers.find(({ id }) => id === entry.id);
    if (server?.publisher === undefined && entry.publisher === undefined) continue;
    proofs.set(entry.id, proofOf(rules, server, entry, readFile));
  }
  return proofs;
}

/** What is known at a time. */
export function publisherStanding(proof: PublisherProof | undefined, nowMs: number): PublisherStanding {
  if (proof === undefined) return UNCHECKED;
  if (proof.type === "refuted") return refuted(proof.error);
  try {
    checkStatementTime(proof.statement, nowMs);
    return { provenance: "verified", statement: proof.statement };
  } catch (error) {
    return refuted(asFault(error));
  }
}

const UNCHECKED: PublisherStanding = { provenance: "unchecked" };

function refuted(error: FormatError | CheckError): PublisherStanding {
  if (error.code === "ERR_PUBLISHER_MISSING") return { provenance: "absent", error };
  return { provenance: error.code === "ERR_PUBLISHER_SERVER" ? "catalog-mismatch" : "invalid", error };
}

function proofOf(
  { publishers }: PublisherRules,
  server: PublisherRules["servers"][number] | undefined,
  entry: CatalogEntry,
  readFile: (path: string) => Uint8Array,
): PublisherProof {
  try {
    const wanted = server?.publisher;
    checkAgreed(entry, wanted);
    const publisher = publishers.find(({ name }) => name === wanted?.name);
    if (wanted === undefined || publisher === undefined) throw missing("the configuration names no such publisher");
    const statement = parsePublisherStatement(readStatement(wanted.statement_file, readFile));
    checkPublisher(statement, publisher);
    checkServer(statement, wanted, entry, server?.spki ?? []);
    return { type: "stated", statement };
  } catch (error) {
    return { type: "refuted", error: asFault(error) };
  }
}

function asFault(error: unknown): FormatError | CheckError {
  if (error instanceof FormatError || error instanceof CheckError) return error;
  throw error;
}

/** What approvers signed is not undone by leaving it out of the configuration. */
function checkAgreed({ publisher }: CatalogEntry, wanted: NamedPublisher | undefined): void {
  if (publisher === undefined) return;
  if (publisher.name === wanted?.name && publisher.server === wanted.server) return;
  throw other(`the catalog has it from ${publisher.name}, as ${publisher.server}; the configuration says otherwise`);
}

function readStatement(path: string, readFile: (path: string) => Uint8Array): Uint8Array {
  try {
    return readFile(path);
  } catch (cause) {
    if (!isCodedError(cause)) throw cause;
    throw missing(`the statement ${path} cannot be read`, cause);
  }
}

function checkServer(
  { server, identity: stated, surface }: PublisherStatement,
  wanted: NamedPublisher,
  entry: CatalogEntry,
  spki: readonly string[],
): void {
  if (server.name !== wanted.server) throw other(`the statement is about ${server.name}, not about ${wanted.server}`);
  const { identity } = entry;
  if (stated.kind === "http") {
    if (identity.kind !== "http" || identity.url !== stated.url) throw other("the statement is about another URL");
    checkKeys(stated.url, stated.spki, spki);
  } else {
    if (identity.kind !== "stdio" || identity.executable !== stated.executable) {
      throw other("the statement is about another executable");
    }
    const isSame =
      identity.args.length === stated.args.length && identity.args.every((arg, i) => arg === stated.args[i]);
    if (!isSame) throw other("the statement is about other arguments of the executable");
  }
  if (surface !== null && surface !== publishedSurface(server.name, entry)) {
    throw other("the statement is about another surface than the approved one");
  }
}

/** A URL says who answers only if TLS does; a statement that names keys says it of connections that are held to them. */
function checkKeys(url: string, stated: readonly string[], held: readonly string[]): void {
  if (!URL.canParse(url)) throw other("the statement is about what is no URL");
  const { protocol, hostname } = new URL(url);
  if (protocol !== "https:" && !isLoopback(hostname.replace(/^\[|\]$/gu, ""))) {
    throw other("the statement is about a URL without TLS, where anybody may answer");
  }
  if (stated.length === 0) return;
  if (held.length > 0 && held.every((spki) => stated.includes(spki))) return;
  throw other("the statement names TLS keys; want tls.spki of the server with these keys and no other");
}

/** Digest of the surface of an entry under the name that its publisher gives it: an operator's id is none of a publisher's business. */
export function publishedSurface(name: string, entry: CatalogEntry): string {
  return digestSurface({
    server: name,
    capabilities: entry.capabilities,
    instructions: entry.instructions,
    tools: entry.tools,
    prompts: entry.prompts,
    resourceTemplates: entry.resource_templates,
  });
}

function other(message: string): CheckError {
  return new CheckError("ERR_PUBLISHER_SERVER", message);
}

function missing(message: string, cause?: unknown): CheckError {
  return new CheckError("ERR_PUBLISHER_MISSING", message, { cause });
}
