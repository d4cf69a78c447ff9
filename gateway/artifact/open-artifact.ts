/** The sealed artifact of a start: read, its seal and version checked, and everything that it names compared with what is. */

import { FormatError } from "../../kernel/errors.ts";
import { checkArtifact, type SealedArtifact } from "../../kernel/policy-artifact.ts";
import { keepEvidence } from "../evidence-files.ts";
import type { PolicyBundle } from "../policy/bundle.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { checkPresent } from "./artifact-check.ts";
import { checkFloor, rememberArtifact } from "./artifact-floor.ts";
import { type Measurements, measure, runningOf } from "./remeasure.ts";
import { type BoundConfig, statedBy } from "./stated.ts";

/** What a start has when it comes to the artifact. */
export interface ArtifactFacts {
  readonly config: BoundConfig;
  /** Content of `artifact.file`. */
  readonly bytes: Uint8Array | undefined;
  readonly measurements: Measurements;
  readonly upstreams: readonly Upstream[];
  readonly bundle: PolicyBundle;
  readonly catalog: string;
  readonly nowMs: number;
}

/**
 * Opens it; undefined if none is configured.
 *
 * @throws {FormatError} ERR_CONFIG (a file that nobody read), ERR_SHAPE, ERR_JSON_*
 * @throws {CheckError} ERR_ARTIFACT_UNSIGNED, ERR_ARTIFACT_THRESHOLD, ERR_ARTIFACT_VERSION, ERR_ARTIFACT_TIME,
 *   ERR_ARTIFACT_MISMATCH
 */
export async function openArtifact(facts: ArtifactFacts): Promise<SealedArtifact | undefined> {
  const { config, bytes, bundle } = facts;
  const { artifact: rule, data_dir: dataDir } = config;
  if (rule === undefined) return undefined;
  if (bytes === undefined) throw new FormatError("ERR_CONFIG", "config.artifact: its file cannot be read here");
  const sealed = checkArtifact(bytes, rule);
  await checkFloor(dataDir, sealed);
  const running = runningOf(bundle.digest, config);
  checkPresent(sealed.artifact, {
    ...(await measure(facts.measurements, facts.upstreams, running, sealed.artifact)),
    ...statedBy(config),
    nowMs: facts.nowMs,
    catalog: facts.catalog,
    policyVersion: bundle.version,
  });
  await rememberArtifact(dataDir, sealed);
  await keepEvidence(dataDir, sealed.digest, sealed.artifact);
  return sealed;
}
