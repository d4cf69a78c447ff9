/**
 * Renews the sealed policy while the gateway runs: another artifact, with the bundle and the signed catalog that it names if
 * those are others.
 * Its receipt and its effect come in one turn of the recorder; what is refused leaves a receipt and everything as it is.
 * Files on disk decide nothing here: they are measured, and must be what the artifact names.
 */

import { MAX_ARTIFACT_BYTES } from "../kernel/artifact-bytes.ts";
import type { ErrorCode } from "../kernel/error-codes.ts";
import { CheckError, FormatError, isCodedError } from "../kernel/errors.ts";
import { parseJson } from "../kernel/json/parse.ts";
import { checkArtifact, type SealedArtifact } from "../kernel/policy-artifact.ts";
import { digestFile } from "../kernel/policy-manifest.ts";
import { present } from "../kernel/receipt/observed.ts";
import type { ReasonCode } from "../kernel/receipt/reasons.ts";
import { array, base64Bytes, object, optional, readShape, type Shape, string } from "../kernel/shape.ts";
import { checkPresent } from "./artifact/artifact-check.ts";
import { checkFloor, rememberArtifact } from "./artifact/artifact-floor.ts";
import { type Measurements, measure, runningOf } from "./artifact/remeasure.ts";
import { type ExaminedSession, examineSessions, type SessionFacts } from "./artifact/session-examine.ts";
import { keepSessions, sessionLoadOf, sessionRefusalOf } from "./artifact/session-load.ts";
import { type BoundConfig, statedBy } from "./artifact/stated.ts";
import { checkSignedCatalog, rememberCatalog } from "./catalog/approved-catalog.ts";
import { makeCatalog } from "./catalog/catalog.ts";
import { refusalReason as catalogReason } from "./catalog/catalog-approval.ts";
import type { RevisedCatalog } from "./catalog/catalog-file.ts";
import { approvalRule } from "./config.ts";
import type { DecisionBasis } from "./decision-basis.ts";
import { bundleDocument, keepEvidence } from "./evidence-files.ts";
import { catalogLoadOf, driftOf, policyLoadOf } from "./pipeline/opening.ts";
import { type BundleFile, type PolicyBundle, parseBundle } from "./policy/bundle.ts";
import { makeEvaluator, type PolicyEvaluator } from "./policy/evaluator.ts";
import { type CarriedOut, checkCarriedOut } from "./policy/obligations.ts";
import type { Recorder } from "./receipts/recorder.ts";
import type { Upstream } from "./upstream/upstream.ts";

/** What a reload did. */
export interface ReloadedPolicy {
  readonly artifact: string;
  readonly version: number;
  readonly policy: { readonly digest: string; readonly version: string };
  /** Names of those who signed. */
  readonly signers: readonly string[];
  /** Digests of the session artifacts that came, if some did. */
  readonly sessions?: readonly string[];
}

/** What a reload works with. */
export interface PolicyReloadOptions {
  readonly config: BoundConfig;
  readonly basis: DecisionBasis;
  readonly recorder: Recorder;
  readonly upstreams: readonly Upstream[];
  readonly measurements: Measurements;
  readonly carriedOut: readonly CarriedOut[];
  readonly nowMs: () => number;
  /** Holds the servers' connections to the artifact in force. */
  readonly bindServers: () => void;
  /** Told as soon as it is in force. */
  readonly onReplaced: () => void;
  /** Records that safe state begins or ends. */
  readonly watch: () => Promise<void>;
}

/** The body of `POST /policy`. */
type ReloadRequest = {
  /** Absent: the gateway's own artifact stays, and only session artifacts are loaded. */
  readonly artifact?: Uint8Array;
  readonly files?: readonly BundleFile[];
  readonly catalog?: Uint8Array;
  readonly sessions?: readonly Uint8Array[];
};

/** An artifact that passed every check, and is not in force yet. */
interface Candidate {
  readonly sealed: SealedArtifact;
  readonly bundle: PolicyBundle;
  readonly evaluator: PolicyEvaluator;
  readonly schemaSources: SessionFacts["schemaSources"];
  readonly agents: SessionFacts["agents"];
  /** The new bundle's files; undefined if the bundle stays. */
  readonly files: readonly BundleFile[] | undefined;
  /** The new catalog; undefined if the catalog stays. */
  readonly catalog: { readonly file: RevisedCatalog; readonly approvers: readonly string[] } | undefined;
}

/** Most bytes of the body: an artifact, and a bundle of 256 files. */
export const MAX_RELOAD_BYTES: number = 16 * 1_048_576;

const requestShape: Shape<ReloadRequest> = object<ReloadRequest>({
  artifact: optional(base64Bytes()),
  catalog: optional(base64Bytes()),
  files: optional(
    array(object<BundleFile>({ path: string({ maxLength: 320 }), content: base64Bytes() }), { max: 256 }),
  ),
  sessions: optional(array(base64Bytes(), { min: 1, max: 256 })),
});

/**
 * Makes the function that loads the body of `POST /policy`; one at a time.
 *
 * The function throws {FormatError} ERR_SHAPE, ERR_JSON_*, ERR_POLICY_BUNDLE, {CheckError} ERR_ARTIFACT_*, {StoreError}
 * ERR_STREAM_FAILED; for a catalog as `makeCatalogReload`.
 */
export function makePolicyReload(options: PolicyReloadOptions): (body: Uint8Array) => Promise<ReloadedPolicy> {
  return (body) => options.basis.inTurn(() => reload(options, body));
}

async function reload(options: PolicyReloadOptions, body: Uint8Array): Promise<ReloadedPolicy> {
  const { basis, config } = options;
  const request = readShape(requestShape, parseJson(body, { maxBytes: MAX_RELOAD_BYTES }), "policy");
  if (request.artifact === undefined) return reloadSessions(options, request);
  const candidate = await examine(options, { ...request, artifact: request.artifact }).catch(
    refuseWith(options, request.artifact),
  );
  const { sealed, bundle, files, catalog, schemaSources, agents } = candidate;
  const { artifact, digest, signers } = sealed;
  const sessions = await examineNarrower(options, request, { outer: artifact, bundle, schemaSources, agents });
  if (files !== undefined) await keepEvidence(config.data_dir, bundle.digest, bundleDocument(bundle, files));
  await keepEvidence(config.data_dir, digest, artifact);
  // Before it is in force: after a crash in between, a start with the old artifact is refused, not taken.
  if (catalog !== undefined) {
    await keepEvidence(config.data_dir, artifact.catalog, catalog.file);
    await rememberCatalog(config.data_dir, catalog.file);
  }
  await rememberArtifact(config.data_dir, sealed);
  await keepSessions(config.data_dir, basis.floors, sessions, options.nowMs());
  await takeEffect(options, candidate, sessions);
  options.onReplaced();
  await options.watch();
  return { artifact: digest, version: artifact.version, policy: artifact.policy, signers, ...named(sessions) };
}

/** Leaves the receipt of a refusal, and passes it on. */
function refuseWith({ basis, recorder }: PolicyReloadOptions, bytes: Uint8Array): (error: unknown) => Promise<never> {
  return async (error) => {
    await recorder.append(() => ({
      ...policyLoadOf(basis.run, [], basis.run.policy.digest),
      result: "refused",
      reasons: [refusalReason(error)],
      policy: { ...basis.run.policy, artifact: present(digestFile(bytes)) },
    }));
    throw error;
  };
}

/** Session artifacts alone: the gateway's own stays. */
async function reloadSessions(options: PolicyReloadOptions, request: ReloadRequest): Promise<ReloadedPolicy> {
  const { basis, config, measurements, nowMs } = options;
  if (request.sessions === undefined || request.files !== undefined || request.catalog !== undefined) {
    throw new FormatError("ERR_SHAPE", "policy: want an artifact, or session artifacts and nothing else");
  }
  const current = basis.artifact.current();
  if (current === undefined) {
    throw new CheckError(
      "ERR_ARTIFACT_UNSIGNED",
      "no sealed artifact is configured that session artifacts could narrow",
    );
  }
  const { artifact: outer, digest, signers } = current;
  const sessions = await examineNarrower(options, request, {
    outer,
    bundle: basis.policyNow().bundle,
    schemaSources: basis.keeper.current().schemaSources,
    agents: measurements.agents?.() ?? new Map(),
  });
  await keepSessions(config.data_dir, basis.floors, sessions, nowMs());
  await loadSessions(options, sessions);
  options.onReplaced();
  await options.watch();
  return { artifact: digest, version: outer.version, policy: outer.policy, signers, ...named(sessions) };
}

/** All of them, or none: the receipt of a refusal names the one that was refused. */
async function examineNarrower(
  { basis, config, recorder, nowMs }: PolicyReloadOptions,
  { sessions: list = [] }: ReloadRequest,
  facts: Pick<SessionFacts, "outer" | "bundle" | "schemaSources" | "agents">,
): Promise<readonly ExaminedSession[]> {
  const { artifact: rule } = config;
  if (rule === undefined || list.length === 0) return [];
  let last = list[0] ?? new Uint8Array();
  try {
    const known = { ...facts, rule, floors: basis.floors, nowMs: nowMs() };
    const examined = examineSessions(list, known, (bytes) => {
      last = bytes;
    });
    basis.sessions.checkRoom(examined);
    return examined;
  } catch (error) {
    await recorder.append(() => sessionRefusalOf(basis.run, last, refusalReason(error)));
    throw error;
  }
}

/** Each takes effect in the turn of its receipt. Asked for at once: no decision comes in between. */
async function loadSessions(
  { basis, recorder }: PolicyReloadOptions,
  sessions: readonly ExaminedSession[],
): Promise<void> {
  const loaded = sessions.map((one) =>
    recorder.append(() => {
      basis.sessions.put([one]);
      return sessionLoadOf(basis.run, one, basis.policyNow().bundle.files);
    }),
  );
  await Promise.all(loaded);
}

function named(sessions: readonly ExaminedSession[]): Pick<ReloadedPolicy, "sessions"> {
  return sessions.length === 0 ? {} : { sessions: sessions.map(({ sealed }) => sealed.digest) };
}

/** All of it in one turn of the recorder; the receipts of policy and catalog stand next to each other. */
async function takeEffect(
  options: PolicyReloadOptions,
  candidate: Candidate,
  sessions: readonly ExaminedSession[],
): Promise<void> {
  const { basis, recorder } = options;
  const { sealed, bundle, evaluator, catalog } = candidate;
  const policy = { digest: bundle.digest, version: bundle.version, artifact: present(sealed.digest) };
  const replaced = present(basis.keeper.current().digest);
  const policyLoaded = recorder.append(() => {
    const previous = basis.run.policy.digest;
    if (catalog !== undefined) basis.keeper.replace(catalog.file);
    basis.replace({ bundle, policy, mode: sealed.artifact.mode });
    basis.evaluator.replace(evaluator);
    basis.artifact.replace(sealed);
    basis.sessions.put(sessions);
    basis.sessions.compare();
    options.bindServers();
    return policyLoadOf(basis.run, bundle.files, previous);
  });
  // All asked for at once: the recorder keeps the order, and no decision comes in between.
  if (catalog === undefined) return void (await Promise.all([policyLoaded, loadSessions(options, sessions)]));
  const catalogLoaded = recorder.append(() =>
    catalogLoadOf(basis.keeper.current(), replaced, catalog.approvers, basis.run.names),
  );
  await Promise.all([policyLoaded, catalogLoaded, loadSessions(options, sessions)]);
  for (const drift of basis.keeper.current().drifts) {
    await recorder.append(() => driftOf(drift, "catalog-load", basis.run.mode));
  }
}

/** Every check, as at a start. */
async function examine(
  options: PolicyReloadOptions,
  request: ReloadRequest & { readonly artifact: Uint8Array },
): Promise<Candidate> {
  const { artifact: bytes, files } = request;
  const { basis, config, upstreams, measurements, nowMs } = options;
  if (config.artifact === undefined) {
    throw new CheckError("ERR_ARTIFACT_UNSIGNED", "no signers are configured, so no policy can be loaded by signature");
  }
  if (bytes.length > MAX_ARTIFACT_BYTES) throw new CheckError("ERR_ARTIFACT_UNSIGNED", "the artifact is too large");
  const sealed = checkArtifact(bytes, config.artifact);
  await checkFloor(config.data_dir, sealed);
  const bundle = files === undefined ? basis.policyNow().bundle : parseBundle(files);
  const catalog = request.catalog === undefined ? undefined : await examineCatalog(config, request.catalog);
  const { digest, schemaSources } = catalog === undefined ? basis.keeper.current() : makeCatalog(catalog.file, []);
  const running = runningOf(bundle.digest, config);
  const measured = await measure(measurements, upstreams, running, sealed.artifact);
  checkPresent(sealed.artifact, {
    ...measured,
    ...statedBy(config),
    nowMs: nowMs(),
    catalog: digest,
    policyVersion: bundle.version,
  });
  checkCarriedOut(bundle, options.carriedOut);
  if (sealed.artifact.policy.digest !== bundle.digest) {
    throw new CheckError("ERR_ARTIFACT_MISMATCH", "the bundle is not the one that the artifact names");
  }
  const evaluator = makeEvaluator(`${bundle.digest}/${digest}`, bundle, schemaSources);
  return { sealed, bundle, evaluator, files, catalog, schemaSources, agents: measured.agents };
}

async function examineCatalog(
  config: PolicyReloadOptions["config"],
  bytes: Uint8Array,
): Promise<NonNullable<Candidate["catalog"]>> {
  const rule = approvalRule(config);
  if (rule !== undefined) return checkSignedCatalog(config.data_dir, bytes, rule);
  throw new CheckError("ERR_CATALOG_UNSIGNED", "no approvers are configured, so no catalog can be loaded by signature");
}

const REASONS: Partial<Record<ErrorCode, ReasonCode>> = {
  ERR_ARTIFACT_UNSIGNED: "policy.unsigned",
  ERR_ARTIFACT_THRESHOLD: "policy.unsigned",
  ERR_ARTIFACT_VERSION: "policy.lower-version",
  ERR_ARTIFACT_TIME: "policy.expired",
  ERR_ARTIFACT_MISMATCH: "artifact.mismatch",
  ERR_ARTIFACT_WIDER: "artifact.wider",
};

/** The reason that a receipt gives for a policy that was refused with `error`. */
function refusalReason(error: unknown): ReasonCode {
  if (!isCodedError(error)) return "policy.invalid";
  return REASONS[error.code] ?? (error.code.startsWith("ERR_CATALOG") ? catalogReason(error) : "policy.invalid");
}
