/**
 * What whoever follows a log knows of its keys: those that are pinned, and those that the log's statements lead to, once a
 * status document has proven them.
 */

import { CheckError, FormatError } from "../errors.ts";
import type { VerifierKey } from "../note/verifier-key.ts";
import { openWitnessedCheckpoint, type WitnessedCheckpoint, type WitnessPolicy } from "../witness-policy.ts";
import type { LogState } from "./log-state.ts";
import {
  checkLogStatus,
  type LogStatus,
  type LogStatusDocument,
  openUnderKeys,
  statementOf,
  trustedKeys,
} from "./log-status.ts";
import { hasSignatureOf } from "./statement.ts";

/** The keys of one log; mutable. */
export class KnownKeys {
  readonly #policy: WitnessPolicy;
  #learned: readonly VerifierKey[] = [];
  #state: LogState | undefined;

  /** @param policy  names the keys that are pinned */
  constructor(policy: WitnessPolicy) {
    this.#policy = policy;
  }

  /** Takes what a status document proves. @throws as `checkLogStatus` */
  learn(document: LogStatusDocument): LogStatus {
    const status = checkLogStatus(document, this.#policy);
    this.#state = status.state;
    this.#learned = trustedKeys(status.state, this.#pinned);
    return status;
  }

  /**
   * Opens a checkpoint: under the pinned keys, or under those that the log's statements give for its size.
   *
   * @throws as `openWitnessedCheckpoint`, `openUnderKeys`
   */
  open(note: string): WitnessedCheckpoint {
    if (this.#state === undefined) return openWitnessedCheckpoint(note, this.#policy);
    return openUnderKeys(note, this.#policy, this.#state, this.#learned);
  }

  /** True if the entry at `index` closes the log: a statement for this place that a trusted key of the log signed. */
  closesLog(entry: Uint8Array, index: bigint): boolean {
    try {
      const statement = statementOf(entry);
      if (statement?.kind !== "log-closing" || BigInt(statement.index) !== index) return false;
      const keys = [...this.#pinned, ...this.#learned];
      return keys.some((key) => key.name === statement.origin && hasSignatureOf(statement, key));
    } catch (error) {
      if (error instanceof CheckError || error instanceof FormatError) return false;
      throw error;
    }
  }

  get #pinned(): readonly VerifierKey[] {
    return this.#policy.logs.map(({ key }) => key);
  }
}
