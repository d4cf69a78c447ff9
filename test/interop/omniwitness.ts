/**
 * A real omniwitness (transparency-dev/witness) that knows our log beside those it is built with, and keeps its state in
 * SQLite. It cosigns with an Ed25519 key and with an ML-DSA-44 key. It is given no distributor, no bastion and no public
 * list of logs, so it asks nobody for anything.
 */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatSignerKey, makeSignerKey } from "../../kernel/note/signer-key.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import type { Place } from "./litewitness.ts";
import { freePort } from "./processes.ts";

/** An omniwitness that runs. */
export interface Omniwitness {
  readonly url: string;
  /** Type 0x04. */
  readonly ed25519: VerifierKey;
  /** Type 0x06. */
  readonly mlDsa44: VerifierKey;
}

const NAME = "witness.example/omniwitness";

/** Starts it and tells it of the log `origin`, whose checkpoints `logKey` signs. */
export async function startOmniwitness(
  { bin, work, processes }: Place,
  origin: string,
  logKey: string,
): Promise<Omniwitness> {
  const keys = [
    makeSignerKey(NAME, 0x04, new Uint8Array(32).fill(81)),
    makeSignerKey(NAME, 0x06, new Uint8Array(32).fill(82)),
  ] as const;
  const files = keys.map(({ type }) => join(work, `omniwitness-${type}.key`));
  for (const [i, key] of keys.entries()) await writeFile(files[i] ?? "", formatSignerKey(key));
  const logs = join(work, "omniwitness-logs.yaml");
  await writeFile(logs, `Logs:\n  - Origin: ${origin}\n    URL: http://127.0.0.1:1/\n    PublicKey: ${logKey}\n`);
  const address = `127.0.0.1:${await freePort()}`;
  const args = ["--listen", address, "--metrics_listen", "", "--db_file", join(work, "omniwitness.db")];
  const more = [...files.flatMap((file) => ["--private_key_path", file]), "--additional_logs", logs];
  const isReady = (line: string): boolean => line.includes("HTTP server goroutine started");
  await processes.start(join(bin, "omniwitness"), [...args, ...more], isReady);
  return { url: `http://${address}`, ed25519: keys[0].verifierKey, mlDsa44: keys[1].verifierKey };
}
