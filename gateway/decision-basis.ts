/**
 * What a run decides on: the approved catalog, the policy bundle that was validated against it, the capture scope. No file
 * is read again while the gateway runs, and a fault in any of it refuses the start. Only an operator who brings a newer
 * signed catalog changes what is in force (catalog-reload.ts).
 */

import type { JsonObject } from "../kernel/json/value.ts";
import { ABSENT } from "../kernel/receipt/observed.ts";
import type { Mode } from "../kernel/receipt/vocabulary.ts";
import { readApprovedCatalog } from "./catalog/approved-catalog.ts";
import { CatalogKeeper } from "./catalog/catalog-keeper.ts";
import { digestOf } from "./catalog/digests.ts";
import { approvalRule, GATEWAY_DEFAULTS } from "./config.ts";
import { bundleDocument, keepEvidence } from "./evidence-files.ts";
import type { GatewayOptions, World } from "./options.ts";
import { captureScope } from "./pipeline/capture-scope.ts";
import type { RunFacts } from "./pipeline/decision-body.ts";
import { makeKeyedNames } from "./pipeline/keyed-names.ts";
import { BUILT_IN_BUNDLE, type PolicyBundle, parseBundle } from "./policy/bundle.ts";
import { makeEvaluator } from "./policy/evaluator.ts";
import { EvaluatorInForce } from "./policy/evaluator-in-force.ts";
import type { StreamFolder } from "./receipts/stream-folder.ts";
import type { ConnectedServers } from "./servers.ts";

/** The basis of a run's decisions. */
export interface DecisionBasis {
  readonly keeper: CatalogKeeper;
  readonly bundle: PolicyBundle;
  readonly evaluator: EvaluatorInForce;
  /** Names of those whose signatures approve the catalog of this start. */
  readonly approvers: readonly string[];
  readonly run: RunFacts;
  /** The capture-scope statement whose digest is `run.boundary`. */
  readonly boundary: JsonObject;
}

/**
 * Loads and checks everything, and keeps each document under its digest.
 *
 * @throws {FormatError} ERR_CATALOG, ERR_POLICY_BUNDLE, ERR_SHAPE, ERR_JSON_*
 * @throws {CheckError} ERR_CATALOG_UNSIGNED, ERR_CATALOG_THRESHOLD, ERR_CATALOG_VERSION, ERR_CATALOG_PREVIOUS
 */
export async function loadBasis(
  options: GatewayOptions,
  world: World,
  folder: StreamFolder,
  servers: ConnectedServers,
): Promise<DecisionBasis> {
  const { config, logger } = options;
  const origin = { dataDir: config.data_dir, configured: options.catalogFile, rule: approvalRule(config) };
  const { file, approvers, isNew } = await readApprovedCatalog(origin, servers.listed);
  const keeper = new CatalogKeeper(file, servers.listed, world.nowMs());
  const catalog = keeper.current();
  if (isNew) logger.warn({ catalog: catalog.digest }, "pinned what the servers list now; nobody has reviewed it");
  for (const { id } of config.servers) {
    if (catalog.entry(id) === undefined) logger.warn({ server: id }, "a configured server is not in the catalog");
  }
  const files = options.policyFiles ?? BUILT_IN_BUNDLE;
  const bundle = parseBundle(files);
  const first = makeEvaluator(`${bundle.digest}/${catalog.digest}`, bundle, catalog.schemaSources);
  const evaluator = new EvaluatorInForce(first);
  const boundary = captureScope({
    agents: options.agents,
    servers: servers.upstreams.map((upstream) => ({
      id: upstream.id,
      transport: upstream.facts().transport,
      identity: digestOf(upstream.identity),
    })),
    keyProtection: "software",
  });
  await keepEvidence(config.data_dir, digestOf(boundary), boundary);
  await keepEvidence(config.data_dir, catalog.digest, file);
  await keepEvidence(config.data_dir, bundle.digest, bundleDocument(bundle, files));
  const run: RunFacts = {
    names: makeKeyedNames(await folder.callerKey()),
    policy: { digest: bundle.digest, version: bundle.version, artifact: ABSENT },
    boundary: digestOf(boundary),
    mode: modeOf(options),
  };
  return { keeper, bundle, evaluator, approvers, run, boundary };
}

/** The configured mode, or the default. */
export function modeOf({ config }: Pick<GatewayOptions, "config">): Mode {
  return config.mode ?? GATEWAY_DEFAULTS.mode;
}
