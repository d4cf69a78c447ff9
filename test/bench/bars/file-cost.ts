/**
 * What a new file costs where the benchmarks write. ext4 passes over the inodes of files that were deleted within the last one to
 * five minutes, one by one, so that behind thousands of them a new file takes half a millisecond instead of some tens of
 * microseconds, and a log, which makes two for each 256 entries, is slower by up to half.
 */

import { closeSync, openSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { median } from "./frame.ts";

const FILES = 200;
/** Well above what a file costs otherwise. */
const HIGH_US = 150;

/** Makes some files below `folder`, and leaves them there. @returns a line that says what one cost, and what that means */
export async function measureFileCost(folder: string): Promise<string> {
  const own = join(folder, "file-cost");
  await mkdir(own);
  const us = median(Array.from({ length: FILES }, (_, i) => makeFile(join(own, String(i)))));
  const told = `a new file takes ${us.toFixed(0)} us`;
  return us < HIGH_US
    ? told
    : `${told}: files were deleted nearby a moment ago; wait some minutes, or name another TMPDIR`;
}

/** @returns microseconds */
function makeFile(path: string): number {
  const begin = performance.now();
  closeSync(openSync(path, "wx"));
  return (performance.now() - begin) * 1000;
}
