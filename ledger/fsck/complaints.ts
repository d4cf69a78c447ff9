/** Rows that differ from what the log derives, kept until the walk is over: where entries are damaged, rows differ because of that. */

import type { Fault, Findings } from "./finding.ts";

/** Of the rows of one place; mutable. */
export class Complaints {
  readonly #findings: Findings;
  readonly #path: string;
  readonly #faults: Fault[] = [];

  /** @param path  what findings name */
  constructor(findings: Findings, path: string) {
    [this.#findings, this.#path] = [findings, path];
  }

  /** @param index  of the entry that is concerned */
  add(message: string, index?: bigint): void {
    const place = index === undefined ? {} : { index };
    this.#faults.push({ path: this.#path, code: "ERR_INDEX_ROW", ...place, message });
  }

  /** Turns them into findings. Where entries are damaged they are counted in a remark, and judged once the log is whole again. */
  report(): void {
    const [first] = this.#faults;
    if (!this.#findings.hasDamagedEntries) for (const fault of this.#faults) this.#findings.add(fault);
    else if (first !== undefined) {
      const count = this.#faults.length;
      this.#findings.remark(this.#path, `${count} rows differ from the damaged log; the first: ${first.message}`);
    }
  }
}
