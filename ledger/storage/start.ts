/** The data folder of a ledger as its options want it. */

import type { LedgerOptions } from "../options.ts";
import type { Disk } from "./disk.ts";
import { writeInThread } from "./files-thread.ts";
import { makeNodeDisk } from "./node-disk.ts";

/** New files are written by a thread unless only sources are at hand. */
export function openDisk({ config, signing, wrapDisk = (disk) => disk }: LedgerOptions): Disk {
  return wrapDisk(makeNodeDisk(config.data_dir, signing === "inline" ? undefined : writeInThread));
}
