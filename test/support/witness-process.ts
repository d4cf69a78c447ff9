/**
 * A witness in a process of its own, for benchmarks; runs from dist/.
 *
 *     node witness-process.js <data folder> journal|files <number of logs> [fence] [ml-dsa]
 *
 * `files` is the baseline: the same witness over a store that replaces one file for each request. Prints its address as one
 * line of JSON. Logs and keys are those of witness-bodies.ts.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { startWitness } from "../../witness/start.ts";
import { benchLog, benchOrigins } from "../bench/witness-bodies.ts";
import { startFileWitness } from "./witness-baseline.ts";

const RATE = 100_000_000;
const [, , folder = "", kind = "journal", count = "64", ...more] = process.argv;
const key = makeSignerKey("witness.example/bench", 0x04, new Uint8Array(32).fill(9));
const mlDsaKey = makeSignerKey("witness.example/bench", 0x06, new Uint8Array(32).fill(10));
const logs = benchOrigins(Number(count)).map((origin) => ({ origin, keys: [benchLog(origin).key] }));

await mkdir(folder, { recursive: true });
const silent = { info: () => undefined, warn: () => undefined, error: console.error };
const service =
  kind === "files"
    ? await startFileWitness(folder, logs, key)
    : await startWitness({
        config: {
          listen: { port: 0 },
          data_dir: join(folder, "data"),
          ...(more.includes("fence") ? { fence_file: join(folder, "fence") } : {}),
          key_files: [],
          logs,
          requests_per_minute: RATE,
          requests_per_minute_per_source: RATE,
        },
        keys: more.includes("ml-dsa") ? [key, mlDsaKey] : [key],
        logger: silent,
      });
process.once("SIGTERM", () => void service.close().then(() => process.exit(0)));
console.log(JSON.stringify({ url: service.url }));
