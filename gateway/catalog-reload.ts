/**
 * Loads another signed catalog while the gateway runs. Its receipt and its effect come in one turn of the recorder: every
 * decision before the receipt was made on the old catalog, every one behind it is made on the new one.
 */

import { CheckError } from "../kernel/errors.ts";
import { digestFile } from "../kernel/policy-manifest.ts";
import { present } from "../kernel/receipt/observed.ts";
import { checkSignedCatalog, rememberCatalog } from "./catalog/approved-catalog.ts";
import { makeCatalog, schemaSourcesOf } from "./catalog/catalog.ts";
import { refusalReason } from "./catalog/catalog-approval.ts";
import type { RevisedCatalog } from "./catalog/catalog-file.ts";
import { digestOf } from "./catalog/digests.ts";
import { approvalRule, type GatewayConfig } from "./config.ts";
import type { DecisionBasis } from "./decision-basis.ts";
import { keepEvidence } from "./evidence-files.ts";
import { catalogLoadOf, driftOf } from "./pipeline/opening.ts";
import { makeEvaluator, type PolicyEvaluator } from "./policy/evaluator.ts";
import type { Recorder } from "./receipts/recorder.ts";

/** What a reload did. */
export interface ReloadedCatalog {
  readonly digest: string;
  readonly version: number;
  /** Names of those who signed. */
  readonly approvers: readonly string[];
}

/** What a reload works with. */
export interface CatalogReloadOptions {
  readonly config: Pick<GatewayConfig, "catalog" | "data_dir">;
  readonly basis: DecisionBasis;
  readonly recorder: Recorder;
}

/** A catalog that passed every check, and is not in force yet. */
interface Candidate extends Pick<ReloadedCatalog, "approvers"> {
  readonly file: RevisedCatalog;
  readonly evaluator: PolicyEvaluator;
}

/**
 * Makes the function that loads the bytes of a signed catalog; one at a time. A refusal leaves a receipt and everything
 * as it is.
 *
 * The function throws {FormatError} ERR_SHAPE, ERR_CATALOG, ERR_JSON_*, ERR_POLICY_BUNDLE, {CheckError} ERR_CATALOG_*,
 * {StoreError} ERR_STREAM_FAILED.
 */
export function makeCatalogReload(options: CatalogReloadOptions): (bytes: Uint8Array) => Promise<ReloadedCatalog> {
  return (bytes) => options.basis.inTurn(() => reload(options, bytes));
}

async function reload(options: CatalogReloadOptions, bytes: Uint8Array): Promise<ReloadedCatalog> {
  const { basis, recorder, config } = options;
  const candidate = await examine(options, bytes).catch(async (error: unknown) => {
    await recorder.append(() => ({
      kind: "catalog-load",
      result: "refused",
      reasons: [refusalReason(error)],
      catalog: { digest: digestFile(bytes) },
      previous: present(basis.keeper.current().digest),
      servers: [],
      approvers: [],
    }));
    throw error;
  });
  const { file, approvers, evaluator } = candidate;
  const digest = digestOf(file);
  await keepEvidence(config.data_dir, digest, file);
  // Before it is in force: after a crash in between, a start with the old file is refused, not taken.
  await rememberCatalog(config.data_dir, file);
  await recorder.append(() => {
    const previous = basis.keeper.current().digest;
    basis.keeper.replace(file);
    basis.evaluator.replace(evaluator);
    return catalogLoadOf(basis.keeper.current(), present(previous), approvers, basis.run.names);
  });
  for (const drift of basis.keeper.current().drifts) {
    await recorder.append(() => driftOf(drift, "catalog-load", basis.run.mode));
  }
  return { digest, version: file.version, approvers };
}

/** Every check, and the policy over the new catalog's schema. */
async function examine({ config, basis }: CatalogReloadOptions, bytes: Uint8Array): Promise<Candidate> {
  const rule = approvalRule(config);
  if (rule === undefined) {
    throw new CheckError(
      "ERR_CATALOG_UNSIGNED",
      "no approvers are configured, so no catalog can be loaded by signature",
    );
  }
  const { file, approvers } = await checkSignedCatalog(config.data_dir, bytes, rule);
  const { digest } = makeCatalog(file, []);
  const sealed = basis.artifact.current();
  if (sealed !== undefined && sealed.artifact.catalog !== digest) {
    throw new CheckError("ERR_ARTIFACT_MISMATCH", "the sealed policy artifact in force names another catalog");
  }
  const { bundle } = basis.policyNow();
  const evaluator = makeEvaluator(`${bundle.digest}/${digest}`, bundle, schemaSourcesOf(file));
  return { file, approvers, evaluator };
}
