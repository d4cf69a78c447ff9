/**
 * What a witness or a mirror makes of one well-formed, well-signed request: pure, state in, ruling out (C2SP tlog-witness).
 *
 * The order of checks lets every honest client recover: it learns the recorded size before its proof is looked at.
 */

import type { AddCheckpoint } from "./add-checkpoint.ts";
import { equalBytes } from "./bytes.ts";
import type { ErrorCode } from "./error-codes.ts";
import { isCodedError } from "./errors.ts";
import { checkConsistency } from "./merkle/consistency-proof.ts";
import { EMPTY_ROOT, type RootHash } from "./merkle/hash.ts";

/** The largest tree of one log that this witness has cosigned; size 0 and the empty root if none. */
export interface TreeHead {
  readonly size: bigint;
  readonly root: RootHash;
}

/** Where every log starts. */
export const EMPTY_TREE: TreeHead = { size: 0n, root: EMPTY_ROOT };

/** Why a request is refused. */
export type Refusal =
  | { readonly verdict: "bad-request"; readonly code: ErrorCode; readonly why: string }
  | { readonly verdict: "conflict"; readonly recordedSize: bigint }
  | { readonly verdict: "unprocessable"; readonly code: ErrorCode; readonly why: string };

/** `record` this tree head durably, then cosign it; or refuse. */
export type Judgement = { readonly verdict: "record"; readonly next: TreeHead } | Refusal;

/** Rules on a request whose log signature was checked. */
export function judge(recorded: TreeHead, request: AddCheckpoint): Judgement {
  const { oldSize, proof } = request;
  const { size, root } = request.checkpoint;
  // SPEC tlog-witness: if the old size is above the checkpoint's, 400; if it is not the recorded one, 409 with that one.
  if (oldSize > size) {
    return { verdict: "bad-request", code: "ERR_SIZE_RANGE", why: "the old size is above the size of the checkpoint" };
  }
  if (oldSize !== recorded.size) return { verdict: "conflict", recordedSize: recorded.size };
  if (size === 0n && !equalBytes(root, EMPTY_ROOT)) {
    return unprocessable("ERR_ROOT_MISMATCH", "size zero with a root that is not the empty one");
  }
  // SPEC tlog-witness: the proof MUST be empty if the old size is zero.
  if (oldSize === 0n) {
    return proof.length === 0
      ? { verdict: "record", next: { size, root } }
      : unprocessable("ERR_PROOF_LENGTH", "a proof with old size zero");
  }
  return judgeGrowth(recorded, request);
}

/** The recorded tree is not empty: the new one must extend it. A same-sized one is the same or a fork. */
function judgeGrowth(recorded: TreeHead, { oldSize, proof, checkpoint }: AddCheckpoint): Judgement {
  const { size, root } = checkpoint;
  try {
    checkConsistency({ oldSize, oldRoot: recorded.root, size, root, proof });
  } catch (error) {
    if (!isCodedError(error)) throw error;
    return unprocessable(error.code, "the checkpoint is not consistent with the recorded one");
  }
  return { verdict: "record", next: { size, root } };
}

function unprocessable(code: ErrorCode, why: string): Refusal {
  return { verdict: "unprocessable", code, why };
}
