/**
 * Whether the log on disk is the one that is configured: the genesis entry (kernel/genesis.ts) must say the same. A
 * ledger that is configured otherwise does not start on it. Its keys may have been rotated since: whether those that sign now
 * are configured is for the key ring to say (lifecycle/key-ring.ts).
 */

import { StoreError } from "../kernel/errors.ts";
import { type Genesis, type GenesisBody, parseGenesis } from "../kernel/genesis.ts";

/** What a ledger is configured to be; the genesis must say the same. */
export type LogIdentity = Pick<
  GenesisBody,
  "origin" | "log_kind" | "operator_key" | "admission" | "shard" | "predecessor"
>;

/**
 * Checks that the log on disk is the one that is configured.
 *
 * @throws {StoreError} ERR_GENESIS_MISMATCH, fatal, naming the member; as `parseGenesis`, wrapped
 */
export function checkGenesis(bytes: Uint8Array, identity: LogIdentity): Genesis {
  const genesis = readOrRefuse(bytes);
  for (const name of ["origin", "log_kind", "operator_key", "admission", "shard", "predecessor"] as const) {
    if (same(genesis[name], identity[name])) continue;
    throw mismatch(`${name} of the log on disk is not the one that is configured`);
  }
  return genesis;
}

function readOrRefuse(bytes: Uint8Array): Genesis {
  try {
    return parseGenesis(bytes);
  } catch (cause) {
    throw mismatch("the first entry on disk is not a genesis entry", cause);
  }
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function mismatch(what: string, cause?: unknown): StoreError {
  return new StoreError("ERR_GENESIS_MISMATCH", what, { cause, fatal: true });
}
