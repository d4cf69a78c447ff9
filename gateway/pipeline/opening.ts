/**
 * The first receipts of a run: stream-open if the stream is new, else the end of what a crash left open; then what this
 * run decides on: policy, catalog, and how the servers differ from it.
 */

import type { CatalogLoadBody, CatalogServer } from "../../kernel/receipt/catalog-load.ts";
import type { DriftBody } from "../../kernel/receipt/drift.ts";
import { ABSENT, notEstablished, type Observed, present } from "../../kernel/receipt/observed.ts";
import type { PolicyLoadBody } from "../../kernel/receipt/policy-load.ts";
import type { Software, StreamOpenBody } from "../../kernel/receipt/stream-open.ts";
import type { DriftTrigger, Durability, KeyProtection, Mode } from "../../kernel/receipt/vocabulary.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import type { Catalog, ServerDrift } from "../catalog/catalog.ts";
import type { CatalogEntry } from "../catalog/catalog-file.ts";
import type { PolicyBundle } from "../policy/bundle.ts";
import type { OpenedStream } from "../receipts/open-stream.ts";
import type { Recorder, Unplaced } from "../receipts/recorder.ts";
import type { StreamBook } from "../receipts/stream-book.ts";
import { lostOutcomeOf, type RunFacts } from "./decision-body.ts";
import type { KeyedNames } from "./keyed-names.ts";
import { sealSession } from "./session-desk.ts";

/** What a new stream declares. */
export interface StreamDeclaration {
  readonly origin: string;
  readonly keyProtection: KeyProtection;
  readonly heartbeatSeconds: number;
  readonly sessionTtlSeconds: number;
  readonly durability: Durability;
  readonly software: Software;
}

/** What the opening receipts are made from. */
export interface OpeningFacts {
  readonly recorder: Recorder;
  readonly opened: Pick<OpenedStream, "place" | "book">;
  readonly declaration: StreamDeclaration;
  readonly run: RunFacts;
  readonly bundle: PolicyBundle;
  readonly catalog: Catalog;
  /** Names of those whose signatures approve the catalog. */
  readonly approvers: readonly string[];
  /** Ids of calls whose tasks this run goes on with. */
  readonly leftCalls: ReadonlySet<string>;
}

const MAX_DRIFT_ITEMS = 64;

/**
 * Writes the opening receipts, in order; each is durable before the next. What is begun again after a crash in between
 * repeats the loads, which is harmless.
 *
 * @returns how many calls and sessions of an earlier run were ended
 */
export async function writeOpening(
  facts: OpeningFacts,
): Promise<{ readonly calls: number; readonly sessions: number }> {
  const { recorder, opened, run, bundle, catalog } = facts;
  const { book } = opened;
  const previous = { policy: book.policy, catalog: book.catalog };
  if (recorder.nextSeq() === 0) await recorder.append(() => streamOpenOf(facts));
  const recovered = await recover(recorder, book, facts.leftCalls);
  await recorder.append(() => policyLoadOf(run, bundle.files, previous.policy));
  const replaced = previousOf(previous.catalog);
  await recorder.append(() => catalogLoadOf(catalog, replaced, facts.approvers, run.names));
  for (const drift of catalog.drifts) await recorder.append(() => driftOf(drift, "start", run.mode));
  return recovered;
}

/**
 * Body of the receipt of a catalog that takes effect.
 *
 * @param approvers  names of those whose signatures approve it
 */
export function catalogLoadOf(
  catalog: Catalog,
  previous: Observed<string>,
  approvers: readonly string[],
  names: KeyedNames,
): Extract<Unplaced<CatalogLoadBody>, { kind: "catalog-load" }> {
  return {
    kind: "catalog-load",
    result: "loaded",
    reasons: [],
    catalog: { digest: catalog.digest },
    previous,
    servers: catalog.file.servers.map((entry) => catalogServerOf(entry, catalog)),
    approvers: approvers.map((name) => names.approver(name)),
  };
}

/** Body of the receipt of a policy that took effect. */
export function policyLoadOf(
  { policy, mode }: Pick<RunFacts, "policy" | "mode">,
  files: PolicyBundle["files"],
  previous: string | undefined,
): Extract<Unplaced<PolicyLoadBody>, { kind: "policy-load" }> {
  return {
    kind: "policy-load",
    result: "loaded",
    reasons: [],
    policy,
    mode,
    files: [...files].sort((a, b) => (a.path < b.path ? -1 : 1)),
    previous: previousOf(previous),
  };
}

/** Ends what a crash left open: nobody knows what became of the calls, and the sessions have no further call. */
async function recover(
  recorder: Recorder,
  book: StreamBook,
  left: ReadonlySet<string>,
): Promise<{ calls: number; sessions: number }> {
  const calls = book.openCalls();
  for (const call of calls) await recorder.appendWhole((place) => lostOutcomeOf(place, call));
  for (const { outcomeSeq, ...call } of book.openTasks()) {
    if (left.has(call.decision.call.id)) continue;
    await recorder.appendWhole((place) => lostOutcomeOf(place, { ...call, resolves: outcomeSeq }));
  }
  const sessions = book.openSessions();
  for (const { open } of sessions) await sealSession(recorder, book, open.session.id, "recovery");
  return { calls: calls.length, sessions: sessions.length };
}

/** Body of a drift receipt. */
export function driftOf(
  { server, approved, listed, items }: ServerDrift,
  trigger: DriftTrigger,
  mode: Mode,
): Extract<Unplaced<DriftBody>, { kind: "drift" }> {
  return {
    kind: "drift",
    server,
    trigger,
    mode,
    approved,
    listed: present(listed),
    items: items.slice(0, MAX_DRIFT_ITEMS),
    more: Math.max(0, items.length - MAX_DRIFT_ITEMS),
    findings: [],
  };
}

/** Body of a drift receipt for a server that did not answer its lists. */
export function unlistedOf(
  entry: Pick<CatalogEntry, "id" | "surface">,
  trigger: DriftTrigger,
  mode: Mode,
): Extract<Unplaced<DriftBody>, { kind: "drift" }> {
  return {
    kind: "drift",
    server: entry.id,
    trigger,
    mode,
    approved: entry.surface,
    listed: notEstablished("server.unavailable"),
    items: [],
    more: 0,
    findings: [],
  };
}

function streamOpenOf({ opened, declaration, run }: OpeningFacts): Unplaced<StreamOpenBody> {
  const { place } = opened;
  return {
    kind: "stream-open",
    log: declaration.origin,
    instance_key: formatPublicKey(place.instanceSigner.publicKey),
    receipt_key: formatPublicKey(place.receiptSigner.publicKey),
    key_protection: declaration.keyProtection,
    heartbeat_seconds: declaration.heartbeatSeconds,
    session_ttl_seconds: declaration.sessionTtlSeconds,
    durability: declaration.durability,
    boundary: run.boundary,
    software: declaration.software,
    ...(place.predecessor === undefined ? {} : { predecessor: place.predecessor }),
  };
}

function previousOf(digest: string | undefined): Observed<string> {
  return digest === undefined ? ABSENT : present(digest);
}

function catalogServerOf(entry: CatalogEntry, catalog: Catalog): CatalogServer {
  const identity = catalog.identityDigest(entry.id);
  const definitions = [...entry.tools, ...entry.prompts, ...entry.resources, ...entry.resource_templates];
  return {
    id: entry.id,
    identity: identity === undefined ? ABSENT : present(identity),
    surface: present(entry.surface),
    tools: entry.tools.length,
    definition: definitions.some(({ approved_by }) => approved_by === "first-use") ? "first-use" : "approved",
  };
}
