/** Our ledger and our witness, as the command starts them, in this process. */

import { join } from "node:path";
import { makeSignerKey, type SignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey, type VerifierKey } from "../../kernel/note/verifier-key.ts";
import type { RunningService } from "../../kernel/service/service.ts";
import { startLedger } from "../../ledger/start.ts";
import { startWitness } from "../../witness/start.ts";
import { ledgerOptions } from "../support/ledger-service.ts";

/** Our witness: how it is named in policies, and what makes it. */
export interface OurWitness extends RunningService {
  readonly key: VerifierKey;
}

const WITNESS_KEY = makeSignerKey("witness.example/countersign", 0x04, new Uint8Array(32).fill(77));

/** Says what went wrong, and nothing else. */
const logger = {
  info: () => undefined,
  warn: () => undefined,
  error: (fields: object, message: string): void => console.error(message, fields),
};

/** Starts our ledger of receipts in `work`; the quorum of `policy` must cosign each checkpoint. */
export function startOurLedger(work: string, policy: string): Promise<RunningService> {
  const config = {
    log_kind: "receipts" as const,
    witness_policy: policy,
    checkpoint_ms: 100,
    witness_ms: 100,
    witness_timeout_ms: 5000,
  };
  return startLedger(ledgerOptions(join(work, "ledger"), logger, { config, signing: "worker" }));
}

/** Starts our witness in `work` for the given logs, each with one key named as its origin. */
export async function startOurWitness(work: string, logs: readonly VerifierKey[]): Promise<OurWitness> {
  const config = {
    listen: { port: 0 },
    data_dir: join(work, "witness"),
    key_files: [],
    logs: logs.map((key) => ({ origin: key.name, keys: [key] })),
  };
  const keys: readonly SignerKey[] = [WITNESS_KEY];
  return { ...(await startWitness({ config, keys, logger })), key: WITNESS_KEY.verifierKey };
}

/** A line of a witness policy. */
export function policyLine(name: string, vkey: VerifierKey | string, url: string): string {
  return `witness ${name} ${typeof vkey === "string" ? vkey : formatVerifierKey(vkey)} ${url}`;
}
