/** The version of an artifact that is there already. */

import { existsSync } from "node:fs";
import { parseArtifact } from "../../kernel/policy-artifact.ts";
import { readBytes } from "../files.ts";

/** 0 if there is none. @throws {FormatError} if the file is not an artifact */
export function sealedVersion(path: string | undefined): number {
  return path === undefined || !existsSync(path) ? 0 : parseArtifact(readBytes(path)).version;
}
