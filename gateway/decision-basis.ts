/**
 * What a run decides on: the approved catalog, the policy bundle that was validated against it, the capture scope. No file
 * is read again while the gateway runs, and a fault in any of it refuses the start. Only an operator who brings a newer
 * signed catalog or a newer sealed policy changes what is in force (catalog-reload.ts, policy-reload.ts).
 */

import { StoreError } from "../kernel/errors.ts";
import type { JsonObject } from "../kernel/json/value.ts";
import type { PolicyRef } from "../kernel/receipt/fields.ts";
import { ABSENT, present } from "../kernel/receipt/observed.ts";
import type { Mode } from "../kernel/receipt/vocabulary.ts";
import { ArtifactInForce } from "./artifact/artifact-in-force.ts";
import { openArtifact } from "./artifact/open-artifact.ts";
import { openSessionArtifacts } from "./artifact/open-sessions.ts";
import type { SessionArtifacts } from "./artifact/session-artifacts.ts";
import type { SessionFloors } from "./artifact/session-floors.ts";
import { readApprovedCatalog } from "./catalog/approved-catalog.ts";
import type { CatalogFile } from "./catalog/catalog-file.ts";
import { CatalogKeeper } from "./catalog/catalog-keeper.ts";
import { digestOf } from "./catalog/digests.ts";
import { type PublisherProofs, type PublisherStanding, provePublishers } from "./catalog/publisher.ts";
import { approvalRule, GATEWAY_DEFAULTS, publisherRules } from "./config.ts";
import { declaredEgress, egressStatement } from "./egress/egress-config.ts";
import { bundleDocument, keepEvidence } from "./evidence-files.ts";
import { screenFirstUse } from "./inspection/first-use.ts";
import { type LimitsInForce, makeLimitsInForce } from "./limits/limits-in-force.ts";
import type { GatewayOptions, World } from "./options.ts";
import { captureScope } from "./pipeline/capture-scope.ts";
import type { RunFacts } from "./pipeline/decision-body.ts";
import { makeKeyedNames } from "./pipeline/keyed-names.ts";
import { Offers } from "./pipeline/offers.ts";
import { BUILT_IN_BUNDLE, type PolicyBundle, parseBundle } from "./policy/bundle.ts";
import { makeEvaluator } from "./policy/evaluator.ts";
import { EvaluatorInForce } from "./policy/evaluator-in-force.ts";
import type { StreamFolder } from "./receipts/stream-folder.ts";
import type { ConnectedServers } from "./servers.ts";

/** The basis of a run's decisions. */
export interface DecisionBasis {
  readonly keeper: CatalogKeeper;
  readonly policyNow: () => PolicyNow;
  readonly evaluator: EvaluatorInForce;
  readonly artifact: ArtifactInForce;
  /** The narrower artifacts of agents and sessions. */
  readonly sessions: SessionArtifacts;
  readonly floors: SessionFloors;
  /** Of calls and sessions, as configuration and artifacts say now. */
  readonly limits: LimitsInForce;
  readonly offers: Offers;
  /** Names of those whose signatures approve the catalog of this start. */
  readonly approvers: readonly string[];
  /** Of what is in force: read at each decision. */
  readonly run: RunFacts;
  /** Puts another policy in force; the evaluator is replaced beside it. */
  readonly replace: (next: PolicyNow) => void;
  /** Runs one renewal at a time, of policy and catalog. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** The capture-scope statement whose digest is `run.boundary`. */
  readonly boundary: JsonObject;
}

/** What a renewal of the policy changes. */
export interface PolicyNow {
  readonly bundle: PolicyBundle;
  readonly policy: PolicyRef;
  readonly mode: Mode;
}

/**
 * Loads and checks everything, and keeps each document under its digest.
 *
 * @throws {FormatError} ERR_CATALOG, ERR_POLICY_BUNDLE, ERR_SHAPE, ERR_JSON_*
 * @throws {CheckError} ERR_CATALOG_UNSIGNED, ERR_CATALOG_THRESHOLD, ERR_CATALOG_VERSION, ERR_CATALOG_PREVIOUS,
 *   ERR_ARTIFACT_*
 */
export async function loadBasis(
  options: GatewayOptions,
  world: World,
  folder: StreamFolder,
  servers: ConnectedServers,
): Promise<DecisionBasis> {
  const { config, logger } = options;
  const screen = (unreviewed: CatalogFile): CatalogFile => {
    const { file: kept, blocked } = screenFirstUse(unreviewed);
    for (const { server, subject, name, rule } of blocked) {
      logger.warn(
        { server, subject, name, rule },
        "the scanner blocks this; it is not offered before somebody approves it",
      );
    }
    return kept;
  };
  const origin = { dataDir: config.data_dir, configured: options.catalogFile, rule: approvalRule(config), screen };
  const { file, approvers, isNew } = await readApprovedCatalog(origin, servers.listed);
  const keeper = new CatalogKeeper(file, servers.listed, world.nowMs(), proverOf(options));
  const catalog = keeper.current();
  if (isNew) logger.warn({ catalog: catalog.digest }, "pinned what the servers list now; nobody has reviewed it");
  saySources(options, keeper, world.nowMs());
  const files = options.policyFiles ?? BUILT_IN_BUNDLE;
  const bundle = parseBundle(files);
  const evaluator = new EvaluatorInForce(
    makeEvaluator(`${bundle.digest}/${catalog.digest}`, bundle, catalog.schemaSources),
  );
  const boundary = captureScope({
    agents: options.agents,
    servers: servers.upstreams.map((upstream) => ({
      id: upstream.id,
      transport: upstream.facts().transport,
      identity: digestOf(upstream.identity),
    })),
    keyProtection: "software",
    decidesForOthers: config.envoy !== undefined,
    egress: egressStatement(
      options.egress === undefined ? "none" : "process",
      declaredEgress(config),
      options.startThread !== undefined,
    ),
  });
  await keepEvidence(config.data_dir, digestOf(boundary), boundary);
  await keepEvidence(config.data_dir, catalog.digest, file);
  await keepEvidence(config.data_dir, bundle.digest, bundleDocument(bundle, files));
  const sealed = await openArtifact({
    config,
    bytes: options.artifactFile,
    measurements: options.measurements ?? {},
    upstreams: servers.upstreams,
    bundle,
    catalog: catalog.digest,
    nowMs: world.nowMs(),
  });
  const policy = {
    digest: bundle.digest,
    version: bundle.version,
    artifact: sealed === undefined ? ABSENT : present(sealed.digest),
  };
  const first: PolicyNow = { bundle, policy, mode: sealed?.artifact.mode ?? modeOf(options) };
  const fixed = { names: makeKeyedNames(await folder.callerKey()), boundary: digestOf(boundary) };
  const artifact = new ArtifactInForce(sealed, world.nowMs);
  const now = inForce(first, fixed);
  const narrower = await openSessionArtifacts(options, world, {
    inForce: artifact,
    run: now.run,
    evaluator,
    bundle,
    schemaSources: catalog.schemaSources,
  });
  const offers = new Offers({ sessions: narrower.sessions, catalog: keeper.current });
  const limits = makeLimitsInForce(config.limits ?? {}, artifact, narrower.sessions);
  return { keeper, evaluator, artifact, ...narrower, limits, offers, approvers, boundary, ...now, inTurn: makeTurns() };
}

/** The policy of now behind constant names. */
function inForce(
  first: PolicyNow,
  { names, boundary }: Pick<RunFacts, "names" | "boundary">,
): { readonly policyNow: () => PolicyNow; readonly run: RunFacts; readonly replace: (next: PolicyNow) => void } {
  let now = first;
  const run: RunFacts = {
    names,
    boundary,
    get policy() {
      return now.policy;
    },
    get mode() {
      return now.mode;
    },
  };
  return {
    policyNow: () => now,
    run,
    replace: (next) => {
      now = next;
    },
  };
}

function makeTurns(): DecisionBasis["inTurn"] {
  let turn: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = turn.then(work);
    turn = done.catch(() => undefined);
    return done;
  };
}

/** The configured mode, or the default. */
export function modeOf({ config }: Pick<GatewayOptions, "config">): Mode {
  return config.mode ?? GATEWAY_DEFAULTS.mode;
}

/** Statements are read when a file comes into force; where no file can be read there is none. */
function proverOf({ config, readFile }: GatewayOptions): (file: CatalogFile) => PublisherProofs {
  const rules = publisherRules(config);
  const read =
    readFile ??
    ((path: string): never => {
      throw new StoreError("ERR_FILE_READ", `cannot read ${path}: no file is read here`);
    });
  return (file) => provePublishers(rules, file, read);
}

/** What a start says of each configured server: whether it is approved, and whose it is. */
function saySources({ config, logger }: GatewayOptions, keeper: CatalogKeeper, nowMs: number): void {
  for (const { id } of config.servers) {
    const isApproved = keeper.current().entry(id) !== undefined;
    if (isApproved) sayPublisher(id, keeper.publisherOf(id, nowMs), logger);
    else logger.warn({ server: id }, "a configured server is not in the catalog");
  }
}

function sayPublisher(server: string, standing: PublisherStanding, logger: GatewayOptions["logger"]): void {
  switch (standing.provenance) {
    case "unchecked":
      return;
    case "verified": {
      const { publisher, server: published, not_after } = standing.statement;
      logger.info({ server, publisher, name: published.name, until: not_after }, "the publisher is verified");
      return;
    }
    case "absent":
    case "invalid":
    case "catalog-mismatch": {
      const { code, message } = standing.error;
      logger.warn({ server, code, why: message }, "the publisher of a server is not proven");
    }
  }
}
