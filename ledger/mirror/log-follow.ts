/**
 * What a mirror knows of the log's keys. The status document that proves the ones it was not given is kept in the mirror's
 * folder, `log-status`, so that a restart needs nobody for it.
 */

import { KnownKeys } from "../../kernel/lifecycle/known-keys.ts";
import { parseLogStatus } from "../../kernel/lifecycle/log-status.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import type { WitnessedCheckpoint, WitnessPolicy } from "../../kernel/witness-policy.ts";
import { isStatementLike } from "../lifecycle/statement-book.ts";
import type { Disk } from "../storage/disk.ts";
import { replaceFile } from "../storage/durable-file.ts";
import type { Upstream } from "./upstream.ts";

/** File of the status document in a mirror's folder. */
const STATUS_PATH = "log-status";

/** Follows the keys of one log; mutable. */
export class LogFollow {
  readonly #disk: Disk;
  readonly #known: KnownKeys;

  private constructor(disk: Disk, known: KnownKeys) {
    this.#disk = disk;
    this.#known = known;
  }

  /** Opens what an earlier run learned. @throws as `checkLogStatus`, if it does not hold under this policy */
  static async open(disk: Disk, policy: WitnessPolicy, given: readonly VerifierKey[]): Promise<LogFollow> {
    const known = new KnownKeys({ ...policy, logs: [...policy.logs, ...given.map((key) => ({ key }))] });
    const bytes = await disk.read(STATUS_PATH);
    if (bytes !== undefined) known.learn(parseLogStatus(bytes));
    return new LogFollow(disk, known);
  }

  /** Opens a checkpoint under the keys that are known. @throws as `KnownKeys.open` */
  open(note: string): WitnessedCheckpoint {
    return this.#known.open(note);
  }

  /**
   * Asks the log for its statements and takes the keys that they lead to.
   *
   * @returns false if the log shows no status
   * @throws {FormatError | CheckError} as `checkLogStatus`: what it shows does not hold
   */
  async learn(upstream: Upstream): Promise<boolean> {
    const bytes = await upstream.status();
    if (bytes === undefined) return false;
    this.#known.learn(parseLogStatus(bytes));
    await replaceFile(this.#disk, { path: STATUS_PATH, bytes });
    return true;
  }

  /** True if the entry at `index` closes the log. */
  readonly closesLog = (entry: Uint8Array, index: bigint): boolean =>
    isStatementLike(entry) && this.#known.closesLog(entry, index);
}
