/**
 * `npm run vectors -- <folder> ...`: runs every vector below the folders and prints one JSON line a case, then a count.
 * Exit 0 if nothing failed; skipped cases carry their reason.
 */

import type { CaseResult } from "./case-file.ts";
import { runVectors } from "./runner.ts";

const folders: readonly string[] = process.argv.slice(2);
const counts: Record<CaseResult["verdict"], number> = { passed: 0, failed: 0, skipped: 0 };
for (const folder of folders) {
  for await (const { verdict, ...line } of runVectors(folder)) {
    counts[verdict] += 1;
    console.log(JSON.stringify(line));
  }
}
if (folders.length === 0) console.error("usage: npm run vectors -- <folder> ...");
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 || folders.length === 0 ? 1 : 0;
