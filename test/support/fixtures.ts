/** Where the fixtures are: beside the repository, or where COUNTERSIGN_FIXTURES says. */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "./source-files.ts";

/** Absolute path of a folder or file below the fixtures. @throws if it is not there: nothing is skipped silently */
export function fixturePath(...parts: readonly string[]): string {
  const base = process.env["COUNTERSIGN_FIXTURES"] ?? join(dirname(ROOT), "shared", "fixtures");
  const path = join(base, ...parts);
  if (!existsSync(path)) throw new Error(`no fixture at ${path}; set COUNTERSIGN_FIXTURES to the folder of fixtures`);
  return path;
}
