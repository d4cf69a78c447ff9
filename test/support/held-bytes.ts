/** How much memory something goes on holding. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** How many bytes of strings and objects are held after `work` that were not before. */
export function heldBy(work: () => void): number {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  collect();
  const before = process.memoryUsage().heapUsed;
  work();
  collect();
  return process.memoryUsage().heapUsed - before;
}
