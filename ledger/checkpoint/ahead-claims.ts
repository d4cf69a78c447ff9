/**
 * Claims of witnesses to have seen a larger tree than this log ever recorded, without a checkpoint that proves it. One
 * such answer halts nothing: anybody could stop the log with it. But many witnesses have no monitoring path, and a log
 * that goes on from an old copy must not sign a second history. So the word of a quorum counts like proof while it is the
 * first word: given by witnesses that have not cosigned in this run, where no quorum can be had without them.
 */

import { CheckError } from "../../kernel/errors.ts";
import { isQuorum, type WitnessPolicy } from "../../kernel/witness-policy.ts";

/** The claims of one run. */
export class AheadClaims {
  readonly #policy: WitnessPolicy;
  readonly #claimants = new Set<string>();
  readonly #cosigners = new Set<string>();

  constructor(policy: WitnessPolicy) {
    this.#policy = policy;
  }

  /** The witness at `url` cosigned: it has seen what we have, and its word alone says no more. */
  cosigned(url: string): void {
    this.#cosigners.add(url);
    this.#claimants.delete(url);
  }

  /** The witness at `url` claims a larger tree and shows nothing. @returns true if this log must sign nothing more */
  claimed(url: string): boolean {
    if (this.#cosigners.has(url)) return false;
    this.#claimants.add(url);
    return this.#isWordOfQuorum();
  }

  #isWordOfQuorum(): boolean {
    const policy = this.#policy;
    const [others, claimants] = [false, true].map((isClaimant) =>
      policy.witnesses
        .filter(({ url }) => isClaimant === (url !== undefined && this.#claimants.has(trimSlashes(url))))
        .map(({ name }) => name),
    );
    return isQuorum(policy, claimants ?? []) && !isQuorum(policy, others ?? []);
  }
}

/** A quorum's word that this log was larger. */
export function aheadByWord(size: bigint): CheckError {
  const what = `a quorum of witnesses has recorded a larger tree of this log than ${size}, and none can be had without them`;
  return new CheckError("ERR_WITNESS_AHEAD", what);
}

/** A witness's address as it is compared: without slashes at its end. */
export function trimSlashes(url: string): string {
  return url.replace(/\/+$/u, "");
}
