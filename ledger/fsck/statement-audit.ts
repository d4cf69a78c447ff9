/**
 * Follows what a log says of itself from its first entry to its last: each statement must follow from those before it, and
 * nothing may stand behind a closing statement. In a raw log what only looks like a statement is an entry like any other.
 */

import { isCodedError } from "../../kernel/errors.ts";
import type { Genesis } from "../../kernel/genesis.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { closed, type LogState, nextLogState, startLogState } from "../../kernel/lifecycle/log-state.ts";
import { statementOf } from "../../kernel/lifecycle/log-status.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { isStatementLike, rowOf } from "../lifecycle/statement-book.ts";
import type { IndexRow } from "../sequence/index-store.ts";
import type { Findings } from "./finding.ts";
import type { FoundEntry, Group } from "./log-walk.ts";

/** Follows one log; mutable. */
export class StatementAudit {
  /** Rows that the genesis entry and the statements have in the index. */
  readonly rows: { readonly index: bigint; readonly row: IndexRow }[] = [];
  readonly #findings: Findings;
  readonly #isRaw: boolean;
  #state: LogState | undefined;
  #hasHole = false;
  #behind = 0;

  /** @param genesis  undefined if it cannot be read: then nothing is judged */
  constructor(findings: Findings, genesis: Genesis | undefined) {
    this.#findings = findings;
    this.#isRaw = genesis?.log_kind === "raw";
    if (genesis === undefined) return;
    this.#state = startLogState(genesis);
    this.rows.push({ index: 0n, row: rowOf(0n, canonicalBytes({ ...genesis })) });
  }

  /** What the log is; undefined if its genesis entry cannot be read. */
  get state(): LogState | undefined {
    return this.#state;
  }

  /** True if a statement may be in what is missing. */
  get hasHole(): boolean {
    return this.#hasHole;
  }

  /** Takes the entries of a group; call in the order of the log. */
  take(group: Group): void {
    const first = group.index * BigInt(TILE_WIDTH);
    for (const [i, entry] of group.entries.entries()) {
      const index = first + BigInt(i);
      if (entry === undefined) this.#hasHole = true;
      else if (index > 0n && this.#state !== undefined) this.#takeEntry(this.#state, entry, index);
    }
  }

  /** Says how many entries stand behind the closing statement; the first of them is a finding of its own. */
  finish(): void {
    if (this.#behind > 1) this.#findings.remark("tile", `${this.#behind} entries stand behind the closing statement`);
  }

  #takeEntry(state: LogState, entry: FoundEntry, index: bigint): void {
    if (state.closing !== undefined) {
      this.#behind += 1;
      if (this.#behind === 1) this.#add(entry, index, closed(state.closing.finalSize));
      return;
    }
    if (!isStatementLike(entry.bytes)) return;
    try {
      const statement = statementOf(entry.bytes);
      if (statement === undefined) return;
      this.#state = nextLogState(state, statement, Number(index));
      this.rows.push({ index, row: rowOf(index, entry.bytes.slice()) });
    } catch (error) {
      if (!isCodedError(error)) throw error;
      if (!this.#isRaw) this.#add(entry, index, error);
    }
  }

  #add({ path, offset }: FoundEntry, index: bigint, { code, message }: ReturnType<typeof closed>): void {
    if (this.#hasHole) this.#findings.remark(path, `entry ${index}, behind what is missing: ${code}`);
    else this.#findings.add({ path, code, offset, index, message });
  }
}
