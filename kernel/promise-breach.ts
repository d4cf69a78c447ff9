/**
 * Whether a log kept a promise (kernel/promise.ts), judged from evidence that anybody can check again.
 *
 *     fail              another leaf stands at the promised index under a checkpoint that the log signed; or, after the
 *                       deadline, a quorum of witnesses cosigned a tree that ends before the promised index
 *     pass              the promised leaf stands at the promised index under a checkpoint of a quorum
 *     not_established   anything less
 *
 * What convicts needs less than what acquits: a log that signs another leaf contradicts itself, whoever else has seen it; a
 * checkpoint without witnesses could be of a history that nobody else is shown.
 */

import { equalBytes } from "./bytes.ts";
import { CheckError } from "./errors.ts";
import type { LogProof } from "./log-proof.ts";
import type { LeafHash } from "./merkle/hash.ts";
import { checkInclusion } from "./merkle/inclusion-proof.ts";
import type { VerifierKey } from "./note/verifier-key.ts";
import { checkLeafPromise, type LeafPromise } from "./promise.ts";
import { timestampMs } from "./time.ts";
import { openLogCheckpoint, openWitnessedCheckpoint, quorumTime, type WitnessPolicy } from "./witness-policy.ts";

/** What speaks about a promise. */
export type PromiseEvidence =
  /** A log proof of `leaf`, which may be the promised one or another. */
  | { readonly type: "proof"; readonly proof: LogProof; readonly leaf: LeafHash }
  /** A signed note. */
  | { readonly type: "checkpoint"; readonly note: string };

/** A promise and what is known about it. */
export interface PromiseClaim {
  readonly promise: LeafPromise;
  /** The leaf that it was given for. */
  readonly leaf: LeafHash;
  readonly evidence: readonly PromiseEvidence[];
  /** Names the log's keys and the witnesses. */
  readonly policy: WitnessPolicy;
}

/** The verdict; `message` says in one sentence what it rests on. */
export type PromiseVerdict =
  | { readonly verdict: "pass"; readonly message: string }
  | { readonly verdict: "fail"; readonly code: "ERR_PROMISE_BROKEN" | "ERR_PROMISE_LATE"; readonly message: string }
  | { readonly verdict: "not_established"; readonly code: CheckError["code"]; readonly message: string };

/**
 * Appraises a promise. One conviction outweighs everything else, since no later proof takes back what was signed.
 *
 * @throws {FormatError} evidence that cannot be read
 * @throws {CheckError} as `checkLeafPromise`: there is no promise of this log for this leaf
 */
export function appraisePromise(claim: PromiseClaim): PromiseVerdict {
  const { promise, leaf, policy, evidence } = claim;
  const logKeys = policy.logs.map(({ key }) => key).filter(({ name }) => name === promise.promise.origin);
  checkLeafPromise(promise, leaf, logKeys);
  const verdicts = evidence.map((each) => appraiseOne(claim, each, logKeys));
  const found = (wanted: PromiseVerdict["verdict"]): PromiseVerdict | undefined =>
    verdicts.find(({ verdict }) => verdict === wanted);
  return found("fail") ?? found("pass") ?? verdicts[0] ?? doubt("ERR_PROMISE_OPEN", "no evidence was given");
}

function appraiseOne(claim: PromiseClaim, evidence: PromiseEvidence, logKeys: readonly VerifierKey[]): PromiseVerdict {
  try {
    return evidence.type === "proof"
      ? appraiseProof(claim, evidence, logKeys)
      : appraiseCheckpoint(claim, evidence.note, logKeys);
  } catch (error) {
    // Evidence that does not hold says nothing about the promise.
    if (error instanceof CheckError) return doubt(error.code, error.message);
    throw error;
  }
}

function appraiseProof(
  { promise, leaf, policy }: PromiseClaim,
  evidence: Extract<PromiseEvidence, { type: "proof" }>,
  logKeys: readonly VerifierKey[],
): PromiseVerdict {
  const { proof } = evidence;
  const index = BigInt(promise.index);
  const { size, root } = openLogCheckpoint(proof.checkpoint, logKeys).checkpoint;
  checkInclusion({ leaf: evidence.leaf, index: proof.index, size, root, proof: proof.proof });
  if (proof.index !== index) {
    return doubt("ERR_PROMISE_OPEN", `the proof is of index ${proof.index}, the promise of ${index}`);
  }
  if (!equalBytes(evidence.leaf, leaf)) {
    return broken("ERR_PROMISE_BROKEN", `another leaf is at index ${index} of the log's tree of ${size} entries`);
  }
  openWitnessedCheckpoint(proof.checkpoint, policy, logKeys);
  return {
    verdict: "pass",
    message: `the leaf is at index ${index} of a tree of ${size} entries that the quorum ${policy.quorum} saw`,
  };
}

function appraiseCheckpoint(
  { promise, policy }: PromiseClaim,
  note: string,
  logKeys: readonly VerifierKey[],
): PromiseVerdict {
  const { checkpoint, cosignatures } = openWitnessedCheckpoint(note, { ...policy, logs: [] }, logKeys);
  const { size } = checkpoint;
  if (size > BigInt(promise.index)) {
    return doubt("ERR_PROMISE_OPEN", `a tree of ${size} entries has the promised index; a proof would tell`);
  }
  const deadlineMs = BigInt(timestampMs(promise.promise.deadline));
  // A witness's time is in whole seconds, cut off: one that is above the deadline is after it in any case.
  const late = cosignatures.filter(({ timestampSeconds }) => timestampSeconds * 1000n > deadlineMs);
  // Undefined for `quorum none` too, which nobody has to meet: it cannot convict.
  if (quorumTime(policy, late) === undefined) {
    return doubt("ERR_PROMISE_OPEN", `no quorum has cosigned the tree of ${size} entries after the deadline`);
  }
  return broken("ERR_PROMISE_LATE", `after the deadline a quorum cosigned a tree of ${size} entries`);
}

function broken(code: "ERR_PROMISE_BROKEN" | "ERR_PROMISE_LATE", message: string): PromiseVerdict {
  return { verdict: "fail", code, message };
}

function doubt(code: CheckError["code"], message: string): PromiseVerdict {
  return { verdict: "not_established", code, message };
}
