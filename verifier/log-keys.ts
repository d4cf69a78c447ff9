/**
 * The keys that a log's checkpoint may bear: those that the trust policy pins and, if the bundle holds the log's own
 * statements, those that they lead to. A rotation counts once it is proven in the log under the witnessed checkpoint itself.
 */

import type { BundleLog } from "../kernel/bundle.ts";
import type { Checkpoint } from "../kernel/checkpoint/checkpoint.ts";
import { CheckError } from "../kernel/errors.ts";
import { parseGenesis } from "../kernel/genesis.ts";
import { canonicalBytes } from "../kernel/json/canonical.ts";
import { closed, type LogState } from "../kernel/lifecycle/log-state.ts";
import { followStatements, openUnderKeys, trustedKeys } from "../kernel/lifecycle/log-status.ts";
import { isStatementKind } from "../kernel/lifecycle/statement.ts";
import { hashLeaf } from "../kernel/merkle/hash.ts";
import { checkInclusion } from "../kernel/merkle/inclusion-proof.ts";
import type { VerifierKey } from "../kernel/note/verifier-key.ts";
import type { WitnessPolicy } from "../kernel/witness-policy.ts";

/** What a log is by the statements in a bundle, and the keys that are trusted through them. */
export interface FollowedLog {
  readonly state: LogState;
  readonly keys: readonly VerifierKey[];
}

/**
 * Follows the statements of a log that a bundle holds; undefined if it holds none.
 *
 * @throws {FormatError | CheckError} as `parseGenesis`, `followStatements`, `trustedKeys`, `openUnderKeys`, `checkInclusion`;
 *   ERR_LOG_STATUS (statements without the genesis entry that they start from), ERR_LOG_CLOSED (a tree with something behind
 *   the closing statement)
 */
export function followLog(log: BundleLog, checkpoint: Checkpoint, policy: WitnessPolicy): FollowedLog | undefined {
  const statements = log.entries.filter(({ entry }) => isStatementKind(entry["kind"]));
  if (statements.length === 0) return undefined;
  const genesis = log.entries.find(({ index }) => index === 0);
  if (genesis === undefined)
    throw new CheckError("ERR_LOG_STATUS", "want the genesis entry beside the log's statements");
  const state = followStatements(parseGenesis(canonicalBytes(genesis.entry)), statements);
  if (state.origin !== log.origin) throw new CheckError("ERR_ORIGIN", "the genesis entry is of another log");
  const { size, root } = checkpoint;
  for (const { index, entry, proof } of [genesis, ...statements]) {
    checkInclusion({ leaf: hashLeaf(canonicalBytes(entry)), index: BigInt(index), size, root, proof });
  }
  if (state.closing !== undefined && size > state.closing.finalSize) throw closed(state.closing.finalSize);
  const pinned = policy.logs.map(({ key }) => key);
  const trusted = trustedKeys(state, pinned);
  // A key that only a rotation vouches for needs the witnesses; one that is pinned has their verdict of its own.
  const { logKey } = openUnderKeys(log.checkpoint, policy, state, trusted);
  return { state, keys: [logKey, ...trusted.filter((key) => key !== logKey)] };
}
