/** Files that have no place in the log: names that are none, tiles beyond its size. */

import { TILE_WIDTH, tileWidth } from "../../kernel/tile/coordinates.ts";
import type { DataFolder } from "./data-folder.ts";
import type { Findings } from "./finding.ts";
import { refOf } from "./log-walk.ts";

/** What a data folder holds by its own rules; `lock` and `index` belong to LevelDB. */
const KNOWN = new Set([
  "wal",
  "tile",
  "head",
  "archive",
  "checkpoint",
  "checkpoint-unwitnessed",
  "index",
  "leaves",
  "lock",
  "retention",
]);

/** @param size  of the derived log */
export function findStrays(folder: DataFolder, tiles: readonly string[], size: bigint, findings: Findings): void {
  for (const path of tiles) {
    if (path.endsWith(".tmp")) {
      findings.remark(path, "left by a crash; nothing reads it");
      continue;
    }
    const ref = refOf(path);
    const level = ref?.kind === "hash" ? ref.level : 0;
    const isFull = ref?.width === TILE_WIDTH && tileWidth({ level, index: ref.index }, size) === TILE_WIDTH;
    if (!isFull)
      findings.add({ path, code: "ERR_FILE_STRAY", message: "no full tile or bundle of a log of this size" });
  }
  for (const name of folder.names) {
    if (KNOWN.has(name)) continue;
    findings.remark(
      name,
      name.endsWith(".tmp") ? "left by a crash; nothing reads it" : "not a file of the log; not checked",
    );
  }
}
