/** What reads a whole log: `mirror` pulls it over HTTP and verifies it, `fsck` checks the data folder. */

import { join } from "node:path";
import { formatVerifierKey } from "../../../kernel/note/verifier-key.ts";
import { parseWitnessPolicy } from "../../../kernel/witness-policy.ts";
import { checkDataFolder } from "../../../ledger/fsck/fsck.ts";
import { openMirror } from "../../../ledger/mirror/run-mirror.ts";
import { LEDGER_KEYS, READER_TOKEN } from "../../support/ledger-service.ts";
import { startServer } from "../load.ts";
import { fillLog, untilSize } from "./fill.ts";
import type { BarsContext, Figure } from "./frame.ts";

const SIZES = { full: 200_000, quick: 2000 };
const BATCH_ENTRIES = 256;

/** Entries a second of both. */
export async function measure({ folder, isQuick }: BarsContext): Promise<readonly Figure[]> {
  const dataDir = join(folder, "ledger");
  const wanted = isQuick ? SIZES.quick : SIZES.full;
  await fillLog({ dataDir, size: wanted, batchEntries: BATCH_ENTRIES });
  const mirrored = await mirror(dataDir, wanted, join(folder, "mirror"));
  const started = performance.now();
  const { findings, size } = await checkDataFolder({ dataDir, workers: 0 });
  const seconds = (performance.now() - started) / 1000;
  if (findings.count > 0) throw new Error(`fsck: ${findings.faults[0]?.message}`);
  const of = `of ${Number(size).toLocaleString("en-US")} raw entries of 300 B`;
  return [
    { what: `mirror ${of}, every tile and bundle verified`, ...mirrored },
    { what: `fsck ${of}`, value: Number(size) / seconds, unit: "/s", note: `${seconds.toFixed(1)} s` },
  ];
}

async function mirror(dataDir: string, wanted: number, folder: string): Promise<Omit<Figure, "what">> {
  const server = await startServer("ledger-process.js", [dataDir, "0", "raw"]);
  try {
    await untilSize(server, "published_size", wanted);
    const [key] = LEDGER_KEYS;
    if (key === undefined) throw new Error("no log key");
    const opened = await openMirror({
      folder,
      policy: parseWitnessPolicy(`log ${formatVerifierKey(key.verifierKey)}\nquorum none\n`),
      logKeys: [],
      upstream: { url: `http://127.0.0.1:${server.port}`, fetch, timeoutMs: 30_000, attempts: 5, token: READER_TOKEN },
    });
    const started = performance.now();
    const { size } = await opened.pull();
    const seconds = (performance.now() - started) / 1000;
    await opened.close();
    return { value: Number(size) / seconds, unit: "/s", note: `${seconds.toFixed(1)} s over HTTP` };
  } finally {
    await server.stop();
  }
}
