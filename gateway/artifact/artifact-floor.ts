/** The highest version of a sealed artifact that was in force, kept in the data folder: none that is older comes after it. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckError, StoreError } from "../../kernel/errors.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { SealedArtifact } from "../../kernel/policy-artifact.ts";
import { digestShape } from "../../kernel/receipt/fields.ts";
import { integer, literal, object, readShape, type Shape } from "../../kernel/shape.ts";
import { writeDurably } from "../receipts/write-durably.ts";

type Floor = { readonly v: 1; readonly version: number; readonly digest: string };

const FLOOR = "policy-artifact-floor.json";
const floorShape: Shape<Floor> = object<Floor>({ v: literal(1), version: integer({ min: 1 }), digest: digestShape });

/**
 * Checks that an artifact is newer than the last one, or is that one.
 *
 * @throws {CheckError} ERR_ARTIFACT_VERSION
 * @throws {StoreError} ERR_FILE_READ
 */
export async function checkFloor(dataDir: string, { artifact, digest }: SealedArtifact): Promise<void> {
  const floor = await readFloor(join(dataDir, FLOOR));
  if (floor === undefined || artifact.version > floor.version) return;
  if (artifact.version === floor.version && digest === floor.digest) return;
  throw new CheckError(
    "ERR_ARTIFACT_VERSION",
    `version ${artifact.version} of the artifact comes after version ${floor.version}`,
  );
}

/** From now on no older artifact is taken; durable when it resolves. */
export async function rememberArtifact(dataDir: string, { artifact, digest }: SealedArtifact): Promise<void> {
  await writeDurably(dataDir, FLOOR, canonicalBytes({ v: 1, version: artifact.version, digest }));
}

async function readFloor(path: string): Promise<Floor | undefined> {
  try {
    return readShape(floorShape, parseJson(new Uint8Array(await readFile(path))), FLOOR);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    if (cause instanceof CheckError || !(cause instanceof Error) || !("syscall" in cause)) throw cause;
    throw new StoreError("ERR_FILE_READ", `cannot read ${path}`, { cause });
  }
}
