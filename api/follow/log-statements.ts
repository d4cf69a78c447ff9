/**
 * What a log says of itself, as far as following it depends on that: its keys after a rotation, and its end. Keys that are not
 * pinned are learned from the log's status document, which is checked under the pinned policy; every entry of the log is checked
 * against the root by the follower itself.
 */

import { isCodedError, StoreError } from "../../kernel/errors.ts";
import { KnownKeys } from "../../kernel/lifecycle/known-keys.ts";
import { parseLogStatus } from "../../kernel/lifecycle/log-status.ts";
import type { WitnessedCheckpoint, WitnessPolicy } from "../../kernel/witness-policy.ts";
import type { AlarmDraft } from "../index/alarms.ts";
import type { HeadFact } from "../index/row-shapes.ts";
import type { ChunkEntry } from "./chunk.ts";
import type { LogReader } from "./ledger-reader.ts";

/** Follows the statements of one log; mutable. */
export class LogStatements {
  readonly #known: KnownKeys;
  readonly #reader: LogReader;
  /** Index of the closing statement, once it was seen in this run. */
  #closedAt: number | undefined;

  constructor(policy: WitnessPolicy, reader: LogReader) {
    this.#known = new KnownKeys(policy);
    this.#reader = reader;
  }

  /** True once the log has ended: nobody need cosign it again. */
  get hasEnded(): boolean {
    return this.#closedAt !== undefined;
  }

  /**
   * Opens a checkpoint; one of a key that is not known is tried again once the log has shown how it came to it.
   *
   * @throws {FormatError | CheckError} as `openWitnessedCheckpoint`
   */
  async open(note: string): Promise<WitnessedCheckpoint> {
    try {
      return this.#known.open(note);
    } catch (error) {
      if (!isCodedError(error) || error.code !== "ERR_LOG_SIGNATURE" || !(await this.#learn())) throw error;
      return this.#known.open(note);
    }
  }

  /**
   * Looks at entries in the order of the log.
   *
   * @param target  the checkpoint that they are in
   * @returns the alarm about the first entry behind a closing statement
   */
  take(entries: readonly ChunkEntry[], target: HeadFact): AlarmDraft | undefined {
    for (const { index, bytes, isLogged } of entries) {
      if (this.#closedAt !== undefined && index > this.#closedAt) return behindEnd(this.#closedAt, index, target);
      if (isLogged && this.#known.closesLog(bytes, BigInt(index))) this.#closedAt = index;
    }
    return undefined;
  }

  /** @returns false if there is nothing to learn from */
  async #learn(): Promise<boolean> {
    try {
      const bytes = await this.#reader.status();
      this.#known.learn(parseLogStatus(bytes));
      return true;
    } catch (error) {
      // What the log shows does not hold, or it shows nothing: the checkpoint is judged by what is known.
      if (isCodedError(error) && (!(error instanceof StoreError) || error.code === "ERR_LEDGER_UNREACHABLE"))
        return false;
      throw error;
    }
  }
}

function behindEnd(closedAt: number, index: number, { size, note }: HeadFact): AlarmDraft {
  return {
    kind: "behind-end",
    code: "ERR_LOG_CLOSED",
    name: "behind-end",
    message: `entry ${index} stands behind the statement at index ${closedAt} that closes the log`,
    index,
    evidence: [{ label: `checkpoint of size ${size}`, text: note }],
  };
}
