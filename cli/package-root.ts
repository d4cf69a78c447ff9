/** The folder of this package: the nearest one above this file that has a package.json, in the sources as in `dist`. */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { invariant } from "../kernel/errors.ts";

/** Absolute path, without a slash at the end. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) {
    const above = dirname(folder);
    invariant(above !== folder, "no package.json above the command");
    folder = above;
  }
  return folder;
}
