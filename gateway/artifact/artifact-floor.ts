/** The highest version of a sealed artifact that was in force, kept in the data folder: none that is older comes after it. */

import { CheckError } from "../../kernel/errors.ts";
import type { SealedArtifact } from "../../kernel/policy-artifact.ts";
import { readFloor, rememberFloor } from "../version-floor.ts";

const FLOOR = "policy-artifact-floor.json";

/**
 * Checks that an artifact is newer than the last one, or is that one.
 *
 * @throws {CheckError} ERR_ARTIFACT_VERSION
 * @throws {StoreError} ERR_FILE_READ
 */
export async function checkFloor(dataDir: string, { artifact, digest }: SealedArtifact): Promise<void> {
  const floor = await readFloor(dataDir, FLOOR);
  if (floor === undefined || artifact.version > floor.version) return;
  if (artifact.version === floor.version && digest === floor.digest) return;
  throw new CheckError(
    "ERR_ARTIFACT_VERSION",
    `version ${artifact.version} of the artifact comes after version ${floor.version}`,
  );
}

/** From now on no older artifact is taken; durable when it resolves. */
export async function rememberArtifact(dataDir: string, { artifact, digest }: SealedArtifact): Promise<void> {
  await rememberFloor(dataDir, FLOOR, { version: artifact.version, digest });
}
