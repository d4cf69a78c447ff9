/** Everybody who reads checkpoints: remembers every one that was ever signed, and that none went back or forked. */

import { formatHex } from "../../kernel/hex.ts";
import { openLogCheckpoint } from "../../kernel/witness-policy.ts";
import { LEDGER_KEYS } from "../support/ledger-service.ts";
import { Client, expectThat } from "./client.ts";

const LOG_KEYS = LEDGER_KEYS.map(({ verifierKey }) => verifierKey);
const EVERY_MS = 20;

/** Reads one checkpoint of a ledger or a witness, again and again. */
export class Observer extends Client {
  /** Root by size, as hexadecimal digits. */
  readonly roots: Map<bigint, string>;
  readonly #address: string;
  #newest: bigint | undefined;

  /**
   * @param address  of a checkpoint
   * @param roots  what all observers of the log remember
   */
  constructor(address: string, roots: Map<bigint, string>) {
    super();
    [this.#address, this.roots] = [address, roots];
  }

  /** The newest size. */
  get size(): bigint {
    return this.#newest ?? 0n;
  }

  protected override async step(): Promise<void> {
    await this.ask(() => this.#look());
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }

  protected override resume(): Promise<void> {
    return Promise.resolve();
  }

  async #look(): Promise<void> {
    const address = this.#address;
    const response = await fetch(address);
    const text = await response.text();
    const newest = this.#newest;
    // What was published once stays published, also by the next process.
    expectThat(response.status === 200 || newest === undefined, `${address}: ${response.status} after ${newest}`);
    if (response.status !== 200) return;
    const { size, root } = openLogCheckpoint(text, LOG_KEYS).checkpoint;
    expectThat(size >= (newest ?? 0n), `${address} went back from ${newest} to ${size}`);
    const known = this.roots.get(size) ?? formatHex(root);
    expectThat(known === formatHex(root), `two checkpoints of size ${size} were signed`);
    this.roots.set(size, known);
    this.#newest = size;
  }
}
