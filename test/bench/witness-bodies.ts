/** Requests of the witness's benchmark: many logs, each growing by one entry a request, with true proofs. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatAddCheckpoint } from "../../kernel/add-checkpoint.ts";
import { makeSmallLog, type SmallLog } from "../support/small-log.ts";

/** Origins of so many logs. */
export function benchOrigins(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `bench.example/${i}`);
}

/** A log of `size` entries; its key depends on nothing else. */
export function benchLog(origin: string, size = 0): SmallLog {
  return makeSmallLog(origin, 1, size);
}

/** Writes the requests of each log into a file as ledger-load.ts reads them. @returns the paths, one a log */
export async function prepareWitnessBodies(folder: string, logs: number, requests: number): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const [i, origin] of benchOrigins(logs).entries()) {
    const log = benchLog(origin, requests);
    const parts: Buffer[] = [];
    for (let size = 1; size <= requests; size += 1) {
      const proof = size === 1 ? [] : await log.consistency(size - 1, size);
      const body = Buffer.from(formatAddCheckpoint(BigInt(size - 1), proof, log.checkpoint(size)));
      const length = Buffer.alloc(4);
      length.writeUInt32BE(body.length);
      parts.push(length, body);
    }
    const path = join(folder, `witness-${i}.bodies`);
    await writeFile(path, Buffer.concat(parts));
    paths.push(path);
  }
  return paths;
}
